// SPDX-License-Identifier: Apache-2.0
import type { LocationMap, Place } from "@meridian/snapshot";
import { type ClassifierDraft, ClassNumbers } from "@meridian/snapshot/writer";
import { type BiasFormula, biasedKm, type Coordinates, distanceKm } from "./great-circle.ts";

/** A branch of a proximity node with its coordinates resolved; without any it is the last choice. */
export interface ProximityBranch {
  readonly coordinates?: Coordinates | undefined;
  /** −99 to 99; 0 where not given. */
  readonly bias?: number | undefined;
}

/** Most branch indices in the order lists of one classifier (8 MB). */
export const ORDER_ENTRIES_MAX: number = 4 * 1024 * 1024;
/** Most order lists of one classifier. */
const ORDERS_MAX = 60_000;
/** Grids, in degrees, to which locations are moved in turn until the order lists are few enough; 0 moves none. */
const GRIDS: readonly number[] = [0, 0.5, 1, 2, 4, 8, 16, 32, 90];

/**
 * Classes of a proximity node: for each location all branches by biased great-circle distance, ties by branch. Clients whose place has no
 * coordinates get the branches as they are listed.
 */
export function compileProximity(
  branches: readonly ProximityBranch[],
  formula: BiasFormula,
  map: LocationMap,
): ClassifierDraft {
  return classesByOrder(map, branches.length, (from) => proximityOrder(branches, formula, from));
}

/** Branch indices by biased distance from `from`. */
export function proximityOrder(
  branches: readonly ProximityBranch[],
  formula: BiasFormula,
  from: Coordinates,
): number[] {
  const distances = branches.map(({ coordinates, bias = 0 }) =>
    coordinates === undefined
      ? Number.POSITIVE_INFINITY
      : biasedKm(distanceKm(from, coordinates), bias, formula),
  );
  return orderBy(distances);
}

/** Indices by ascending value, equal values by index. */
export function orderBy(values: readonly number[]): number[] {
  const valueOf = (index: number): number => values[index] ?? Number.POSITIVE_INFINITY;
  return values
    .map((_, index) => index)
    .toSorted((a, b) => (valueOf(a) === valueOf(b) ? a - b : valueOf(a) - valueOf(b)));
}

/**
 * Classes for each location's coordinates. A city data set times many branches could give more order lists than fit; locations are then
 * moved to ever coarser grids until they do.
 */
export function classesByOrder(
  map: LocationMap,
  branchCount: number,
  orderOf: (from: Coordinates) => readonly number[],
  entriesMax: number = ORDER_ENTRIES_MAX,
): ClassifierDraft {
  const listed = Array.from({ length: branchCount }, (_, index) => index);
  const ordersMax = Math.min(ORDERS_MAX, Math.floor(entriesMax / Math.max(1, branchCount)));
  for (const grid of GRIDS) {
    const numbers = new ClassNumbers();
    const defaultClass = numbers.of(listed);
    const classes = new Uint16Array(map.locationCount);
    const known = new Map<string, number>();
    for (const [location, place] of map.places().entries()) {
      const from = snapped(place, grid);
      const key = from === undefined ? "" : `${from.latitude},${from.longitude}`;
      let cls = known.get(key);
      if (cls === undefined) {
        cls = from === undefined ? defaultClass : numbers.of(orderOf(from));
        known.set(key, cls);
        if (numbers.orders.length > ordersMax) break;
      }
      classes[location] = cls;
    }
    if (numbers.orders.length <= ordersMax) {
      return { orders: numbers.orders, defaultClass, prefixes: [], locations: { map, classes } };
    }
  }
  // The coarsest grid has 15 points, far below the least bound (4,096 order lists of 1,024 branches).
  throw new RangeError(`Cannot order ${branchCount} branches: expected at most 1024`);
}

function snapped({ latitude, longitude }: Place, grid: number): Coordinates | undefined {
  if (latitude === undefined || longitude === undefined) return undefined;
  if (grid === 0) return { latitude, longitude };
  return {
    latitude: Math.round(latitude / grid) * grid,
    longitude: Math.round(longitude / grid) * grid,
  };
}
