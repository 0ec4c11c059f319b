// SPDX-License-Identifier: Apache-2.0

// Why a client gets the answer that it gets. It is the answering code, traced: the same look-up, the same draw, the same selector; the
// chances beside it come from the slow twin, which follows every way that the draw did not take.

import { RRType, formatIpv4, formatIpv6, formatName, parseName, typeFromText } from "@meridian/dns";
import {
  Client,
  ClientLocation,
  FAMILY_IPV6,
  Found,
  NameLookup,
  NodeFlag,
  NodeWord,
  Outcome,
  QueryName,
  Selector,
  TargetKind,
  boundSetOf,
  decisionDraw,
  distribution,
  type BoundSet,
  type LoadedZone,
  type TraceEvent,
  type World,
  type ZoneTable,
} from "../index.ts";
import { formatPrefix } from "../location/prefix.ts";
import { buildTree, type ExplainTree } from "./explain-tree.ts";

/** An address as bytes and what is known of it. */
export interface ExplainClient {
  readonly family: 4 | 6;
  readonly bytes: Uint8Array;
  readonly prefixLength: number;
}

export interface ExplainQuestion {
  readonly name: string;
  /** `A`, `AAAA`, `HTTPS`… */
  readonly type: string;
  /** The client subnet that the resolver sends along (ECS). */
  readonly client?: ExplainClient;
  /** Who asks. */
  readonly resolver: ExplainClient;
  readonly nowSeconds: number;
  /** Name of the view that is meant; that of the resolver's address when not set. */
  readonly view?: string;
}

/** The parts of a failover in milliseconds, each at its worst. */
export interface ExplainBudget {
  readonly detectionMs: number;
  readonly decisionMs: number;
  readonly publishMs: number;
  readonly ttlMs: number;
  readonly drainMs: number;
  readonly totalMs: number;
}

/** What is known about one answer. */
export interface Explanation {
  readonly name: string;
  readonly type: string;
  readonly revision: number;
  readonly sequence: number;
  readonly at: string;
  readonly zone: string | undefined;
  /** Where there are views: the one whose zones are shown, none where `name` is not set, and why. */
  readonly view?: { readonly name?: string; readonly why: string };
  /** The edges that serve the zone, where a Cell says which. */
  readonly shard?: ExplainShard;
  /** Set where the zone is not shown to the resolver unless it signs (`allowQuery`): it is refused, whatever else is said here. */
  readonly isRefused?: true;
  /** What another server was told is decided of the name, and when, in words. */
  readonly published?: string;
  /** `endpoints`, `alias`, `withheld`, `static`, `delegation`, `dname`, `no such name`, `no such type`, `not served here`. */
  readonly outcome: string;
  readonly target?: string;
  readonly client?: { readonly prefix: string; readonly from: string };
  readonly scope?: number;
  readonly draw?: number;
  /** In a signed zone: how many sets answers of several endpoints are drawn from, at each pool or node. */
  readonly variants?: number;
  readonly ttl?: number;
  /** Extended DNS error that goes with a withheld answer (RFC 8914). */
  readonly ede?: number;
  readonly tree?: ExplainTree;
  /** Chance of each outcome over all draws, for this client, of the first answer. */
  readonly chances?: readonly { readonly outcome: string; readonly chance: number }[];
  readonly answer: readonly string[];
  /** Of signed zones: with what, and whether the signature is there. */
  readonly signing?: ExplainSigning;
  readonly budget?: ExplainBudget;
}

/** How an answer of a signed zone is signed at this process. */
export interface ExplainSigning {
  /** Keys that sign answers, their algorithms by number. */
  readonly keys: readonly { readonly tag: number; readonly algorithm: number }[];
  readonly denial: string;
  readonly validitySeconds: number;
  readonly refreshSeconds: number;
  /** Whether the signature of this answer is there; else it is made when a client asks. */
  readonly isReady: boolean;
  /** When it begins and ends to hold, and from when on it is made anew; of one that is there. */
  readonly inception?: string;
  readonly expiration?: string;
  readonly refresh?: string;
}

/** Where a zone is that is not at every edge. */
export interface ExplainShard {
  readonly cell: string;
  /** `tenant/NAME` or `zone/ORIGIN`. */
  readonly unit: string;
  /** None while it is to be placed. */
  readonly edges: readonly string[];
  /** Edges that serve it for a while still, `*` for all. */
  readonly leaving: readonly string[];
}

