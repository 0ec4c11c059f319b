// SPDX-License-Identifier: Apache-2.0

/** Rows that are listed at once. */
const ROWS_MAX = 10_000;

/** The whole number of a parameter, `unless` where it is not given; a text says what is wrong. */
export function queryCount(
  query: Readonly<Record<string, string>>,
  name: "count" | "top",
  unless: number,
): number | string {
  const text = query[name];
  const count = Number(text ?? unless);
  return text === undefined || (Number.isInteger(count) && count >= 0 && count <= ROWS_MAX)
    ? count
    : `Parameter "${name}" is "${text}", expected a whole number up to ${ROWS_MAX}`;
}
