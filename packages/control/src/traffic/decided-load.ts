// SPDX-License-Identifier: Apache-2.0

// Where demand goes: the real selector is asked for each name and audience, once for each of some thousand clients, with draws of a fixed
// seed. So policies, dials, shifts, verdicts, fences and the backing out are what they are in answers, not what somebody made of them.
//
// An answer of several endpoints is shared evenly among them: clients take the first, and resolvers turn the order.

import { Pcg32 } from "@meridian/core";
import { RRType, parseName } from "@meridian/dns";
import type { DemandSource, TrafficProfileSpec } from "@meridian/model";
import {
  Client,
  Found,
  NameLookup,
  Outcome,
  QueryName,
  Selector,
  boundSetOf,
  type BoundSet,
  type World,
} from "@meridian/snapshot";
import { Audiences, type Audience } from "./audience.ts";

/** Decisions for each demand: the half-width of a 95 % interval of a share is 1.5 points at most. */
export const DECISIONS: number = 4096;
const DRAW_SEED = 20_261_123;

/** A snapshot with the slots that it is answered from. */
export interface ServedPair {
  readonly world: World;
  readonly slots: Uint32Array;
}

/** Demand for one name from one audience. */
export interface Demand {
  /** What it is called in its profile. */
  readonly label: string;
  /** Domain name. */
  readonly name: string;
  readonly from: DemandSource;
  /** In the unit of its profile. */
  readonly rate: number;
}

/** Where one demand goes. The shares add up to 1. */
export interface DecidedDemand extends Demand {
  /** Share by index of the endpoint. */
  readonly endpoints: ReadonlyMap<number, number>;
  /** Share by the name that clients are sent on to, elsewhere. */
  readonly names: ReadonlyMap<string, number>;
  /** Share that gets no endpoint: withheld, or all of it where the name is not decided here. */
  readonly withheld: number;
  /** Why all of it is withheld, where the name is not decided here. */
  readonly reason?: "not served here" | "no such name" | "not decided by a policy or pool";
  /** Seconds that a cache may keep the answer, at most. */
  readonly ttlSeconds: number;
  /** False where no data of the snapshot say where the audience is: its clients are taken from anywhere. */
  readonly isPlaced: boolean;
}

/** The demands of a profile. */
export function demandsOf({ demand }: Pick<TrafficProfileSpec, "demand">): Demand[] {
  return Object.entries(demand).map(([label, { name, from, rate }]) => ({
    label,
    name,
    from,
    rate,
  }));
}

/** Asks for each demand where its clients are sent. */
export function decideLoad(
  { world, slots }: ServedPair,
  demands: readonly Demand[],
  audiences: Audiences = new Audiences([world]),
): DecidedDemand[] {
  const selector = new Selector(world);
  return demands.map((demand) => {
    const audience = audiences.of(demand.from);
    const bound = boundName(world, demand.name, audience.family);
    if (typeof bound === "string")
      return {
        ...demand,
        ...{ endpoints: new Map(), names: new Map(), withheld: 1, reason: bound },
        ...{ ttlSeconds: 0, isPlaced: audience.isPlaced },
      };
    return { ...demand, ...decide(selector, slots, bound, audience) };
  });
}

/** A name as clients of one family find it. */
export interface DecidedName {
  readonly set: BoundSet;
  /** 4 or 6; 0 takes any address. */
  readonly family: number;
  readonly variantBits: number;
  readonly variantSeed: number;
  /** What windows of draws begin by. */
  readonly hash: number;
}

/** By which of its types clients of a family find a name; why by none. */
export function boundName(
  world: World,
  text: string,
  family: 4 | 6,
): DecidedName | NonNullable<DecidedDemand["reason"]> {
  const wire = parseName(text.endsWith(".") ? text : `${text}.`);
  if (!(wire instanceof Uint8Array)) return "no such name";
  const name = new QueryName(world.zones.seed);
  name.set(wire, 0, wire.length, 0);
  const zone = world.zones.find(name, 0);
  if (zone === undefined) return "not served here";
  const lookup = new NameLookup();
  const found = lookup.find(zone, name, false);
  if (found === Found.nothing) return "no such name";
  if (found === Found.delegation || found === Found.dname) return "not decided by a policy or pool";
  const own = family === 4 ? RRType.A : RRType.AAAA;
  const other = family === 4 ? RRType.AAAA : RRType.A;
  for (const type of [own, other, RRType.CNAME, RRType.HTTPS, RRType.SVCB, RRType.SRV]) {
    const set = boundSetOf(lookup, type);
    if (set === undefined) continue;
    const wanted = type === RRType.A ? 4 : type === RRType.AAAA ? 6 : 0;
    const variantSeed = name.hashes[lookup.label] ?? 0;
    const hash = name.hashes[0] ?? 0;
    return { set, family: wanted, variantBits: zone.variantBits, variantSeed, hash };
  }
  return "not decided by a policy or pool";
}

/** Told of each decision: the outcome is in the selector, `outcome` an `Outcome`. */
export type EachDecision = (outcome: number, index: number) => void;

/** Decides for `count` clients of an audience, with draws that are always the same. */
export function decideEach(
  selector: Selector,
  slots: Uint32Array,
  { set, family, variantBits, variantSeed }: DecidedName,
  audience: Audience,
  count: number,
  each: EachDecision,
): void {
  selector.variantBits = variantBits;
  selector.variantSeed = variantSeed;
  const client = new Client();
  const random = new Pcg32(DRAW_SEED);
  const { targetKind, target, answers } = set;
  for (let index = 0; index < count; index++) {
    audience.place(client, index, count);
    const draw = random.next32();
    each(selector.select(slots, targetKind, target, client, draw, family, answers), index);
  }
}

function decide(
  selector: Selector,
  slots: Uint32Array,
  name: DecidedName,
  audience: Audience,
): Omit<DecidedDemand, keyof Demand> {
  const endpoints = new Map<number, number>();
  const names = new Map<string, number>();
  let withheld = 0;
  decideEach(selector, slots, name, audience, DECISIONS, (outcome) => {
    if (outcome === Outcome.endpoints) {
      const part = 1 / selector.chosenCount;
      for (let at = 0; at < selector.chosenCount; at++)
        raise(endpoints, selector.chosen[at] ?? 0, part);
    } else if (outcome === Outcome.alias)
      raise(names, selector.world.policies.nameAtByte(selector.aliasOffset), 1);
    else withheld += 1;
  });
  return {
    endpoints: asShares(endpoints),
    names: asShares(names),
    withheld: withheld / DECISIONS,
    ttlSeconds: name.set.ttlMax,
    isPlaced: audience.isPlaced,
  };
}

function raise<Key>(counts: Map<Key, number>, key: Key, by: number): void {
  counts.set(key, (counts.get(key) ?? 0) + by);
}

function asShares<Key>(counts: ReadonlyMap<Key, number>): Map<Key, number> {
  return new Map([...counts].map(([key, count]) => [key, count / DECISIONS]));
}