/** What is explained: a snapshot and an overlay, now or of old. */
export interface ExplainView {
  readonly world: World;
  readonly slots: Uint32Array;
  /** The failover budget of `pool/NAMESPACE/NAME` or `policy/NAMESPACE/NAME`, where the documents behind it are known. */
  readonly budgetOf?: ((target: string, ttlMs: number) => ExplainBudget | undefined) | undefined;
  readonly revision: number;
  readonly sequence: number;
  /** When the failover `NAMESPACE/POLICY/NODE` goes back to its first tier by itself, in words. */
  readonly failbackOf?: (name: string) => string | undefined;
  /** Where the zone of an origin is; undefined for one at every edge. */
  readonly shardOf?: (origin: string) => ExplainShard | undefined;
  /** What a name was published with elsewhere, in words. */
  readonly publishedOf?: (name: string) => string | undefined;
  /** Why an endpoint has its verdict, who said so and since when. */
  readonly causeOf?: (endpoint: string) => string | undefined;
  /** How the answer to a question is signed; undefined where the zone is not. */
  readonly signingOf?: (question: ExplainQuestion, zones: ZoneTable) => ExplainSigning | undefined;
  /** Who gave the branches of a node other weights than the document's, in words; the policy is `NAMESPACE/NAME`. */
  readonly weightCauseOf?: (policy: string, node: string) => string | undefined;
  /** The routing control that keeps traffic from an endpoint, as `NAMESPACE/NAME`. */
  readonly switchedOffBy?: (endpoint: number) => string | undefined;
  /** The shift that moves traffic away from an endpoint, as in `the manual shift 1a2b of site/eu`. */
  readonly shiftedBy?: (endpoint: number) => string | undefined;
  /** The shift that is announced for an endpoint, and when it starts. */
  readonly announcedBy?: (endpoint: number) => string | undefined;
}

/** Explains one question; undefined where the name is none. */
export function explain(view: ExplainView, question: ExplainQuestion): Explanation | undefined {
  const wire = parseName(question.name.endsWith(".") ? question.name : `${question.name}.`);
  const type = typeFromText(question.type);
  if (!(wire instanceof Uint8Array) || type === undefined) return undefined;
  const { world } = view;
  const name = new QueryName(world.zones.seed);
  name.set(wire, 0, wire.length, 0);
  const asked = {
    name: formatName(wire),
    type: question.type,
    revision: view.revision,
    sequence: view.sequence,
    at: new Date(question.nowSeconds * 1000).toISOString(),
    answer: [],
  };
  const seen = viewOf(world, question);
  const shown = seen === undefined ? {} : { view: seen.view };
  const zone = (seen?.zones ?? world.zones).find(name, 0);
  if (zone === undefined)
    return { ...asked, ...shown, zone: undefined, outcome: "not served here" };
  const lookup = new NameLookup();
  const found = lookup.find(zone, name, type === RRType.DS);
  const zoneName = zone.name;
  const shard = view.shardOf?.(formatName(zone.origin));
  const { family, bytes } = question.resolver;
  const isRefused = zone.access?.allows(bytes, 0, family, undefined) === false;
  const published = view.publishedOf?.(asked.name.toLowerCase().replace(/(?<=.)\.$/, ""));
  const signing = view.signingOf?.(question, seen?.zones ?? world.zones);
  const base = {
    ...asked,
    ...shown,
    ...(signing === undefined ? {} : { signing }),
    ...(shard === undefined ? {} : { shard }),
    ...(isRefused ? { isRefused } : {}),
    ...(published === undefined ? {} : { published }),
  };
  const outcomes: Readonly<Record<number, string>> = {
    [Found.delegation]: "delegation",
    [Found.dname]: "dname",
    [Found.nothing]: "no such name",
  };
  const early = outcomes[found];
  if (early !== undefined) return { ...base, zone: zoneName, outcome: early };
  const set = boundSetOf(lookup, type);
  if (set === undefined)
    return { ...base, zone: zoneName, outcome: lookup.set(type) >= 0 ? "static" : "no such type" };
  return explainBound(view, question, { zone, zoneName, name, lookup, set, type, base });
}

