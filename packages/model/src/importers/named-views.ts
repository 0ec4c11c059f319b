// SPDX-License-Identifier: Apache-2.0
// BIND's views to View documents. A client sees the first view that it fits there as here; the last one, for anybody, becomes no view at all.
// What is said by exclusion, or by where a query goes, has no counterpart.
import { parsePrefix } from "./prefix-text.ts";
import { documentName, type ImportReport } from "./imported.ts";
import type { Item, Statement } from "./named-conf.ts";

/** A view whose zones are taken over. */
export interface NamedView {
  /** Name of the View; undefined for the one that anybody fits. */
  readonly name: string | undefined;
  readonly block: readonly Statement[];
}

/** Of views that come one after the other. */
const PRIORITY_STEP = 10;
const DEPTH_MAX = 16;
const localhost = ["127.0.0.0/8", "::1/128"];

/** Who a list of BIND's means. */
interface Matched {
  readonly clients: string[];
  readonly keys: string[];
  isAnybody: boolean;
  /** What cannot be said here. */
  unclear: string | undefined;
}

/** Adds a View for each one that has a counterpart; reports the others, and what is different here. */
export function addViews(statements: readonly Statement[], report: ImportReport): NamedView[] {
  const lists = new Map(
    statements.flatMap(({ items }) =>
      items[0]?.text === "acl" ? [[items[1]?.text ?? "", items.at(-1)?.block ?? []] as const] : [],
    ),
  );
  const taken: NamedView[] = [];
  const keysTaken = new Set<string>();
  let isOver = false;
  for (const { file, items } of statements) {
    const [word, title] = items;
    if (word?.text !== "view") continue;
    const block = items.at(-1)?.block ?? [];
    const skip = (why: string): void =>
      report.skip(file, word.line, `view "${title?.text ?? ""}"`, why);
    const matched = matchedBy(block, lists);
    const again = matched.keys.find((key) => keysTaken.has(key));
    if (isOver) skip("A view before it is for anybody: it is seen by nobody");
    else if (matched.unclear !== undefined)
      skip(`It says ${matched.unclear}; write its View by hand`);
    else if (again !== undefined) skip(`The key "${again}" is one of a view before it`);
    else if (matched.isAnybody) {
      isOver = true;
      taken.push({ name: undefined, block });
    } else if (matched.clients.length + matched.keys.length === 0) skip("It is seen by nobody");
    else {
      for (const key of matched.keys) keysTaken.add(key);
      const name = documentName(title?.text ?? "");
      addView(name, (taken.length + 1) * PRIORITY_STEP, matched, [...statements, ...block], report);
      taken.push({ name, block });
    }
  }
  return taken;
}

function addView(
  name: string,
  priority: number,
  { clients, keys }: Matched,
  statements: readonly Statement[],
  report: ImportReport,
): void {
  const tsigKeys = keys.map((key) => [key, keySpec(key, statements, report)] as const);
  report.document("View", name, {
    priority,
    match: [...(clients.length === 0 ? [] : [{ clients }]), ...keys.map((key) => ({ key }))],
    ...(keys.length === 0 ? {} : { tsigKeys: Object.fromEntries(tsigKeys) }),
  });
}

/** A key as a View has it: its secret is no part of a document. */
function keySpec(
  key: string,
  statements: readonly Statement[],
  report: ImportReport,
): Readonly<Record<string, unknown>> {
  const found = statements.find(({ items }) => items[0]?.text === "key" && items[1]?.text === key);
  const block = found?.items.at(-1)?.block;
  const algorithm = block?.find(({ items }) => items[0]?.text === "algorithm")?.items[1]?.text;
  const file = documentName(key);
  report.skip(
    found?.file ?? "",
    found?.items[0]?.line ?? 1,
    `secret of key "${key}"`,
    `Put it into the file "${file}" of the secrets' folder`,
  );
  const known = ["hmac-sha256", "hmac-sha384", "hmac-sha512"].find((each) => each === algorithm);
  return { ...(known === undefined ? {} : { algorithm: known }), secret: { file } };
}

function matchedBy(
  block: readonly Statement[],
  lists: ReadonlyMap<string, readonly Statement[]>,
): Matched {
  const matched: Matched = { clients: [], keys: [], isAnybody: false, unclear: undefined };
  const wants = (name: string): Statement | undefined =>
    block.find(({ items }) => items[0]?.text === name);
  for (const other of ["match-destinations", "match-recursive-only"])
    if (wants(other) !== undefined) matched.unclear = other;
  const clients = wants("match-clients");
  if (clients === undefined) matched.isAnybody = true;
  else addList(clients.items.at(-1)?.block ?? [], lists, matched, 0);
  return matched;
}

/** Elements of an address match list; what comes behind `any` says no more. */
function addList(
  elements: readonly Statement[],
  lists: ReadonlyMap<string, readonly Statement[]>,
  matched: Matched,
  depth: number,
): void {
  for (const { items } of elements) {
    if (matched.isAnybody || matched.unclear !== undefined) return;
    addElement(items, lists, matched, depth);
  }
}

function addElement(
  items: readonly Item[],
  lists: ReadonlyMap<string, readonly Statement[]>,
  matched: Matched,
  depth: number,
): void {
  const [first, second] = items;
  const text = first?.text ?? "";
  const inner = first?.block ?? lists.get(text);
  const network = parsePrefix(text);
  if (text === "any") matched.isAnybody = true;
  else if (text === "key" && second !== undefined) matched.keys.push(second.text);
  else if (text === "localhost") matched.clients.push(...localhost);
  else if (text === "none") return;
  else if (network !== undefined) matched.clients.push(network);
  else if (inner !== undefined && depth < DEPTH_MAX) addList(inner, lists, matched, depth + 1);
  else matched.unclear = `"${items.map((item) => item.text).join(" ")}" in match-clients`;
}

/** Origins that who sees a view here sees besides, as they are in no view and it has not got them. */
export function seenBesides(
  zones: readonly { readonly origin: string; readonly view: string | undefined }[],
  view: string,
): string[] {
  const own = new Set(zones.flatMap((zone) => (zone.view === view ? [zone.origin] : [])));
  return zones.flatMap((zone) =>
    zone.view === undefined && !own.has(zone.origin) ? [zone.origin] : [],
  );
}
