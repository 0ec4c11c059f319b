// SPDX-License-Identifier: Apache-2.0

// Whether the assertions of a panel can all be met at once: a search over states of their controls that gives up a branch as soon as one of the
// rules cannot be met any more.

import type { SafetyRuleDocument } from "@meridian/model";

/** States that are looked at; what takes more is taken for possible. */
const STEPS_MAX = 100_000;

/** How many of these are to be On. */
interface Bounds {
  readonly names: ReadonlySet<string>;
  readonly least: number;
  readonly most: number;
}

/** Whether some states of the controls meet every assertion. Such as take too long to find count as there. */
export function areCompatible(rules: readonly SafetyRuleDocument["spec"][]): boolean {
  const bounds = rules.flatMap(({ assertion, require, inverted }): Bounds[] => {
    if (assertion === undefined) return [];
    const names = new Set(assertion.controls);
    const needed =
      require.all !== undefined
        ? names.size
        : require.any !== undefined
          ? 1
          : (require.atLeast ?? 0);
    return [
      inverted ? { names, least: 0, most: needed - 1 } : { names, least: needed, most: names.size },
    ];
  });
  const names = [...new Set(bounds.flatMap((each) => [...each.names]))];
  const on = new Map(bounds.map((each) => [each, 0]));
  const left = new Map(bounds.map((each) => [each, each.names.size]));
  let steps = 0;
  const isPossible = (): boolean =>
    bounds.every((each) => {
      const count = on.get(each) ?? 0;
      return count <= each.most && count + (left.get(each) ?? 0) >= each.least;
    });
  const search = (at: number): boolean => {
    if (!isPossible()) return false;
    const name = names[at];
    if (name === undefined || ++steps > STEPS_MAX) return true;
    const touched = bounds.filter((each) => each.names.has(name));
    const add = (to: Map<Bounds, number>, amount: number): void => {
      for (const each of touched) to.set(each, (to.get(each) ?? 0) + amount);
    };
    add(left, -1);
    add(on, 1);
    if (search(at + 1)) return true;
    add(on, -1);
    if (search(at + 1)) return true;
    add(left, 1);
    return false;
  };
  return search(0);
}
