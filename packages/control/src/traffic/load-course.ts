// SPDX-License-Identifier: Apache-2.0

// How load moves when what is answered changes at once, as the answers that caches still have run out: a population of caches is asked to live
// through it, first with the one answer and then with the other.

import { Pcg32, parseDuration } from "@meridian/core";
import type { TrafficProfileSpec } from "@meridian/model";
import type { World } from "@meridian/snapshot";
import { Audiences } from "./audience.ts";
import type { Demand, ServedPair } from "./decided-load.ts";
import { LoadBins } from "./load-bins.ts";
import { CacheAddresses, PairAnswers, PlaceNumbers, type CacheQuestion } from "./pair-answers.ts";
import { ResolverCaches, keptSeconds, type CacheGroup } from "./resolver-caches.ts";

/** Caches that are looked at one by one: fewer caches are looked at several times over, more are stood for. */
const CACHES_MAX = 40_000;
const CACHES_WANTED = 4000;
const BINS = 60;
const BIN_SECONDS_MIN = 0.25;
/** How far a course is followed. */
const HORIZON_SECONDS_MAX = 3600;
const SEED = 20_261_123;

/** Caches between clients and edges, as a profile says. */
export type ResolverGroups = NonNullable<TrafficProfileSpec["resolvers"]>;

/** When nobody says: of a hundred caches fifteen keep answers for half a minute and five for a minute, whatever their TTL. */
export const usualResolvers: ResolverGroups = {
  honest: { share: 80, caches: 80, ttlFloor: "0s", ttlCap: "24h" },
  "half-minute": { share: 15, caches: 15, ttlFloor: "30s", ttlCap: "24h" },
  minute: { share: 5, caches: 5, ttlFloor: "60s", ttlCap: "24h" },
};

/** Load of one place over time. */
export interface PlaceCourse {
  readonly target: string;
  /** Bin by bin. */
  readonly loads: readonly number[];
}

export interface LoadCourse {
  /** Caches that were looked at one by one. */
  readonly caches: number;
  /** End of each bin, seconds after edges answer otherwise. */
  readonly seconds: readonly number[];
  readonly places: readonly PlaceCourse[];
  /** Share of the load that still goes by answers from before, bin by bin. */
  readonly stale: readonly number[];
  /** Seconds until at most half, a tenth and a hundredth of the load goes by them; undefined where that takes more than is looked at. */
  readonly drained: {
    readonly half?: number | undefined;
    readonly most?: number | undefined;
    readonly nearlyAll?: number | undefined;
  };
}

interface Population {
  readonly groups: readonly CacheGroup[];
  readonly questions: readonly CacheQuestion[];
}

/** The caches of demands. `audiences` are of the snapshot whose data say where clients are. */
export function populationOf(
  audiences: Audiences,
  demands: readonly Demand[],
  resolvers: ResolverGroups,
): Population {
  const kinds = Object.values(resolvers).filter(({ share }) => share > 0);
  const total = kinds.reduce((sum, { share }) => sum + share, 0);
  const asking = demands.filter(({ rate }) => rate > 0);
  const most = Math.max(1, Math.floor(CACHES_MAX / (asking.length * kinds.length || 1)));
  const all = asking.flatMap((demand) =>
    kinds.map(({ share, caches, ttlFloor, ttlCap }) => {
      const wanted = Math.ceil((CACHES_WANTED * share) / total);
      const count = Math.min(most, Math.max(wanted, caches));
      const group: CacheGroup = {
        count,
        weight: caches / count,
        rate: (demand.rate * share) / total / caches,
        ttlFloorSeconds: (parseDuration(ttlFloor) ?? 0) / 1000,
        ttlCapSeconds: (parseDuration(ttlCap) ?? 0) / 1000,
      };
      return { group, question: { name: demand.name, audience: audiences.of(demand.from), count } };
    }),
  );
  return {
    groups: all.map(({ group }) => group),
    questions: all.map(({ question }) => question),
  };
}

/** What an endpoint is told apart by: its site, and its pool where it has none. */
export function leafPlace({ pools }: World, endpoint: number): string {
  const site = pools.siteOf(endpoint);
  return site === "" ? `pool/${pools.poolName(pools.poolOfEndpoint(endpoint))}` : `site/${site}`;
}

/** The course of the load of `demands` from when edges answer `after` instead of `before`. */
export function loadCourse(
  before: ServedPair,
  after: ServedPair,
  demands: readonly Demand[],
  resolvers: ResolverGroups,
  audiences: Audiences = new Audiences([before.world]),
): LoadCourse {
  const { groups, questions } = populationOf(audiences, demands, resolvers);
  const places = new PlaceNumbers();
  const addresses = new CacheAddresses(questions);
  const old = new PairAnswers(before, questions, addresses, places, leafPlace);
  const now = new PairAnswers(after, questions, addresses, places, leafPlace);
  const longest = Math.max(
    1,
    ...groups.map((group, index) => {
      const ttl = Math.max(old.ttlMaxOf(index), now.ttlMaxOf(index));
      return keptSeconds(group, ttl);
    }),
  );
  const horizon = Math.min(HORIZON_SECONDS_MAX, longest * 1.2);
  const binSeconds = Math.max(
    BIN_SECONDS_MIN,
    Math.ceil(horizon / BINS / BIN_SECONDS_MIN) * BIN_SECONDS_MIN,
  );
  // Caches have been through a round or two when it begins.
  const warmBins = Math.ceil(Math.min(HORIZON_SECONDS_MAX, longest * 1.5) / binSeconds);
  const bins = new LoadBins(places.names.length, warmBins + BINS, binSeconds);
  const caches = new ResolverCaches(groups, (group) => old.ttlMaxOf(group), new Pcg32(SEED));
  caches.run(warmBins * binSeconds, old, bins);
  // What is in the bins to come by now was answered before.
  const lasting = places.names.map((_, place) => bins.rates(place).subarray(warmBins));
  caches.run((warmBins + BINS) * binSeconds, now, bins);
  const loads = places.names.map((_, place) => bins.rates(place).subarray(warmBins));
  const seconds = Array.from({ length: BINS }, (_, bin) => (bin + 1) * binSeconds);
  const stale = seconds.map((_, bin) => {
    const all = sumAt(loads, bin);
    return all === 0 ? 0 : Math.min(1, Math.max(0, sumAt(lasting, bin) / all));
  });
  const until = (share: number): number | undefined => {
    const bin = stale.findIndex((each) => each <= share);
    return bin < 0 ? undefined : seconds[bin];
  };
  return {
    caches: caches.count,
    seconds,
    places: places.names.flatMap((target, place) => {
      const course = [...(loads[place] ?? [])];
      return course.some((load) => load > 0) ? [{ target, loads: course }] : [];
    }),
    stale,
    drained: { half: until(0.5), most: until(0.1), nearlyAll: until(0.01) },
  };
}

function sumAt(rows: readonly Float64Array[], bin: number): number {
  return rows.reduce((sum, row) => sum + (row[bin] ?? 0), 0);
}
