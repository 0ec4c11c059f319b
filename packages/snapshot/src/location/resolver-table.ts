// SPDX-License-Identifier: Apache-2.0

// The resolvers section (kind 9): where the clients of a resolver are that sends no client subnet. A range table says which entry an
// address has, 0 none; an entry is a client prefix as five words: family × 256 + prefix length, then the four words of the address.
// There is none where no data set of resolvers is declared.

import type { Client } from "../client.ts";
import { SectionKind, type Section } from "../section.ts";
import { assert } from "@meridian/core";
import { RangeTable } from "./range-table.ts";

/** Table ids of a resolvers section besides those of its range table. */
export const ResolverTableId = { clients: 24 } as const;
export const RESOLVER_CLIENT_WORDS = 5;
/** Text whose key names the section. */
export const RESOLVERS_KEY_TEXT = "section/resolvers";

/** A resolvers section read where it lies. */
export class ResolverTable {
  readonly #ranges: RangeTable;
  readonly #words: Uint32Array;
  readonly #clients: number;
  readonly #count: number;

  private constructor(section: Section) {
    this.#ranges = new RangeTable(section);
    this.#words = section.words;
    this.#clients = section.wordBase(ResolverTableId.clients);
    this.#count = section.count(ResolverTableId.clients);
  }

  /** Opens a section of kind 9. */
  static open(section: Section): ResolverTable {
    assert(section.kind === SectionKind.resolvers, "the section is one of resolvers");
    return new ResolverTable(section);
  }

  /** Puts where the clients of the resolver `client` are in its place; false, with nothing changed, where that is not known. */
  relocate(client: Client): boolean {
    const entry = this.#ranges.lookup(client);
    if (entry === 0 || entry > this.#count) return false;
    const words = this.#words;
    const at = this.#clients + (entry - 1) * RESOLVER_CLIENT_WORDS;
    client.family = words[at]! >>> 8;
    client.prefixLength = words[at]! & 0xff;
    client.word0 = words[at + 1]!;
    client.word1 = words[at + 2]!;
    client.word2 = words[at + 3]!;
    client.word3 = words[at + 4]!;
    return true;
  }
}
