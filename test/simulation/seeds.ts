// SPDX-License-Identifier: Apache-2.0

const LIST = /^(?:(\d+)-)?(\d+)$/;

/**
 * Seeds that a simulation runs: `MERIDIAN_TEST_SEED` alone where it is set, else those of `MERIDIAN_TEST_SEEDS`, `200` for 1 to 200 or
 * `201-400`; from 1 to `usual` where neither is.
 *
 * @throws Error where `MERIDIAN_TEST_SEEDS` is neither a number nor a range.
 */
export function seedsToRun(usual: number): number[] {
  const only = process.env["MERIDIAN_TEST_SEED"];
  if (only !== undefined) return [Number(only)];
  const given = process.env["MERIDIAN_TEST_SEEDS"] ?? String(usual);
  const [, first = "1", last] = LIST.exec(given) ?? [];
  if (last === undefined)
    throw new Error(`MERIDIAN_TEST_SEEDS is "${given}", expected a number or two with "-"`);
  const count = Math.max(0, Number(last) - Number(first) + 1);
  return Array.from({ length: count }, (_, at) => Number(first) + at);
}
