// SPDX-License-Identifier: Apache-2.0
import { KeyIndex } from "../key-index.ts";
import type { Section } from "../section.ts";
import { SharedTable } from "../section.ts";
import { AddressTable } from "./address-table.ts";
import {
  ENDPOINT_WORDS,
  EndpointFlag,
  EndpointWord,
  POOL_WORDS,
  PoolWord,
  PoolsTable,
} from "./pools-format.ts";

/** The pools section opened for reading: endpoint and pool entries by index, addresses as bytes to copy. */
export class PoolTable {
  readonly poolCount: number;
  readonly endpointCount: number;
  readonly bytes: Uint8Array;
  readonly words: Uint32Array;
  readonly poolBase: number;
  readonly endpointBase: number;
  readonly heap: number;
  readonly section: Section;
  /** What host names resolved to. */
  readonly resolved: AddressTable;
  readonly #poolKeys: KeyIndex;
  readonly #endpointKeys: KeyIndex;

  /** `addressEntryOf` as `entriesOf()` makes it of `addresses`. */
  constructor(section: Section, addresses: Section | undefined, addressEntryOf: Int32Array) {
    this.section = section;
    this.bytes = section.bytes;
    this.words = section.words;
    this.poolCount = section.count(PoolsTable.pools);
    this.endpointCount = section.count(PoolsTable.endpoints);
    this.poolBase = section.wordBase(PoolsTable.pools);
    this.endpointBase = section.wordBase(PoolsTable.endpoints);
    this.heap = section.table(SharedTable.heap).offset;
    this.#poolKeys = new KeyIndex(section, PoolsTable.poolKeys);
    this.#endpointKeys = new KeyIndex(section, PoolsTable.endpointKeys);
    this.resolved = new AddressTable(addresses, addressEntryOf);
  }

  poolIndexOf(key: bigint): number {
    return this.#poolKeys.findKey(key);
  }

  /** Index of the pool with the key of these halves, or −1. */
  poolAt(low: number, high: number): number {
    return this.#poolKeys.find(low, high);
  }

  endpointIndexOf(key: bigint): number {
    return this.#endpointKeys.findKey(key);
  }

  memberStart(pool: number): number {
    return this.words[this.poolBase + pool * POOL_WORDS + PoolWord.memberStart]!;
  }

  memberCount(pool: number): number {
    return this.words[this.poolBase + pool * POOL_WORDS + PoolWord.memberCount]!;
  }

  poolWord(pool: number, word: number): number {
    return this.words[this.poolBase + pool * POOL_WORDS + word]!;
  }

  endpointWord(endpoint: number, word: number): number {
    return this.words[this.endpointBase + endpoint * ENDPOINT_WORDS + word]!;
  }

  flags(endpoint: number): number {
    return this.words[this.endpointBase + endpoint * ENDPOINT_WORDS + EndpointWord.flags]!;
  }

  /** Port of the service, 0 where none is stated. */
  portOf(endpoint: number): number {
    return this.flags(endpoint) >>> 16;
  }

  hasIpv4(endpoint: number): boolean {
    return (this.flags(endpoint) & EndpointFlag.ipv4) !== 0;
  }

  hasIpv6(endpoint: number): boolean {
    return (this.flags(endpoint) & EndpointFlag.ipv6) !== 0;
  }

  /** True where the endpoint's host name is answered by what it resolved to, not by a CNAME. */
  isResolved(endpoint: number): boolean {
    return (this.flags(endpoint) & EndpointFlag.resolve) !== 0;
  }

  /**
   * True where the endpoint can be answered for `family` (4 or 6): an address of its own, one that its host name resolved to, or the
   * host name itself as a CNAME, which serves both.
   */
  serves(endpoint: number, family: number): boolean {
    const flags = this.flags(endpoint);
    if ((flags & (family === 4 ? EndpointFlag.ipv4 : EndpointFlag.ipv6)) !== 0) return true;
    if ((flags & EndpointFlag.hostName) === 0) return false;
    return (flags & EndpointFlag.resolve) === 0 || this.resolved.count(endpoint, family) > 0;
  }

  /** Offset in `bytes` of the endpoint's uncompressed wire name, or −1 where it has addresses. */
  hostNameOf(endpoint: number): number {
    if ((this.flags(endpoint) & EndpointFlag.hostName) === 0) return -1;
    return this.heap + this.endpointWord(endpoint, EndpointWord.hostName);
  }

  /** Writes four address bytes. */
  copyIpv4(endpoint: number, out: Uint8Array, at: number): void {
    const from = (this.endpointBase + endpoint * ENDPOINT_WORDS + EndpointWord.ipv4) * 4;
    const bytes = this.bytes;
    out[at] = bytes[from]!;
    out[at + 1] = bytes[from + 1]!;
    out[at + 2] = bytes[from + 2]!;
    out[at + 3] = bytes[from + 3]!;
  }

  /** Writes sixteen address bytes. */
  copyIpv6(endpoint: number, out: Uint8Array, at: number): void {
    const from = this.heap + this.endpointWord(endpoint, EndpointWord.ipv6);
    const bytes = this.bytes;
    for (let index = 0; index < 16; index++) out[at + index] = bytes[from + index]!;
  }

  /** `NAMESPACE/NAME` of a pool. */
  poolName(pool: number): string {
    return this.section.text(
      this.poolWord(pool, PoolWord.textOffset),
      this.poolWord(pool, PoolWord.textLength),
    );
  }

  /** Member name of an endpoint within its pool. */
  memberName(endpoint: number): string {
    return this.#pair(PoolsTable.memberNames, endpoint);
  }

  siteOf(endpoint: number): string {
    return this.#pair(PoolsTable.sites, this.endpointWord(endpoint, EndpointWord.site));
  }

  poolKeyAt(pool: number): bigint {
    return this.section.keyAt(PoolsTable.poolKeys, pool);
  }

  endpointKeyAt(endpoint: number): bigint {
    return this.section.keyAt(PoolsTable.endpointKeys, endpoint);
  }

  /** Pool that holds the endpoint: the last one whose members start at or before it. */
  poolOfEndpoint(endpoint: number): number {
    let low = 0;
    let high = this.poolCount - 1;
    while (low < high) {
      const middle = (low + high + 1) >>> 1;
      if (this.memberStart(middle) <= endpoint) low = middle;
      else high = middle - 1;
    }
    // Empty pools share a start with their successor; the one with members comes last.
    return low;
  }

  #pair(table: number, index: number): string {
    const base = this.section.wordBase(table) + index * 2;
    return this.section.text(this.words[base]!, this.words[base + 1]!);
  }
}
