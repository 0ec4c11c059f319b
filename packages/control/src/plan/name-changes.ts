// SPDX-License-Identifier: Apache-2.0

// Which names answer differently, and for whom: both pairs are asked the same, by the same clients with the same draws, so what differs differs
// because of the change. Names that are decided by the same policy or pool before, and by the same one after, are asked about once.

import { setImmediate as nextTurn } from "node:timers/promises";
import { formatName } from "@meridian/dns";
import type { DemandSource } from "@meridian/model";
import {
  Outcome,
  Selector,
  TargetKind,
  sampleOwners,
  walkChunk,
  type World,
} from "@meridian/snapshot";
import { Audiences, type Audience } from "../traffic/audience.ts";
import {
  boundName,
  decideEach,
  type DecidedName,
  type ServedPair,
} from "../traffic/decided-load.ts";

/** Owners of a snapshot that are looked at; of more, so many that the same are looked at on both sides. */
const OWNERS_MAX = 20_000;
/** Changes of deciding that are asked about; those of further ones are not found. */
const QUESTIONS_MAX = 256;
const CLIENTS = 512;
/** Names that are listed. */
const NAMES_LISTED_MAX = 1000;
const SHARES_MAX = 8;
/** Places that are asked about besides those of a profile, where data say where they are. */
const places: readonly DemandSource[] = [
  { everywhere: {} },
  ...(["AF", "AS", "EU", "NA", "OC", "SA"] as const).map((continent) => ({ continent })),
];

/** Part of an audience that gets an answer. */
export interface TargetShare {
  /** `pool/NAMESPACE/NAME`, `endpoint/…`, `name/HOST` or `nothing`. */
  readonly target: string;
  readonly share: number;
}

/** One audience of a name that is answered differently. */
export interface AudienceChange {
  readonly audience: string;
  /** Share of its clients that get another endpoint. */
  readonly moved: number;
  readonly before: readonly TargetShare[];
  readonly after: readonly TargetShare[];
}

export interface NameChange {
  readonly name: string;
  readonly change: "created" | "removed" | "changed";
  /** Records that it has by itself are others. */
  readonly records: boolean;
  /** Longest TTL of what is decided, in seconds, where that is another. */
  readonly ttl?: { readonly before: number; readonly after: number };
  readonly audiences: readonly AudienceChange[];
}

export interface NameChanges {
  /** Names that were looked at. */
  readonly compared: number;
  /** False where there are more names, or more ways to decide, than are looked at. */
  readonly isComplete: boolean;
  readonly changedCount: number;
  /** The first of them by name. */
  readonly changed: readonly NameChange[];
}

/** Compares what two pairs answer. `sources` are audiences that are asked about besides continents. */
export async function nameChanges(
  before: ServedPair,
  after: ServedPair,
  sources: readonly DemandSource[],
): Promise<NameChanges> {
  const [old, now] = [ownersOf(before.world), ownersOf(after.world)];
  const names = [...new Set([...old.names.keys(), ...now.names.keys()])].toSorted();
  const comparison = new Comparison(before, after, sources);
  const changed: NameChange[] = [];
  let changedCount = 0;
  for (const [index, name] of names.entries()) {
    if (index % 16 === 0) await nextTurn();
    const [was, is] = [old.names.get(name), now.names.get(name)];
    const decided = was?.isDecided === true || is?.isDecided === true;
    const { audiences, ttl } = decided ? comparison.of(name) : { audiences: [], ttl: undefined };
    const records = was !== undefined && is !== undefined && was.records !== is.records;
    if (
      was !== undefined &&
      is !== undefined &&
      !records &&
      ttl === undefined &&
      audiences.length === 0
    )
      continue;
    changedCount += 1;
    if (changed.length >= NAMES_LISTED_MAX) continue;
    const change = was === undefined ? "created" : is === undefined ? "removed" : "changed";
    changed.push({ name, change, records, ...(ttl === undefined ? {} : { ttl }), audiences });
  }
  const isComplete = old.isComplete && now.isComplete && comparison.isComplete;
  return { compared: names.length, isComplete, changedCount, changed };
}

interface Owner {
  readonly isDecided: boolean;
  /** Its static records as text. */
  readonly records: string;
}

function ownersOf(world: World): {
  readonly names: ReadonlyMap<string, Owner>;
  readonly isComplete: boolean;
} {
  const count = world.zones.zones.reduce((sum, { ownerCount }) => sum + ownerCount, 0);
  const isComplete = count <= OWNERS_MAX;
  const sampled = isComplete
    ? undefined
    : new Set(sampleOwners(world, OWNERS_MAX).map((name) => formatName(name)));
  const names = new Map<string, Owner>();
  for (const zone of world.zones.zones)
    for (let chunk = 0; chunk < zone.chunkCount; chunk++)
      for (const { owner, records, bindings } of walkChunk(zone, zone.chunkAt(chunk))) {
        const name = formatName(owner);
        if (sampled?.has(name) === false) continue;
        const lines = records
          // The serial of a zone follows every change of it.
          .filter(({ type }) => type !== SOA)
          .map(({ type, ttl, rdata }) => `${type} ${ttl} ${Buffer.from(rdata).toString("hex")}`);
        names.set(name, { isDecided: bindings.length > 0, records: lines.toSorted().join("\n") });
      }
  return { names, isComplete };
}

const SOA = 6;

type Compared = Pick<NameChange, "audiences" | "ttl">;

