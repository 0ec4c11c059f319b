// SPDX-License-Identifier: Apache-2.0
import type { LocationMap, Place } from "@meridian/snapshot";
import { type ClassifierDraft, ClassNumbers } from "@meridian/snapshot/writer";

/** A branch of a geo node, as far as places go; a place is in one branch only. */
export interface GeoBranch {
  readonly continents?: readonly string[] | undefined;
  readonly countries?: readonly string[] | undefined;
  readonly subdivisions?: readonly string[] | undefined;
  readonly default?: boolean | undefined;
}

/**
 * Classes of a geo node: for each location its branches from the smallest place to the widest (subdivision, country, continent, default), so
 * that backing out of one goes on with the next most general. No match and no default: an empty class, answered as NODATA.
 */
export function compileGeo(branches: readonly GeoBranch[], map: LocationMap): ClassifierDraft {
  const branchOfPlace = new Map<string, number>();
  const add = (place: string, branch: number): void => {
    if (!branchOfPlace.has(place)) branchOfPlace.set(place, branch);
  };
  branches.forEach(({ continents = [], countries = [], subdivisions = [] }, index) => {
    for (const continent of continents) add(`continent ${continent}`, index);
    for (const country of countries) add(`country ${country}`, index);
    for (const subdivision of subdivisions) add(`subdivision ${subdivision}`, index);
  });
  const fallback = branches.findIndex((branch) => branch.default === true);
  if (fallback >= 0) add("default", fallback);

  const numbers = new ClassNumbers();
  const orderOf = (place: Place): number[] => {
    const order: number[] = [];
    for (const key of placeKeys(place)) {
      const branch = branchOfPlace.get(key);
      if (branch !== undefined) order.push(branch);
    }
    return order;
  };
  const defaultClass = numbers.of(orderOf({}));
  const classes = Uint16Array.from(map.places(), (place) => numbers.of(orderOf(place)));
  return { orders: numbers.orders, defaultClass, prefixes: [], locations: { map, classes } };
}

function placeKeys({ continent, country, subdivision }: Place): string[] {
  return [`subdivision ${subdivision}`, `country ${country}`, `continent ${continent}`, "default"];
}