/** What is shown to who asks; undefined where there are no views. */
function viewOf(
  world: World,
  { view, resolver }: ExplainQuestion,
): { readonly zones: ZoneTable; readonly view: NonNullable<Explanation["view"]> } | undefined {
  const { views } = world;
  if (views === undefined) return undefined;
  const { family, bytes } = resolver;
  const index =
    view === undefined ? views.find(bytes, 0, family, NO_KEY) : views.names.indexOf(view);
  const name = views.names[index];
  const address = family === FAMILY_IPV6 ? formatIpv6(bytes) : formatIpv4(bytes);
  const why =
    view !== undefined
      ? "as asked"
      : name === undefined
        ? `no view has ${address}, unless it signs`
        : `the first one that ${address} fits, unless it signs`;
  return {
    zones: world.zonesOf(index),
    view: { ...(name === undefined ? {} : { name }), why },
  };
}

const NO_KEY = -1;

interface BoundName {
  readonly zone: LoadedZone;
  readonly zoneName: string;
  readonly name: QueryName;
  readonly lookup: NameLookup;
  readonly set: BoundSet;
  readonly type: number;
  readonly base: Omit<Explanation, "zone" | "outcome">;
}

function explainBound(view: ExplainView, question: ExplainQuestion, bound: BoundName): Explanation {
  const { world, slots } = view;
  const { targetKind, target, ttlMin, ttlMax, answers, clientLocation } = bound.set;
  const { client, from } = locate(world, bound.zone, clientLocation, question);
  const draw = decisionDraw(
    world.seed,
    bound.name.hashes[0] ?? 0,
    client,
    question.nowSeconds,
    ttlMax,
  );
  const events: TraceEvent[] = [];
  const selector = new Selector(world);
  selector.trace = { add: (event) => events.push(event) };
  const family = bound.type === RRType.A ? 4 : bound.type === RRType.AAAA ? 6 : 0;
  selector.variantBits = bound.zone.variantBits;
  selector.variantSeed = bound.name.hashes[bound.lookup.label] ?? 0;
  const outcome = selector.select(slots, targetKind, target, client, draw, family, answers);
  const ttl = Math.max(ttlMin, Math.min(ttlMax, selector.changeSeconds));
  const chances = [...distribution(world, slots, targetKind, target, client, family)]
    .map(([key, chance]) => ({
      outcome: key.startsWith("name@")
        ? `name ${world.policies.nameAtByte(Number(key.slice(5)))}`
        : key,
      chance,
    }))
    .toSorted((a, b) => b.chance - a.chance);
  const targetName =
    targetKind === TargetKind.pool
      ? `pool/${world.pools.poolName(target)}`
      : `policy/${world.policies.policyName(target)}`;
  const budget = view.budgetOf?.(targetName, ttlMax * 1000);
  return {
    ...bound.base,
    zone: bound.zoneName,
    outcome:
      outcome === Outcome.endpoints
        ? "endpoints"
        : outcome === Outcome.alias
          ? "alias"
          : "withheld",
    target: targetName,
    client: { prefix: prefixText(client), from },
    scope: selector.scope,
    draw,
    ...(bound.zone.variantBits === 0 ? {} : { variants: 2 ** bound.zone.variantBits }),
    ttl,
    ...(outcome === Outcome.noData ? { ede: selector.ede } : {}),
    tree: buildTree(world, slots, events, {
      placeOf: (node) => placeText(world, node, client),
      failbackOf: view.failbackOf ?? (() => undefined),
      causeOf: view.causeOf ?? (() => undefined),
      weightCauseOf: view.weightCauseOf ?? (() => undefined),
      switchedOffBy: view.switchedOffBy ?? (() => undefined),
      shiftedBy: view.shiftedBy ?? (() => undefined),
      announcedBy: view.announcedBy ?? (() => undefined),
    }),
    chances,
    answer: answerTexts(world, selector, outcome, bound, question.type, ttl),
    ...(budget === undefined ? {} : { budget }),
  };
}

/** Whom the decision is for, by the rules of the query path (RFC 7871, design §5). */
function locate(
  world: World,
  zone: LoadedZone,
  ownMode: number,
  question: ExplainQuestion,
): { client: Client; from: string } {
  const mode = ownMode === ClientLocation.inherit ? zone.clientLocation : ownMode;
  const client = new Client();
  const { resolver, client: subnet } = question;
  client.set(resolver.family, resolver.bytes, 0, resolver.family === FAMILY_IPV6 ? 128 : 32);
  const byResolver = (why: string): { client: Client; from: string } =>
    world.resolvers?.relocate(client) === true
      ? { client, from: `where a data set puts the clients of the resolver${why}` }
      : { client, from: `the resolver's address${why}` };
  if (mode === ClientLocation.resolver) return byResolver(" (clientLocation: resolver)");
  if (subnet !== undefined && subnet.prefixLength > 0) {
    if (zone.trusts(resolver.family, client.word0, client.word1, client.word2, client.word3)) {
      client.set(subnet.family, subnet.bytes, 0, subnet.prefixLength);
      return { client, from: "the client subnet that the resolver sent" };
    }
    if (mode !== ClientLocation.ecsOnly)
      return byResolver(": its client subnets are not believed here");
  }
  if (mode === ClientLocation.ecsOnly) {
    client.set(4, new Uint8Array(16), 0, 0);
    return { client, from: "nothing: no client subnet came (clientLocation: ecs-only)" };
  }
  const isOptOut = subnet !== undefined;
  return isOptOut ? { client, from: "the resolver's address" } : byResolver("");
}

