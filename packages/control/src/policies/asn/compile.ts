// SPDX-License-Identifier: Apache-2.0
import type { LocationMap } from "@meridian/snapshot";
import { type ClassifierDraft, ClassNumbers } from "@meridian/snapshot/writer";

/** A branch of an asn node. */
export interface AsnBranch {
  readonly asns?: readonly number[] | undefined;
  readonly default?: boolean | undefined;
}

/** Classes of an asn node: the branch that lists the client's autonomous system, then the default. */
export function compileAsn(branches: readonly AsnBranch[], map: LocationMap): ClassifierDraft {
  const fallback = branches.findIndex((branch) => branch.default === true);
  const rest = fallback < 0 ? [] : [fallback];
  const numbers = new ClassNumbers();
  const defaultClass = numbers.of(rest);
  const classes = new Uint16Array(map.locationCount).fill(defaultClass);
  branches.forEach(({ asns = [] }, index) => {
    for (const asn of asns) {
      const location = map.locationOfAsn(asn);
      // A number is in one branch only; of two the first would count.
      if (location === undefined || classes[location] !== defaultClass) continue;
      classes[location] = numbers.of([index, ...rest]);
    }
  });
  return { orders: numbers.orders, defaultClass, prefixes: [], locations: { map, classes } };
}
