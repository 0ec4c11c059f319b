// SPDX-License-Identifier: Apache-2.0

// What few ask of a zone section, and not for each query, lies in it as text (JSON), in a table of its own.

import type { Section } from "../section.ts";

/** Settings as a table holds them. */
export function encodeSettings(settings: object): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(settings));
}

/** A copy of the bytes of a table; undefined where it is empty. */
export function settingsBytes(section: Section, table: number): Uint8Array | undefined {
  const { offset, count } = section.table(table);
  return count === 0 ? undefined : Uint8Array.from(section.bytes.subarray(offset, offset + count));
}

/** The settings in a table; undefined where it has none, or none that are understood. */
export function readSettings<Settings>(
  section: Section,
  table: number,
  isSettings: (raw: unknown) => raw is Settings,
): Settings | undefined {
  const bytes = settingsBytes(section, table);
  if (bytes === undefined) return undefined;
  try {
    const raw: unknown = JSON.parse(new TextDecoder().decode(bytes));
    return isSettings(raw) ? raw : undefined;
  } catch {
    return undefined;
  }
}
