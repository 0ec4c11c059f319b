// SPDX-License-Identifier: Apache-2.0

// What operators may ask over DNS, from the prefixes that a list names and from nowhere else (there is none unless set):
//
//   NODE._branch.NAME   any type that NAME is bound for: the answer, were NODE the root of NAME's policy
//   why.NAME TXT        how NAME is decided for this client now
//
// Whatever is not such a question is left to the ordinary path: names that exist, policies without that node, other clients. This is
// no hot path, so it makes texts and objects. Nothing here counts.

import { Rcode, RRType } from "@meridian/dns";
import {
  FAMILY_IPV6,
  Found,
  type PoolTable,
  Shape,
  Status,
  TargetKind,
  boundTypeBit,
  nodeKindName,
  parsePrefix,
  containsPrefix,
  wordsOf,
  type AddressPrefix,
  type LoadedZone,
  type TraceEvent,
  type World,
} from "@meridian/snapshot";
import { answerBound, decide } from "./query-bound.ts";
import { NEXT } from "./query-records.ts";
import type { QueryState } from "./query-state.ts";
import { Section } from "./response-writer.ts";

/** Not a question of this kind. */
export const NOT_DIAGNOSIS = -2;

const branchLabel = Buffer.from("\u0007_branch", "latin1");
const whyLabel = Buffer.from("\u0003why", "latin1");
const boundTypes = [
  RRType.A,
  RRType.AAAA,
  RRType.HTTPS,
  RRType.SVCB,
  RRType.CNAME,
  RRType.SRV,
] as const;
/** Longest character string of a TXT record (RFC 1035 §3.3). */
const STRING_BYTES_MAX = 255;
/** Most strings of one explanation. */
const STRINGS_MAX = 32;

const statusText: Readonly<Record<number, string>> = {
  [Status.ok]: "chosen",
  [Status.unhealthy]: "unhealthy",
  [Status.dialed]: "dialed away",
  [Status.stopped]: "withheld",
  [Status.noMatch]: "no match",
};

export class Diagnosis {
  /** Who may ask. */
  readonly #prefixes: readonly AddressPrefix[];

  /** Throws a TypeError where a text is no prefix. */
  constructor(prefixes: readonly string[]) {
    this.#prefixes = prefixes.map((text) => {
      const prefix = parsePrefix(text);
      if (prefix === undefined)
        throw new TypeError(
          `Cannot let "${text}" ask for diagnoses, expected a prefix such as 192.0.2.0/24`,
        );
      return prefix;
    });
  }

  /** Answers a question of this kind; returns the rcode, or NOT_DIAGNOSIS with nothing written. */
  answer(query: QueryState): number {
    const { name, selector } = query.served;
    const isWhy = query.message.type === RRType.TXT && isLabel(query, 0, whyLabel);
    const isBranch = isLabel(query, 1, branchLabel);
    if ((!isWhy && !isBranch) || !this.#mayAsk(query)) return NOT_DIAGNOSIS;
    const label = isBranch ? 2 : 1;
    const { otherName } = query.served;
    otherName.set(name.bytes, name.starts[label]!, name.length, name.messageOffsets[label]!);
    const zone = query.zones.find(otherName, 0);
    if (zone === undefined) return NOT_DIAGNOSIS;
    const found = query.lookup.find(zone, otherName, false);
    if (found !== Found.exact && found !== Found.wildcard) return NOT_DIAGNOSIS;
    const { counts } = selector;
    selector.counts = null;
    query.boundLabel = label;
    const rcode = isBranch ? this.#branch(query, zone) : this.#why(query, zone);
    selector.counts = counts;
    query.hasDecision = false;
    if (rcode === NOT_DIAGNOSIS) {
      query.boundLabel = 0;
      return rcode;
    }
    query.zoneIndex = zone.index;
    query.isAuthoritative = true;
    // An alias is shown, not followed.
    return rcode === NEXT ? Rcode.NOERROR : rcode;
  }

  #mayAsk({ source, sourceStart, family }: QueryState): boolean {
    const isIpv6 = family === FAMILY_IPV6;
    const bytes = source.subarray(sourceStart, sourceStart + (isIpv6 ? 16 : 4));
    const asker: AddressPrefix = {
      family: isIpv6 ? 6 : 4,
      words: wordsOf(bytes),
      length: bytes.length * 8,
    };
    return this.#prefixes.some((prefix) => containsPrefix(prefix, asker));
  }

  #branch(query: QueryState, zone: LoadedZone): number {
    const { selector, world, name } = query.served;
    const set = query.lookup.boundSet(boundTypeBit(query.message.type));
    const target = set < 0 ? undefined : targetOf(query, set);
    if (target?.kind !== TargetKind.policy) return NOT_DIAGNOSIS;
    const wanted = Buffer.from(name.bytes.subarray(1, 1 + name.bytes[0]!)).toString("latin1");
    const node = nodeOf(world, target.index, wanted);
    if (node < 0) return NOT_DIAGNOSIS;
    selector.startNode = node;
    const rcode = answerBound(query, zone, set);
    selector.startNode = -1;
    return rcode;
  }

  #why(query: QueryState, zone: LoadedZone): number {
    const set = boundTypes
      .map((type) => query.lookup.boundSet(boundTypeBit(type)))
      .find((one) => one >= 0);
    const target = set === undefined ? undefined : targetOf(query, set);
    if (set === undefined || target === undefined || target.index < 0) return NOT_DIAGNOSIS;
    const { selector } = query.served;
    const chunk = query.lookup.chunk!;
    const shape = chunk.shapeAt(chunk.words[(set >>> 2) + 2]!);
    const events: TraceEvent[] = [];
    selector.trace = { add: (event) => events.push(event) };
    decide(query, zone, chunk, shape, target.kind, target.index);
    selector.trace = null;
    const least = chunk.words[shape + Shape.ttlMin]!;
    const most = chunk.words[shape + Shape.ttlMax]!;
    const ttl = Math.max(least, Math.min(most, selector.changeSeconds));
    writeTexts(query, explanation(query, target, events, ttl));
    return Rcode.NOERROR;
  }
}

