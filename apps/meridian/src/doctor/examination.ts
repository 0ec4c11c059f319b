// SPDX-License-Identifier: Apache-2.0

// The whole examination of a zone: parents, every address of every name server and edge, a resolver, and what the names promise.
//
//   zone (files, server) ──► name servers ──► addresses ──► each by itself ──► compared with one another
//                       └──► parents ──► delegation, glue, DS ──► against the zone's keys
//                       └──► resolver: does the world see it, validated?      └──► names: budget and TTL

import { parseDuration } from "@meridian/core";
import { fullRcode, Rcode, rcodeToText, RRType } from "@meridian/dns";
import { failoverBudget } from "@meridian/model";
import { addressesOf, splitServer } from "../dns-question.ts";
import type { Progress } from "../progress.ts";
import { Asker } from "./asker.ts";
import { parentServers, type DelegatedZone } from "./delegated-zone.ts";
import { finding, type Finding, type Severity } from "./finding.ts";
import { dsFindings, examineParent } from "./parents.ts";
import { compareServers, examineServer, type ServerAddress } from "./servers.ts";

/** An edge that control knows. */
export interface KnownEdge {
  readonly name: string;
  readonly standing: string;
  /** Where it is reached from, for where it answers on all addresses of its host. */
  readonly address?: string | undefined;
  /** Where it says that it answers DNS, `ADDRESS:PORT`. */
  readonly dns: readonly string[];
}

/** Whom to ask, and for how long. */
export interface ExaminationOptions {
  /** Of the zone's name servers and edges. */
  readonly port: number;
  /** Name servers of the parent; found by the system's resolver where none is given. */
  readonly parents: readonly string[];
  /** None is asked of a zone of a view unless it is named: it may not see that. */
  readonly resolver: string | undefined;
  /** Address of this host that name servers and edges are asked from. */
  readonly from?: string | undefined;
  readonly edges: readonly KnownEdge[];
  readonly seconds: number;
  readonly progress: Progress;
}

/** Name servers and addresses in all, and routed names that are asked for. */
const ADDRESSES_MAX = 256;
const NAMES_MAX = 20;
const ranks: Readonly<Record<Severity, number>> = { error: 0, warning: 1, notice: 2 };

/** Everything that is found, the gravest first. */
export async function examine(
  zone: DelegatedZone,
  options: ExaminationOptions,
): Promise<Finding[]> {
  const { resolver, from, seconds, progress } = options;
  const endMs = performance.now() + seconds * 1000;
  const asker = new Asker(endMs, progress);
  const client = from === undefined ? asker : new Asker(endMs, progress, from);
  const [servers, parents] = await Promise.all([
    examineServers(client, zone, options),
    examineParents(asker, zone, options),
  ]);
  const findings = [
    // The parent delegates the zone that everybody sees; its DS is for all of that origin.
    ...(zone.view === undefined ? parents.findings : []),
    ...servers.findings,
    ...dsFindings(zone.origin, parents.ds, servers.keys),
    ...(resolver === undefined
      ? []
      : await examineResolver(asker, zone, resolver, parents.ds.length > 0)),
    ...budgetFindings(zone),
    ...(await ttlFindings(client, zone, servers.answering)),
  ];
  return findings.toSorted(
    (a, b) => ranks[a.severity] - ranks[b.severity] || a.code.localeCompare(b.code),
  );
}

async function examineParents(
  asker: Asker,
  zone: DelegatedZone,
  { parents }: ExaminationOptions,
): Promise<{ findings: Finding[]; ds: Uint8Array[] }> {
  const asked = parents.length > 0 ? parents : await parentServers(zone.origin);
  if (asked.length === 0)
    return {
      findings: [finding("parent-unknown", zone.origin, "no name server of a parent is found")],
      ds: [],
    };
  const views = await Promise.all(asked.map((server) => examineParent(asker, server, zone)));
  return {
    findings: views.flatMap(({ findings }) => findings),
    ds: views.flatMap(({ ds }) => ds),
  };
}

async function examineServers(
  asker: Asker,
  zone: DelegatedZone,
  options: ExaminationOptions,
): Promise<{ findings: Finding[]; keys: readonly Uint8Array[]; answering: string | undefined }> {
  const findings: Finding[] = options.edges
    .filter(({ standing }) => standing !== "serving")
    .map(({ name, standing }) => finding("edge-behind", `edge ${name}`, `it is ${standing}`));
  if (zone.servers.length < 2)
    findings.push(finding("server-single", zone.origin, `has ${zone.servers.length} name servers`));
  const resolved = await Promise.all(
    zone.servers.map((server) => addressesOfServer(asker, server, options.resolver)),
  );
  const addresses: ServerAddress[] = [];
  for (const { name, found } of resolved) {
    if (found.length === 0) findings.push(finding("server-unresolved", name, "it has no address"));
    for (const address of found) addresses.push({ name, server: withPort(address, options.port) });
  }
  for (const edge of options.edges)
    for (const server of serversOf(edge, options.port))
      if (addresses.every((each) => each.server !== server))
        addresses.push({ name: `edge ${edge.name}`, server });
  const nowSeconds = Math.floor(Date.now() / 1000);
  const views = await Promise.all(
    addresses
      .filter(({ server }) => isReachable(server, options.from))
      .slice(0, ADDRESSES_MAX)
      .map((address) => examineServer(asker, zone.origin, address, nowSeconds)),
  );
  const answering = views.find(({ serial }) => serial !== undefined);
  return {
    findings: [...findings, ...views.flatMap((view) => view.findings), ...compareServers(views)],
    keys: answering?.keys ?? [],
    answering: answering?.address.server,
  };
}

