// SPDX-License-Identifier: Apache-2.0

// What a scenario's documents make: the snapshot, what is probed, and a station for each endpoint.

import { assert, parseDuration } from "@meridian/core";
import type { ProbePlan } from "@meridian/health";
import type { Model } from "@meridian/model";
import { worldOf, type World } from "@meridian/snapshot";
import { capacityRules } from "../capacity-rules.ts";
import { compile, type CompileOptions } from "../compile.ts";
import { classifierCompiler } from "../data-sets/classifier-compiler.ts";
import { DataSets } from "../data-sets/data-sets.ts";
import { ProbeTargets } from "../probe-targets.ts";
import { shiftReaches } from "../shift-effects.ts";
import type { SimulatedDocuments } from "./simulate.ts";
import { Station, type StationSpec } from "./stations.ts";

/** How data sets become classifiers; those of files and the built-in ones where left out. */
export type SimulatedCompile = Partial<Pick<CompileOptions, "classify" | "resolvers">>;

/** The snapshot of a model. */
export function worldFrom(model: Model, given: SimulatedCompile = {}): World {
  const { sections } = compile(model, {
    seed: 1,
    classify: given.classify ?? classifierCompiler(new DataSets()),
    ...(given.resolvers === undefined ? {} : { resolvers: given.resolvers }),
  });
  const world = worldOf(sections, 1);
  assert(typeof world !== "string", "what was compiled is loaded");
  return world;
}

/** What is probed. Host names are taken to have an address, so that what they lead to is probed. */
export function planOf(model: Model): ProbePlan {
  const hosts = new Map<string, string>();
  for (const { members } of model.pools.values())
    for (const { spec } of members.values()) hosts.set(spec.address, "192.0.2.1");
  return {
    targets: new ProbeTargets().of(model, hosts),
    rules: [...capacityRules(model)],
  };
}

/** Index of the endpoint that a key names, or of which it is a part (`KEY#CHECK`); −1 where there is none. */
export function endpointIn(world: World, key: string): number {
  const known = endpointIndices.get(world) ?? indexEndpoints(world);
  return known.get(key.split("#")[0] ?? key) ?? -1;
}

const endpointIndices = new WeakMap<World, ReadonlyMap<string, number>>();

function indexEndpoints(world: World): ReadonlyMap<string, number> {
  const indices = new Map(
    Array.from({ length: world.pools.endpointCount }, (_, endpoint): [string, number] => [
      world.endpointName(endpoint),
      endpoint,
    ]),
  );
  endpointIndices.set(world, indices);
  return indices;
}

/** Indices of the endpoints that places are, −1 for what is none. */
export function endpointsOf(world: World, places: readonly string[]): Int32Array {
  return Int32Array.from(places, (place) => endpointIn(world, place));
}

/** The station of each endpoint: what the scenario says of it, else its document, else its part of what its site can. */
export function stationsOf({ scenario, model }: SimulatedDocuments, world: World): Station[] {
  const { places, clients } = scenario.spec;
  const { pools } = world;
  const sharers = new Map<string, number>();
  const declaringSite = (endpoint: number): string | undefined =>
    model.siteChain(pools.siteOf(endpoint)).find(({ spec }) => spec.capacity !== undefined)
      ?.metadata.name;
  for (let endpoint = 0; endpoint < pools.endpointCount; endpoint++) {
    const site = declaringSite(endpoint);
    if (site !== undefined) sharers.set(site, (sharers.get(site) ?? 0) + 1);
  }
  return Array.from({ length: pools.endpointCount }, (_, endpoint) => {
    const given = places.filter(({ target }) => shiftReaches(model, world, target, endpoint));
    const member = model.pools
      .get(pools.poolName(pools.poolOfEndpoint(endpoint)))
      ?.members.get(pools.memberName(endpoint));
    const site = declaringSite(endpoint);
    const ofSite = model.sites.get(site ?? "")?.spec.capacity;
    const share = ofSite === undefined ? undefined : ofSite / (sharers.get(site ?? "") ?? 1);
    const capacity =
      given.findLast((each) => each.capacity !== undefined)?.capacity ??
      member?.spec.capacity ??
      share;
    const spec: StationSpec = {
      capacity,
      queue: given.findLast((each) => each.queue !== undefined)?.queue ?? capacity ?? 0,
      latencyMs: parseDuration(given.at(-1)?.latency ?? "20ms") ?? 0,
    };
    return new Station(spec, clients.retries);
  });
}