class Comparison {
  isComplete: boolean = true;
  readonly #before: AskedSide;
  readonly #after: AskedSide;
  readonly #audiences: readonly { readonly text: string; readonly audience: Audience }[];
  readonly #known = new Map<string, readonly AudienceChange[]>();

  constructor(before: ServedPair, after: ServedPair, sources: readonly DemandSource[]) {
    this.#before = new AskedSide(before);
    this.#after = new AskedSide(after);
    const known = new Audiences([before.world, after.world]);
    const wanted = new Map([...places, ...sources].map((from) => [audienceText(from), from]));
    this.#audiences = [...wanted].flatMap(([text, from]) => {
      const audience = known.of(from);
      return audience.isPlaced ? [{ text, audience }] : [];
    });
  }

  of(name: string): Compared {
    const [old, now] = [this.#before.find(name), this.#after.find(name)];
    const ttl =
      old !== undefined && now !== undefined && old.set.ttlMax !== now.set.ttlMax
        ? { ttl: { before: old.set.ttlMax, after: now.set.ttlMax } }
        : {};
    const key = `${this.#before.keyOf(old)} ${this.#after.keyOf(now)}`;
    let audiences = this.#known.get(key);
    if (audiences === undefined) {
      if (this.#known.size >= QUESTIONS_MAX) {
        this.isComplete = false;
        return { audiences: [], ...ttl };
      }
      audiences = this.#audiences.flatMap(
        ({ text, audience }) => this.#compare(text, audience, old, now) ?? [],
      );
      this.#known.set(key, audiences);
    }
    return { audiences, ...ttl };
  }

  #compare(
    text: string,
    audience: Audience,
    old: DecidedName | undefined,
    now: DecidedName | undefined,
  ): AudienceChange | undefined {
    const before = this.#before.ask(old, audience);
    const after = this.#after.ask(now, audience);
    let kept = 0;
    for (let index = 0; index < CLIENTS; index++) {
      const [was, is] = [before[index] ?? [], after[index] ?? []];
      const both = was.filter((target) => is.includes(target)).length;
      kept += both / Math.max(1, was.length, is.length);
    }
    const moved = 1 - kept / CLIENTS;
    if (moved < 1e-9) return undefined;
    const byPool = (target: string): string => poolOf(target);
    const [poolsBefore, poolsAfter] = [shares(before, byPool), shares(after, byPool)];
    const isSamePools = JSON.stringify(poolsBefore) === JSON.stringify(poolsAfter);
    const own = (target: string): string => target;
    return {
      audience: text,
      moved,
      before: isSamePools ? shares(before, own) : poolsBefore,
      after: isSamePools ? shares(after, own) : poolsAfter,
    };
  }
}

/** Targets by decision. */
type Targets = readonly (readonly string[])[];

class AskedSide {
  readonly #pair: ServedPair;
  readonly #selector: Selector;

  constructor(pair: ServedPair) {
    this.#pair = pair;
    this.#selector = new Selector(pair.world);
  }

  find(name: string): DecidedName | undefined {
    const found = boundName(this.#pair.world, name, 4);
    return typeof found === "string" ? undefined : found;
  }

  /** The same for names that are decided alike. */
  keyOf(name: DecidedName | undefined): string {
    if (name === undefined) return "none";
    const { targetKind, target, answers } = name.set;
    return `${targetKind} ${target} ${answers} ${name.family} ${name.variantBits}`;
  }

  ask(name: DecidedName | undefined, audience: Audience): Targets {
    const targets: string[][] = [];
    if (name === undefined) return Array.from({ length: CLIENTS }, () => ["nothing"]);
    const selector = this.#selector;
    const { world, slots } = this.#pair;
    decideEach(selector, slots, name, audience, CLIENTS, (outcome) => {
      if (outcome === Outcome.endpoints)
        targets.push(
          [...selector.chosen.subarray(0, selector.chosenCount)].map((endpoint) =>
            world.endpointName(endpoint),
          ),
        );
      else if (outcome === Outcome.alias)
        targets.push([`name/${world.policies.nameAtByte(selector.aliasOffset)}`]);
      else targets.push(["nothing"]);
    });
    return targets;
  }
}

/** The largest shares first. */
function shares(targets: Targets, nameOf: (target: string) => string): TargetShare[] {
  const counts = new Map<string, number>();
  for (const some of targets)
    for (const target of some) {
      const name = nameOf(target);
      counts.set(name, (counts.get(name) ?? 0) + 1 / some.length);
    }
  return [...counts]
    .map(([target, count]) => ({ target, share: count / targets.length }))
    .toSorted((a, b) => b.share - a.share || (a.target < b.target ? -1 : 1))
    .slice(0, SHARES_MAX);
}

function poolOf(target: string): string {
  const [kind, namespace, pool] = target.split("/");
  return kind === "endpoint" ? `pool/${namespace}/${pool}` : target;
}

/** An audience in words. */
export function audienceText(from: DemandSource): string {
  if (from.continent !== undefined) return `continent ${from.continent}`;
  if (from.country !== undefined) return `country ${from.country}`;
  if (from.asn !== undefined) return `AS${from.asn}`;
  return from.prefix ?? "everywhere";
}

/** What a name is decided by, as budgets are looked up. */
export function targetOf(world: World, name: DecidedName): string {
  const { targetKind, target } = name.set;
  return targetKind === TargetKind.pool
    ? `pool/${world.pools.poolName(target)}`
    : `policy/${world.policies.policyName(target)}`;
}