interface Target {
  readonly kind: number;
  readonly index: number;
}

function targetOf(query: QueryState, set: number): Target {
  const chunk = query.lookup.chunk!;
  const link = chunk.words[(set >>> 2) + 1]!;
  const target = chunk.targetOf(link);
  return { kind: target & 1, index: target >> 1 };
}

/** Whether label `label` of the name asked, with its length byte, is `wanted`, and a name follows. */
function isLabel(query: QueryState, label: number, wanted: Uint8Array): boolean {
  const { name } = query.served;
  if (label + 1 > name.labelCount) return false;
  const start = name.starts[label]!;
  return wanted.every((byte, index) => name.bytes[start + index] === byte);
}

function nodeOf({ policies }: World, policy: number, wanted: string): number {
  for (let node = 0; node < policies.nodeCount; node++) {
    if (policies.policyOf(node) === policy && policies.nodeName(node) === wanted) return node;
  }
  return -1;
}

/** One sentence a string: what decided, for whom, each step, and the outcome. */
function explanation(
  query: QueryState,
  target: Target,
  events: readonly TraceEvent[],
  ttl: number,
): string[] {
  const { world, revision, overlay, selector } = query.served;
  const what =
    target.kind === TargetKind.pool
      ? `pool/${world.pools.poolName(target.index)}`
      : `policy/${world.policies.policyName(target.index)}`;
  const from = query.usesEcs ? "the client subnet" : "the resolver";
  return [
    `revision ${revision}, overlay ${overlay.sequence}, draw ${query.draw}`,
    `${what} decides for a /${query.client.prefixLength} known from ${from}, scope /${selector.scope}, TTL ${ttl} s`,
    ...events.flatMap((event) => stepText(world, event) ?? []),
  ];
}

function stepText(world: World, event: TraceEvent): string | undefined {
  const { policies, pools } = world;
  switch (event.kind) {
    case "node": {
      const kind = nodeKindName[policies.kindOf(event.node)] ?? "";
      const audience = event.audience < 0 ? "" : `, audience ${event.audience}`;
      return `node ${policies.nodeName(event.node)} (${kind}${audience})`;
    }
    case "nodeEnd":
      return event.status === Status.ok
        ? undefined
        : `node ${policies.nodeName(event.node)}: ${statusText[event.status] ?? ""}`;
    case "pool":
      return `pool ${poolText(pools, event.pool)}: ${event.candidates.length} candidates, ${statusText[event.status] ?? ""}`;
    case "chosen":
      return world.endpointName(event.endpoint);
    default:
      return undefined;
  }
}

function poolText(pools: PoolTable, pool: number): string {
  return pool < 0 ? "?" : pools.poolName(pool);
}

function writeTexts(query: QueryState, texts: readonly string[]): void {
  const { response } = query;
  const strings = texts
    .slice(0, STRINGS_MAX)
    .map((text) => Buffer.from(text).subarray(0, STRING_BYTES_MAX));
  const bytes = strings.reduce((sum, string) => sum + 1 + string.length, 0);
  response.beginSet(Section.answer);
  if (!response.beginRecord(query.served.name.messageOffsets[0]!, RRType.TXT, 0, bytes)) return;
  for (const string of strings) {
    response.byte(string.length);
    response.copy(string, 0, string.length);
  }
  response.endRecord();
  response.commitSet();
}
