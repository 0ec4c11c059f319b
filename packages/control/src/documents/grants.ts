// SPDX-License-Identifier: Apache-2.0

// References from one namespace to another, as `NAMESPACE/NAME`: only what a Grant of the other namespace lets pass. Looked at before
// anything is compiled, so that nobody learns from a refusal what another namespace holds.

import { parseStoreDocument, type GrantDocument } from "@meridian/model";
import { RequestRefusal } from "../request-refusal.ts";
import type { DocumentKey, Write } from "../store/store.ts";
import { formatKey, member } from "./document-key.ts";
import type { DocumentSet } from "./document-set.ts";
import { plainDocument } from "./document-text.ts";

/** A document that names one of another namespace. */
interface Crossing {
  readonly from: DocumentKey;
  readonly to: DocumentKey;
}

/** Throws where `writes`, which make `wanted` of `set`, name what no Grant lets them, or take a Grant away that is used. */
export function refuseUngranted(
  writes: readonly Write[],
  set: DocumentSet,
  wanted: DocumentSet,
): void {
  const written = writes.flatMap(({ key, text }) =>
    text === undefined ? [] : [...crossingsOf(key, text)],
  );
  const touched = new Set(
    writes.flatMap(({ key }) => (key.kind === "Grant" ? [key.namespace] : [])),
  );
  if (written.length === 0 && touched.size === 0) return;
  const grants = grantsOf(wanted);
  for (const crossing of written)
    if (!isGranted(crossing, grants))
      throw new RequestRefusal(
        "REFERENCE_NOT_GRANTED",
        `Cannot apply ${formatKey(crossing.from)}: it names ${formatKey(crossing.to)}, expected a Grant in namespace "${crossing.to.namespace}" that lets it`,
      );
  const before = grantsOf(set);
  const broken = [...crossingsInto(touched, wanted)].filter(
    (crossing) => isGranted(crossing, before) && !isGranted(crossing, grants),
  );
  if (broken.length > 0)
    throw new RequestRefusal(
      "DOCUMENT_REFERENCED",
      `Cannot take a Grant away: ${broken.length} documents of other namespaces need it`,
    );
}

function isGranted({ from, to }: Crossing, grants: readonly GrantDocument[]): boolean {
  return grants.some(
    ({ metadata, spec }) =>
      metadata.namespace === to.namespace &&
      spec.from.some(({ kind, namespace }) => kind === from.kind && namespace === from.namespace) &&
      spec.to.some(
        ({ kind, name }) => kind === to.kind && (name === undefined || name === to.name),
      ),
  );
}

function grantsOf(set: DocumentSet): GrantDocument[] {
  return [...set.ofKind("Grant")].flatMap(({ text }) => {
    const parsed = parseStoreDocument("Grant", plainDocument(JSON.parse(text)));
    return "document" in parsed && parsed.document.kind === "Grant" ? [parsed.document] : [];
  });
}

function* crossingsInto(namespaces: ReadonlySet<string>, set: DocumentSet): Generator<Crossing> {
  if (namespaces.size === 0) return;
  for (const { key, text } of set.compiled())
    for (const crossing of crossingsOf(key, text))
      if (namespaces.has(crossing.to.namespace)) yield crossing;
}

function* crossingsOf(key: DocumentKey, text: string): Generator<Crossing> {
  if (key.kind !== "Record" && key.kind !== "TrafficPolicy" && key.kind !== "EndpointSet") return;
  for (const [field, value] of references(member(JSON.parse(text), "spec"))) {
    const [namespace = "", name] = value.split("/");
    if (name === undefined || namespace === key.namespace) continue;
    const kind = field === "pool" ? "Pool" : "TrafficPolicy";
    yield { from: key, to: { kind, namespace, name } };
  }
}

/** Every `pool` and `policy` in a value, however deep; documents are no deeper than the limit of nesting. */
function* references(value: unknown): Generator<readonly ["pool" | "policy", string]> {
  if (typeof value !== "object" || value === null) return;
  for (const [field, each] of Object.entries(value)) {
    if ((field === "pool" || field === "policy") && typeof each === "string") yield [field, each];
    else yield* references(each);
  }
}
