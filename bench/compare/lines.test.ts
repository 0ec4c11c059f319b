// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import { comparePairs, parseTimes } from "./lines.ts";

test("parseTimes() takes name and first time of a line in any unit", () => {
  const output = [
    "mix32                            1.25 ns (1.20 to 1.60)",
    "map, IPv4          38.4 ns (37.0 to 40.1)",
    "decode a query with ECS: 1.5 µs",
    "load                             2.00 ms (1.00 ms to 3.00 ms)",
    "cpu: a machine with 2 cores",
    "",
  ].join("\n");
  assert.deepEqual(
    [...parseTimes(output)],
    [
      ["mix32", 1.25],
      ["map, IPv4", 38.4],
      ["decode a query with ECS", 1500],
      ["load", 2e6],
    ],
  );
});

test("comparePairs() takes ratios within a round, so that drift of the machine cancels", () => {
  const rounds = [1, 2, 3].map((slow) => ({
    base: new Map([
      ["a", 10 * slow],
      ["gone", 1],
    ]),
    head: new Map([
      ["a", 5 * slow],
      ["new", 1],
    ]),
  }));
  const [found, ...others] = comparePairs(rounds);
  assert.deepEqual(others, []);
  assert.deepEqual(found?.ratio, { median: 0.5, min: 0.5, max: 0.5 });
  assert.deepEqual(found?.base, { median: 20, min: 10, max: 30 });
});
