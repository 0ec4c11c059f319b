// SPDX-License-Identifier: Apache-2.0
import { spread, type Spread } from "../load/measure/statistics.ts";

// A benchmark may print what it likes; a line counts if it is a name and then a time with its unit, as all files of
// bench/micro print, whether they use mitata or not: `name   12.34 ns (…)`.

const units: Readonly<Record<string, number>> = { ns: 1, µs: 1e3, us: 1e3, ms: 1e6, s: 1e9 };

/** The first time in each line, in nanoseconds by the text before it. */
export function parseTimes(output: string): ReadonlyMap<string, number> {
  const times = new Map<string, number>();
  for (const line of output.split("\n")) {
    const found = /^\s*(\S.*?)[\s:]+([0-9][0-9_.]*)\s*(ns|µs|us|ms|s)\b/.exec(line);
    const [, name, value, unit] = found ?? [];
    if (name === undefined || value === undefined || unit === undefined) continue;
    times.set(name, Number(value.replaceAll("_", "")) * (units[unit] ?? 1));
  }
  return times;
}

/** Base and head of one line over all rounds, in nanoseconds. */
export interface Comparison {
  readonly name: string;
  readonly base: Spread;
  readonly head: Spread;
  /** Median over the rounds of head ÷ base of the same round. */
  readonly ratio: Spread;
}

/** Pairs what both sides printed in each round; names that one side lacks are left out. */
export function comparePairs(
  rounds: readonly {
    readonly base: ReadonlyMap<string, number>;
    readonly head: ReadonlyMap<string, number>;
  }[],
): readonly Comparison[] {
  const names = new Set(rounds.flatMap((round) => [...round.base.keys()]));
  return [...names].flatMap((name) => {
    const pairs = rounds.flatMap((round) => {
      const base = round.base.get(name);
      const head = round.head.get(name);
      return base === undefined || head === undefined ? [] : [{ base, head }];
    });
    const base = spread(pairs.map((pair) => pair.base));
    const head = spread(pairs.map((pair) => pair.head));
    const ratio = spread(pairs.map((pair) => pair.head / pair.base));
    if (base === undefined || head === undefined || ratio === undefined) return [];
    return [{ name, base, head, ratio }];
  });
}
