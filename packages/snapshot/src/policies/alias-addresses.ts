// SPDX-License-Identifier: Apache-2.0
import { key64 } from "@meridian/core";
import { formatName } from "@meridian/dns";
import { AddressTable } from "../pools/address-table.ts";
import type { Section } from "../section.ts";
import { BranchTarget, BranchWord, BRANCH_WORDS } from "./policies-format.ts";

const NO_NAME = -1;

/** Text whose key stands in the addresses section for what a branch's name resolved to; `bytes[at..]` is an uncompressed wire name. */
export function aliasKeyText(bytes: Uint8Array, at: number): string {
  return `host/${formatName(bytes, at).toLowerCase()}`;
}

/** What the names that branches point at resolved to, for owners where no CNAME may stand. Empty where there is no section. */
export class AliasAddresses {
  readonly #table: AddressTable;
  /** Index by the name's offset in the bytes of the policies section, as the selector's alias has it. */
  readonly #indexOf = new Map<number, number>();
  /** An offset of each key's name. */
  readonly #offsetOf = new Map<bigint, number>();

  constructor(
    addresses: Section | undefined,
    policies: Section,
    branches: { readonly base: number; readonly count: number; readonly heap: number },
  ) {
    const indexOfKey = new Map<bigint, number>();
    for (let branch = 0; addresses !== undefined && branch < branches.count; branch++) {
      const word = branches.base + branch * BRANCH_WORDS;
      if ((policies.words[word + BranchWord.settings]! & 0xff) !== BranchTarget.name) continue;
      const offset = branches.heap + policies.words[word + BranchWord.target]!;
      const key = key64(aliasKeyText(policies.bytes, offset));
      const index = indexOfKey.get(key) ?? indexOfKey.size;
      indexOfKey.set(key, index);
      this.#indexOf.set(offset, index);
      this.#offsetOf.set(key, offset);
    }
    this.#table = new AddressTable(
      addresses,
      indexOfKey.size,
      (key) => indexOfKey.get(key) ?? NO_NAME,
    );
  }

  /** Where a name with this key stands in the bytes of the policies section, or −1. */
  offsetOf(key: bigint): number {
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
