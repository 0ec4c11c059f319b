// SPDX-License-Identifier: Apache-2.0

// What each endpoint, pool and site is asked to carry, beside what it can.

import type { Model } from "@meridian/model";
import { Admin, Verdict, adminOf } from "@meridian/snapshot";
import { DECISIONS, type DecidedDemand, type ServedPair } from "./decided-load.ts";

/** 1.96 standard errors: a 95 % interval. */
const INTERVAL = 1.96;

/** What of the model says what places can carry. */
export interface PlacesModel extends Pick<Model, "sites" | "siteChain"> {
  readonly pools: ReadonlyMap<
    string,
    {
      readonly members: ReadonlyMap<
        string,
        { readonly spec: { readonly capacity?: number | undefined } }
      >;
    }
  >;
}

/** Load of one place, in the unit of the profile. */
export interface PlaceLoad {
  /** `site/NAME`, `pool/NAMESPACE/NAME` or `endpoint/NAMESPACE/POOL/NAME`; `name/HOST` is elsewhere. */
  readonly target: string;
  readonly load: number;
  /** Half-width of the 95 % interval of `load`: it is found by drawing. */
  readonly error: number;
  /** What it can carry now; undefined where that is not declared. */
  readonly capacity: number | undefined;
}

/** Load of every place, those that get nothing too; sites include what lies in them. */
export interface TrafficLoad {
  readonly places: readonly PlaceLoad[];
  /** Demand that gets no endpoint. */
  readonly withheld: number;
  readonly total: number;
}

/** Adds up what demands bring to each place. */
export function placeLoads(
  model: PlacesModel,
  pair: ServedPair,
  decided: readonly DecidedDemand[],
): TrafficLoad {
  const { world } = pair;
  const sums = new Map<string, { load: number; variance: number }>();
  const chains = siteChains(model, pair);
  for (const { rate, endpoints, names } of decided) {
    const shares = new Map<string, number>();
    const raise = (target: string, share: number): void => {
      shares.set(target, (shares.get(target) ?? 0) + share);
    };
    for (const [endpoint, share] of endpoints)
      for (const target of chains(endpoint)) raise(target, share);
    for (const [name, share] of names) raise(`name/${name}`, share);
    for (const [target, share] of shares) {
      const sum = sums.get(target) ?? { load: 0, variance: 0 };
      sum.load += rate * share;
      sum.variance += (rate * rate * Math.max(0, share * (1 - share))) / DECISIONS;
      sums.set(target, sum);
    }
  }
  const capacities = capacitiesOf(model, pair);
  const targets = new Set([...capacities.keys(), ...sums.keys()]);
  for (let endpoint = 0; endpoint < world.pools.endpointCount; endpoint++)
    for (const target of chains(endpoint)) targets.add(target);
  return {
    places: [...targets].toSorted(byText).map((target) => {
      const { load = 0, variance = 0 } = sums.get(target) ?? {};
      const error = INTERVAL * Math.sqrt(variance);
      return { target, load, error, capacity: capacities.get(target) };
    }),
    withheld: decided.reduce((sum, { rate, withheld }) => sum + rate * withheld, 0),
    total: decided.reduce((sum, { rate }) => sum + rate, 0),
  };
}

/** Places that carry more than they can. */
export function overloaded({ places }: TrafficLoad): PlaceLoad[] {
  return places.filter(({ load, capacity }) => capacity !== undefined && load > capacity);
}

/** An endpoint, its pool, and the sites that it lies in. */
function siteChains(model: PlacesModel, { world }: ServedPair): (endpoint: number) => string[] {
  const known = new Map<number, string[]>();
  return (endpoint) => {
    let chain = known.get(endpoint);
    if (chain === undefined) {
      const { pools } = world;
      const sites = model.siteChain(pools.siteOf(endpoint)).map(({ metadata }) => metadata.name);
      chain = [
        world.endpointName(endpoint),
        `pool/${pools.poolName(pools.poolOfEndpoint(endpoint))}`,
        ...sites.map((site) => `site/${site}`),
      ];
      known.set(endpoint, chain);
    }
    return chain;
  };
}

/**
 * What places can carry now. An endpoint: what it declares; a pool: what its endpoints can; a site: what it declares, else what its endpoints and
 * the sites in it can. What gets no traffic adds nothing, and where something that does declares nothing, nothing is known.
 */
function capacitiesOf(
  model: PlacesModel,
  { world, slots }: ServedPair,
): Map<string, number | undefined> {
  const { pools } = world;
  const sums = new Map<string, number | undefined>();
  const own = new Map<string, number | undefined>();
  const serving = new Set<string>();
  for (let endpoint = 0; endpoint < pools.endpointCount; endpoint++) {
    const pool = pools.poolName(pools.poolOfEndpoint(endpoint));
    const members = model.pools.get(pool)?.members;
    const declared = members?.get(pools.memberName(endpoint))?.spec.capacity;
    const slot = slots[endpoint] ?? 0;
    const isServing = (slot & 3) !== Verdict.unhealthy && adminOf(slot) === Admin.active;
    const capacity = isServing ? declared : 0;
    sums.set(world.endpointName(endpoint), capacity);
    addTo(sums, `pool/${pool}`, capacity);
    const site = pools.siteOf(endpoint);
    addTo(own, site, capacity);
    if (isServing) for (const { metadata } of model.siteChain(site)) serving.add(metadata.name);
  }
  const children = Map.groupBy(model.sites.values(), ({ spec }) => spec.parent ?? "");
  const ofSite = (name: string): number | undefined => {
    const declared = model.sites.get(name)?.spec.capacity;
    if (declared !== undefined) return declared;
    const parts = [own.has(name) ? own.get(name) : 0];
    for (const { metadata } of children.get(name) ?? [])
      parts.push(serving.has(metadata.name) ? ofSite(metadata.name) : 0);
    return parts.includes(undefined)
      ? undefined
      : parts.reduce<number>((sum, part) => sum + (part ?? 0), 0);
  };
  for (const name of model.sites.keys()) sums.set(`site/${name}`, ofSite(name));
  return sums;
}

function addTo(
  sums: Map<string, number | undefined>,
  target: string,
  capacity: number | undefined,
): void {
  const before = sums.has(target) ? sums.get(target) : 0;
  const isKnown = before !== undefined && capacity !== undefined;
  sums.set(target, isKnown ? before + capacity : undefined);
}

function byText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