/** Where an edge is asked: where it says that it answers, or where it came from. Loopback of another host is not asked. */
export function serversOf({ address, dns }: KnownEdge, port: number): string[] {
  const host = address === undefined ? undefined : splitServer(address).host.replace("::ffff:", "");
  if (dns.length === 0) return host === undefined ? [] : [withPort(host, port)];
  const isHere = host === undefined || isLoopback(host);
  return dns.flatMap((each) => {
    const listened = splitServer(each);
    if (listened.host === "0.0.0.0" || listened.host === "::") {
      const isOther = host === undefined || host.includes(":") !== listened.host.includes(":");
      return isOther ? [] : [withPort(host, listened.port)];
    }
    return isHere || !isLoopback(listened.host) ? [withPort(listened.host, listened.port)] : [];
  });
}

/** Whether a server can be asked from an address: those of the other family cannot. */
function isReachable(server: string, from: string | undefined): boolean {
  return from === undefined || splitServer(server).host.includes(":") === from.includes(":");
}

function isLoopback(host: string): boolean {
  return host === "::1" || host.startsWith("127.");
}

/** Addresses in the zone, or for a server elsewhere those that the resolver finds. */
async function addressesOfServer(
  asker: Asker,
  { name, addresses }: DelegatedZone["servers"][number],
  resolver: string | undefined,
): Promise<{ name: string; found: readonly string[] }> {
  if (addresses.length > 0 || resolver === undefined) return { name, found: addresses };
  const replies = await Promise.all(
    [RRType.A, RRType.AAAA].map((type) =>
      asker.ask({ server: resolver, name, type, recursive: true }),
    ),
  );
  const found = replies.flatMap((reply) =>
    typeof reply === "string" ? [] : addressesOf(reply.message),
  );
  return { name, found };
}

/** How the world sees the zone. */
async function examineResolver(
  asker: Asker,
  { origin }: DelegatedZone,
  resolver: string,
  hasDs: boolean,
): Promise<Finding[]> {
  const question = {
    server: resolver,
    name: origin,
    type: RRType.SOA,
    recursive: true,
    signatures: true,
  };
  const subject = `resolver ${resolver}`;
  const reply = await asker.ask(question);
  if (typeof reply === "string") return [finding("resolver-silent", subject, reply)];
  const { message } = reply;
  if (message.rcode === Rcode.NOERROR && message.answer.length > 0)
    return hasDs && !message.flags.ad
      ? [finding("validation-missing", subject, "it answers without the AD bit")]
      : [];
  const unchecked = await asker.ask({ ...question, checkingDisabled: true });
  const isBogus = typeof unchecked !== "string" && unchecked.message.answer.length > 0;
  const rcode = rcodeToText(fullRcode(message));
  return isBogus
    ? [finding("validation-fails", subject, `it answers ${rcode}, and the SOA with the CD bit`)]
    : [
        finding(
          "resolver-fails",
          subject,
          `it answers ${rcode} with ${message.answer.length} records`,
        ),
      ];
}

/** Names that fail over more slowly than they should. */
function budgetFindings({ origin, model }: DelegatedZone): Finding[] {
  return recordsOf({ origin, model }).flatMap((record) => {
    const objectiveMs = parseDuration(record.spec.objective?.recoveryTime ?? "");
    const budget = model === undefined ? undefined : failoverBudget(model, record);
    if (objectiveMs === undefined || budget === undefined || budget.totalMs <= objectiveMs)
      return [];
    const seen = `fails over in ${budget.totalMs / 1000} s, ${budget.ttlMs / 1000} s of it the TTL; its objective is ${objectiveMs / 1000} s`;
    return [finding("budget-exceeded", record.spec.name, seen)];
  });
}

/** Answers that are kept for longer than the budget has it. */
async function ttlFindings(
  asker: Asker,
  { origin, model }: DelegatedZone,
  server: string | undefined,
): Promise<Finding[]> {
  if (server === undefined) return [];
  const asked = recordsOf({ origin, model })
    .slice(0, NAMES_MAX)
    .map(async ({ spec }): Promise<Finding[]> => {
      const [type] = spec.types;
      if (type === undefined) return [];
      const reply = await asker.ask({ server, name: spec.name, type: RRType[type] });
      const maxSeconds = Math.ceil((parseDuration(spec.ttl.max) ?? 0) / 1000);
      const ttls = typeof reply === "string" ? [] : reply.message.answer.map(({ ttl }) => ttl);
      return ttls.some((ttl) => ttl > maxSeconds)
        ? [
            finding(
              "ttl-over-budget",
              spec.name,
              `${server} gives ${Math.max(...ttls)} s, its ttl.max is ${maxSeconds} s`,
            ),
          ]
        : [];
    });
  return (await Promise.all(asked)).flat();
}

function recordsOf({ origin, model }: { origin: string; model?: DelegatedZone["model"] }) {
  const zone = model?.zones.get(origin);
  return zone === undefined ? [] : [...zone.dynamicRecords];
}

function withPort(address: string, port: number): string {
  return address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`;
}