function placeText(world: World, node: number, client: Client): string | undefined {
  const classifier =
    world.classifiers[
      world.classifierOfLink[world.policies.nodeWord(node, NodeWord.classifier)] ?? -1
    ];
  if (classifier === undefined) return undefined;
  classifier.classify(client);
  return classifier.map === undefined || classifier.location < 0
    ? undefined
    : classifier.map.placeText(classifier.location);
}

function answerTexts(
  world: World,
  selector: Selector,
  outcome: number,
  bound: BoundName,
  type: string,
  ttl: number,
): string[] {
  const { name } = bound.base;
  if (outcome === Outcome.noData) return [];
  if (outcome === Outcome.alias) return aliasTexts(world, selector, bound, type, ttl);
  return [...selector.chosen.subarray(0, selector.chosenCount)].flatMap((endpoint) => {
    const host = world.pools.hostNameOf(endpoint);
    const isAlias = host >= 0 && !world.pools.isResolved(endpoint) && mayAlias(bound);
    if (isAlias) return `${name} ${ttl} CNAME ${formatName(world.pools.bytes, host)}`;
    const family = type === "AAAA" ? 6 : 4;
    const shown = type === "A" || type === "AAAA" ? type : `${type} of`;
    return addressTexts(world, endpoint, family).map(
      (address) => `${name} ${ttl} ${shown} ${address} (${world.endpointName(endpoint)})`,
    );
  });
}

/** A CNAME where one may stand, else what lies behind the alias. */
function aliasTexts(
  world: World,
  selector: Selector,
  bound: BoundName,
  type: string,
  ttl: number,
): string[] {
  const { name } = bound.base;
  const at = selector.aliasOffset;
  const alias = world.policies.nameAtByte(at);
  if (mayAlias(bound)) return [`${name} ${ttl} CNAME ${alias}`];
  const family = type === "AAAA" ? 6 : 4;
  const out = new Uint8Array(family === 4 ? 4 : 16);
  const { resolved } = world.policies;
  if (resolved.count(at, 4) + resolved.count(at, 6) === 0 || (type !== "A" && type !== "AAAA"))
    return [`${name} ${ttl} ${type} of ${alias}`];
  return Array.from({ length: resolved.count(at, family) }, (_, index) => {
    resolved.copy(at, family, index, out, 0);
    return `${name} ${ttl} ${type} ${family === 4 ? formatIpv4(out) : formatIpv6(out)} (${alias})`;
  });
}

/** Whether a CNAME may stand at the name: not at an apex, nor beside other data (RFC 2181 §10.1). */
function mayAlias({ lookup }: BoundName): boolean {
  return (lookup.flags & NodeFlag.isApex) === 0 && lookup.chunk?.bytes[lookup.node + 2] === 1;
}

/** An endpoint's own address of a family, else those that its host name resolved to. */
function addressTexts(world: World, endpoint: number, family: 4 | 6): string[] {
  const out = new Uint8Array(family === 4 ? 4 : 16);
  const format = family === 4 ? formatIpv4 : formatIpv6;
  const { pools } = world;
  if (family === 4 ? pools.hasIpv4(endpoint) : pools.hasIpv6(endpoint)) {
    if (family === 4) pools.copyIpv4(endpoint, out, 0);
    else pools.copyIpv6(endpoint, out, 0);
    return [format(out)];
  }
  return Array.from({ length: world.resolvedCount(endpoint, family) }, (_, index) => {
    world.copyResolved(endpoint, family, index, out, 0);
    return format(out);
  });
}

function prefixText(client: Client): string {
  return formatPrefix({
    family: client.family === FAMILY_IPV6 ? 6 : 4,
    words: [client.word0, client.word1, client.word2, client.word3],
    length: client.prefixLength,
  });
}
