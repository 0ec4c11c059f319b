// SPDX-License-Identifier: Apache-2.0
import { key64 } from "@meridian/core";
import { formatName } from "@meridian/dns";
import { AddressTable, entriesOf } from "../pools/address-table.ts";
import { SharedTable, type Section } from "../section.ts";
import { BranchTarget, BranchWord, BRANCH_WORDS, PoliciesTable } from "./policies-format.ts";

const NO_NAME = -1;

/** Text whose key stands in the addresses section for what a branch's name resolved to; `bytes[at..]` is an uncompressed wire name. */
export function aliasKeyText(bytes: Uint8Array, at: number): string {
  return `host/${formatName(bytes, at).toLowerCase()}`;
}

/** What a world resolves once for all threads of the names that branches point at. In shared memory. */
export interface AliasLinks {
  /** Where the names lie in the bytes of the policies section, as the selector's alias has it. */
  readonly offsets: Int32Array;
  /** Entry of each in the addresses section, −1 where there is none. */
  readonly entries: Int32Array;
}

/** Finds the names of branches and their addresses; empty where there is no addresses section. */
export function resolveAliases(policies: Section, addresses: Section | undefined): AliasLinks {
  const base = policies.wordBase(PoliciesTable.branches);
  const heap = policies.table(SharedTable.heap).offset;
  const branches = addresses === undefined ? 0 : policies.count(PoliciesTable.branches);
  const indexOfKey = new Map<bigint, number>();
  const found = new Map<number, bigint>();
  for (let branch = 0; branch < branches; branch++) {
    const word = base + branch * BRANCH_WORDS;
    if ((policies.words[word + BranchWord.settings]! & 0xff) !== BranchTarget.name) continue;
    const offset = heap + policies.words[word + BranchWord.target]!;
    const key = key64(aliasKeyText(policies.bytes, offset));
    if (!indexOfKey.has(key)) indexOfKey.set(key, indexOfKey.size);
    found.set(offset, key);
  }
  const entryOf = entriesOf(addresses, indexOfKey.size, (key) => indexOfKey.get(key) ?? NO_NAME);
  const offsets = new Int32Array(new SharedArrayBuffer(found.size * 4));
  const entries = new Int32Array(new SharedArrayBuffer(found.size * 4));
  [...found].forEach(([offset, key], index) => {
    offsets[index] = offset;
    entries[index] = entryOf[indexOfKey.get(key) ?? NO_NAME] ?? NO_NAME;
  });
  return { offsets, entries };
}

/** What the names that branches point at resolved to, for owners where no CNAME may stand. Empty where there is no section. */
export class AliasAddresses {
  readonly #table: AddressTable;
  readonly #bytes: Uint8Array;
  readonly #offsets: Int32Array;
  readonly #indexOf: ReadonlyMap<number, number>;
  /** Built on first use: the query path asks by offset. */
  #offsetOf: ReadonlyMap<bigint, number> | undefined;

  constructor(addresses: Section | undefined, policies: Section, links: AliasLinks) {
    this.#table = new AddressTable(addresses, links.entries);
    this.#bytes = policies.bytes;
    this.#offsets = links.offsets;
    this.#indexOf = new Map(Array.from(links.offsets, (offset, index) => [offset, index]));
  }

  /** Where a name with this key stands in the bytes of the policies section, or −1. */
  offsetOf(key: bigint): number {
    this.#offsetOf ??= new Map(
      Array.from(this.#offsets, (at) => [key64(aliasKeyText(this.#bytes, at)), at]),
    );
    return this.#offsetOf.get(key) ?? NO_NAME;
  }

  /** Number of addresses of `family` (4 or 6) of the name at `offset`, 0 to RESOLVED_MAX. */
  count(offset: number, family: number): number {
    const index = this.#indexOf.get(offset) ?? NO_NAME;
    return index === NO_NAME ? 0 : this.#table.count(index, family);
  }

  /** Writes the address bytes of `index` (below `count()`): four or sixteen. */
  copy(offset: number, family: number, index: number, out: Uint8Array, at: number): void {
    this.#table.copy(this.#indexOf.get(offset) ?? 0, family, index, out, at);
  }
}
