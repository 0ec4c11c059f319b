// SPDX-License-Identifier: Apache-2.0

/** JSON text whose objects have their names in order of code units, so that equal values are equal texts. */
export function canonicalJson(value: unknown): string {
  return JSON.stringify(ordered(value)) ?? "null";
}

function ordered(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(ordered);
  if (typeof value !== "object" || value === null) return value;
  const entries = Object.entries(value).toSorted(([a], [b]) => (a < b ? -1 : 1));
  // Defines fields rather than setting them: one may be called __proto__.
  return Object.fromEntries(entries.map(([name, each]) => [name, ordered(each)]));
}
