// SPDX-License-Identifier: Apache-2.0
import { Client, type LocationMap } from "@meridian/snapshot";
import {
  type AddressPrefix,
  type ClassifiedPrefix,
  type ClassifierDraft,
  ClassNumbers,
  comparePrefixes,
  containsPrefix,
} from "@meridian/snapshot/writer";
import {
  type LatencyTable,
  type PrefixLatency,
  preferenceOrder,
} from "../../data-sets/latency-table.ts";
import { classesByOrder, orderBy } from "../proximity/compile.ts";
import { type Coordinates, distanceKm } from "../proximity/great-circle.ts";

/** How far a packet gets in one ms of round-trip time: light in glass goes 200 km a ms, there and back. */
export const KM_PER_RTT_MS = 100;

/** A branch of a latency node with its site's coordinates. */
export interface LatencyBranch {
  readonly site: string;
  readonly coordinates?: Coordinates | undefined;
}

/** What a latency node is compiled from. */
export interface LatencyInput {
  readonly branches: readonly LatencyBranch[];
  readonly table: LatencyTable;
  /** Estimates by distance where nothing is measured; without it such clients get the branches as listed. */
  readonly map?: LocationMap | undefined;
}

/**
 * Classes of a latency node. A measured client prefix has its sites in the table's order of preference (which has the hysteresis); a site not
 * measured there has the time of the next wider measured prefix, else distance ÷ 100 km/ms, and is fitted in by the same
 * rule. All other clients go by distance.
 */
export function compileLatency({ branches, table, map }: LatencyInput): ClassifierDraft {
  const far =
    map === undefined
      ? undefined
      : classesByOrder(map, branches.length, (from) => orderBy(estimates(branches, from)));
  const numbers = new ClassNumbers();
  // The classes by distance keep their numbers: they are asked for first, in order.
  for (const order of far?.orders ?? [branches.map((_, index) => index)]) numbers.of(order);
  const prefixes = prefixClasses(branches, table, map, numbers);
  return {
    orders: numbers.orders,
    defaultClass: far?.defaultClass ?? 0,
    prefixes: far === undefined ? withRest(prefixes) : prefixes,
    ...(far?.locations !== undefined && { locations: far.locations }),
  };
}

function prefixClasses(
  branches: readonly LatencyBranch[],
  table: LatencyTable,
  map: LocationMap | undefined,
  numbers: ClassNumbers,
): ClassifiedPrefix[] {
  const sites = new Set(branches.map(({ site }) => site));
  const measured = [...table.values()]
    .filter((entry) => [...entry.sites.keys()].some((site) => sites.has(site)))
    .toSorted((a, b) => comparePrefixes(a.prefix, b.prefix));
  const outer: PrefixLatency[] = [];
  return measured.map((entry) => {
    for (let top = outer.at(-1); top !== undefined; top = outer.at(-1)) {
      if (containsPrefix(top.prefix, entry.prefix)) break;
      outer.pop();
    }
    outer.push(entry);
    const from = map === undefined ? undefined : coordinatesOf(map, entry.prefix);
    const guesses = from === undefined ? [] : estimates(branches, from);
    return { prefix: entry.prefix, cls: numbers.of(orderOf(branches, outer, guesses)) };
  });
}

/** Branches for a measured prefix, the last of `nest`, which lie one inside the other. */
function orderOf(
  branches: readonly LatencyBranch[],
  nest: readonly PrefixLatency[],
  guesses: readonly number[],
): number[] {
  const times = new Map<string, number>();
  branches.forEach(({ site }, index) => {
    const known = nest.findLast((entry) => entry.sites.has(site))?.sites.get(site)?.rttMs;
    times.set(site, known ?? guesses[index] ?? Number.MAX_VALUE);
  });
  const order = preferenceOrder(times, nest.at(-1)?.order ?? []);
  return order.flatMap((site) =>
    branches.flatMap((branch, index) => (branch.site === site ? [index] : [])),
  );
}

/** Round-trip times in ms by distance; branches without coordinates come last. */
function estimates(branches: readonly LatencyBranch[], from: Coordinates): number[] {
  return branches.map(({ coordinates }) =>
    coordinates === undefined ? Number.MAX_VALUE : distanceKm(from, coordinates) / KM_PER_RTT_MS,
  );
}

/** Without a map the whole space needs a class: that of the branches as listed, class 0. */
function withRest(prefixes: readonly ClassifiedPrefix[]): ClassifiedPrefix[] {
  const everywhere = ([4, 6] as const).map((family): ClassifiedPrefix => {
    return { prefix: { family, words: [0, 0, 0, 0], length: 0 }, cls: 0 };
  });
  return [...everywhere, ...prefixes];
}

function coordinatesOf(map: LocationMap, prefix: AddressPrefix): Coordinates | undefined {
  const client = new Client();
  client.family = prefix.family;
  client.prefixLength = prefix.length;
  [client.word0, client.word1, client.word2, client.word3] = prefix.words;
  const { latitude, longitude } = map.place(map.lookup(client));
  return latitude === undefined || longitude === undefined ? undefined : { latitude, longitude };
}
