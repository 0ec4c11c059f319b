// SPDX-License-Identifier: Apache-2.0
import type { Section } from "../section.ts";
import { strideError } from "../section-check.ts";
import { ADDRESS_ENTRY_WORDS, AddressesTable, RESOLVED_MAX } from "./addresses-format.ts";

const NO_ENTRY = -1;

/** Resolved addresses by endpoint index, read where they lie in their section. */
export class AddressTable {
  readonly #words: Uint32Array;
  readonly #bytes: Uint8Array;
  readonly #entryBase: number;
  readonly #ipv4: number;
  readonly #ipv6: number;
  /** Entry of each endpoint; empty where there is no section, so that it costs nothing. */
  readonly #entryOf: Int32Array;

  /** `entryOf` as `entriesOf()` made it. */
  constructor(section: Section | undefined, entryOf: Int32Array) {
    this.#words = section?.words ?? new Uint32Array(0);
    this.#bytes = section?.bytes ?? new Uint8Array(0);
    this.#entryBase = section?.wordBase(AddressesTable.entries) ?? 0;
    this.#ipv4 = section?.table(AddressesTable.ipv4).offset ?? 0;
    this.#ipv6 = section?.table(AddressesTable.ipv6).offset ?? 0;
    this.#entryOf = entryOf;
  }

  /** Number of addresses of `family` (4 or 6) that the endpoint's host name resolved to, 0 to RESOLVED_MAX. */
  count(endpoint: number, family: number): number {
    const entry = this.#entryOf.length === 0 ? NO_ENTRY : this.#entryOf[endpoint]!;
    if (entry === NO_ENTRY) return 0;
    return this.#words[this.#entryBase + entry * ADDRESS_ENTRY_WORDS + (family === 4 ? 1 : 3)]!;
  }

  /** Writes the address bytes of `index` (below `count()`): four or sixteen. */
  copy(endpoint: number, family: number, index: number, out: Uint8Array, at: number): void {
    const word = this.#entryBase + this.#entryOf[endpoint]! * ADDRESS_ENTRY_WORDS;
    const length = family === 4 ? 4 : 16;
    const from =
      family === 4
        ? this.#ipv4 + (this.#words[word]! + index) * 4
        : this.#ipv6 + (this.#words[word + 2]! + index) * 16;
    const bytes = this.#bytes;
    for (let byte = 0; byte < length; byte++) out[at + byte] = bytes[from + byte]!;
  }
}

/**
 * Entry of each endpoint, −1 where there is none; empty without a section. In shared memory. `endpointOf` gives the index of an
 * endpoint's key, or −1; keys that it does not know are passed over.
 */
export function entriesOf(
  section: Section | undefined,
  endpointCount: number,
  endpointOf: (key: bigint) => number,
): Int32Array {
  const size = section === undefined ? 0 : endpointCount;
  const entries = new Int32Array(new SharedArrayBuffer(size * 4)).fill(NO_ENTRY);
  const count = section?.count(AddressesTable.keys) ?? 0;
  for (let entry = 0; section !== undefined && entry < count; entry++) {
    const endpoint = endpointOf(section.keyAt(AddressesTable.keys, entry));
    if (endpoint >= 0) entries[endpoint] = entry;
  }
  return entries;
}

/** Why the addresses section cannot be served, or undefined: every entry must lie in the tables. */
export function addressesError(section: Section): string | undefined {
  const strides = strideError(section, "Addresses", {
    [AddressesTable.keys]: 8,
    [AddressesTable.entries]: ADDRESS_ENTRY_WORDS * 4,
    [AddressesTable.ipv4]: 4,
    [AddressesTable.ipv6]: 16,
  });
  if (strides !== undefined) return strides;
  const entries = section.count(AddressesTable.entries);
  if (entries !== section.count(AddressesTable.keys))
    return `Addresses section has ${entries} entries, expected ${section.count(AddressesTable.keys)}`;
  const base = section.wordBase(AddressesTable.entries);
  for (let entry = 0; entry < entries; entry++) {
    const at = base + entry * ADDRESS_ENTRY_WORDS;
    for (const [word, table] of [
      [at, AddressesTable.ipv4],
      [at + 2, AddressesTable.ipv6],
    ] as const) {
      const first = section.words[word] ?? 0;
      const count = section.words[word + 1] ?? 0;
      if (count > RESOLVED_MAX || first + count > section.count(table))
        return `Addresses section entry ${entry} has ${count} addresses from ${first}, expected at most ${RESOLVED_MAX} of ${section.count(table)}`;
    }
  }
  return undefined;
}
