// SPDX-License-Identifier: Apache-2.0

// Visits a MaxMind DB (https://maxmind.github.io/MaxMind-DB/) from its first address to its last. mmdb-lib answers one address at a
// time; a location map needs them all, so the binary tree is walked here and mmdb-lib decodes the data of each distinct leaf.
//
//   node   two records of 24, 28 or 32 bits: where to go for bit 0 and bit 1
//   record < node count: a node · = node count: nothing known · above: data
//
// In a tree of 128 bits the IPv4 addresses lie under ::/96; databases may point there from ::ffff:0:0/96, 2002::/16 and 2001::/32
// too. Those aliases are not followed: location maps look up embedded IPv4 addresses by themselves.

import { formatPrefix, type AddressPrefix, RangePartition } from "@meridian/snapshot/writer";
import { Reader, type Response } from "mmdb-lib";
import { unreadable } from "./unreadable.ts";

/** An opened MaxMind DB. */
export interface Mmdb {
  readonly reader: Reader<Response>;
  readonly bytes: Buffer;
  /** When the database was built. */
  readonly builtAt: Date;
  /** Such as `GeoLite2-City`. */
  readonly databaseType: string;
}

/** Opens the bytes of a MaxMind DB; throws `DATA_SET_UNREADABLE` for other bytes. */
export function openMmdb(data: Uint8Array): Mmdb {
  const bytes = Buffer.from(data.buffer, data.byteOffset, data.byteLength);
  let reader: Reader<Response>;
  try {
    reader = new Reader<Response>(bytes);
  } catch (error) {
    throw unreadable(`Cannot read the data set: it is no MaxMind DB of version 2`, {
      cause: error,
    });
  }
  const { metadata } = reader;
  if (metadata.searchTreeSize > bytes.length) {
    throw unreadable(
      `Cannot read the data set: it has ${bytes.length} bytes, its search tree alone ${metadata.searchTreeSize}`,
    );
  }
  return { reader, bytes, builtAt: metadata.buildEpoch, databaseType: metadata.databaseType };
}

/** Cuts the address space as the database does; `valueOf` turns the decoded data of each distinct leaf into a value. */
export function readMmdb(mmdb: Mmdb, valueOf: (data: unknown) => number): RangePartition {
  return new TreeWalk(mmdb, valueOf).run();
}

class TreeWalk {
  readonly #mmdb: Mmdb;
  readonly #valueOf: (data: unknown) => number;
  readonly #partition = new RangePartition();
  /** Values by record, so that data is decoded once. */
  readonly #values = new Map<number, number>();
  readonly #nodeCount: number;
  readonly #recordSize: number;
  readonly #ipv4Root: number;
  #visitsLeft: number;

  constructor(mmdb: Mmdb, valueOf: (data: unknown) => number) {
    const { metadata } = mmdb.reader;
    this.#mmdb = mmdb;
    this.#valueOf = valueOf;
    this.#nodeCount = metadata.nodeCount;
    this.#recordSize = metadata.recordSize;
    this.#visitsLeft = metadata.nodeCount;
    this.#ipv4Root = metadata.ipVersion === 4 ? 0 : this.#findIpv4Root();
  }

  run(): RangePartition {
    this.#walk4(this.#ipv4Root, 0, 0);
    if (this.#mmdb.reader.metadata.ipVersion === 6) {
      this.#visitsLeft = this.#nodeCount;
      this.#walk6(0, 0, [0, 0, 0, 0]);
    }
    return this.#partition;
  }

  #walk4(record: number, depth: number, address: number): void {
    if (record >= this.#nodeCount) {
      const length = depth;
      const words = [address, 0, 0, 0] as const;
      this.#partition.set4(address, this.#value(record, { family: 4, words, length }));
      return;
    }
    this.#spendVisit(depth, 32);
    this.#walk4(this.#record(record, 0), depth + 1, address);
    this.#walk4(this.#record(record, 1), depth + 1, address + 2 ** (31 - depth));
  }

  #walk6(record: number, depth: number, words: [number, number, number, number]): void {
    const isZeroPath = words[0] === 0 && words[1] === 0 && words[2] === 0;
    const isIpv4 = record === this.#ipv4Root && depth > 0;
    if (record >= this.#nodeCount || isIpv4) {
      const value =
        isIpv4 || (isZeroPath && depth >= 96)
          ? 0
          : this.#value(record, { family: 6, words, length: depth });
      this.#partition.set6(...words, value);
      return;
    }
    this.#spendVisit(depth, 128);
    this.#walk6(this.#record(record, 0), depth + 1, words);
    const one: [number, number, number, number] = [...words];
    const word = depth >>> 5;
    one[word] = (one[word] ?? 0) + 2 ** (31 - (depth & 31));
    this.#walk6(this.#record(record, 1), depth + 1, one);
  }

  /** A tree has each node once; a file in which a node comes again would take exponential time. */
  #spendVisit(depth: number, bits: number): void {
    this.#visitsLeft--;
    if (this.#visitsLeft < 0 || depth >= bits) {
      throw unreadable(`Cannot read the data set: its search tree is no tree of ${bits} bits`);
    }
  }

  #value(record: number, prefix: AddressPrefix): number {
    if (record === this.#nodeCount) return 0;
    let value = this.#values.get(record);
    if (value === undefined) {
      value = this.#valueOf(this.#decode(prefix));
      this.#values.set(record, value);
    }
    return value;
  }

  #decode(prefix: AddressPrefix): unknown {
    const [address = ""] = formatPrefix(prefix).split("/");
    try {
      return this.#mmdb.reader.get(address);
    } catch (error) {
      throw unreadable(`Cannot read the data set: the data of ${address} is damaged`, {
        cause: error,
      });
    }
  }

  #findIpv4Root(): number {
    let record = 0;
    for (let depth = 0; depth < 96 && record < this.#nodeCount; depth++) {
      record = this.#record(record, 0);
    }
    return record;
  }

  /** The record for bit 0 or 1 of a node. */
  #record(node: number, bit: number): number {
    const { bytes } = this.#mmdb;
    switch (this.#recordSize) {
      case 24:
        return bytes.readUIntBE(node * 6 + bit * 3, 3);
      case 28: {
        // The middle byte holds the four highest bits of both.
        const middle = bytes.readUInt8(node * 7 + 3);
        const high = bit === 0 ? middle >>> 4 : middle & 15;
        return high * 2 ** 24 + bytes.readUIntBE(node * 7 + bit * 4, 3);
      }
      case 32:
        return bytes.readUInt32BE(node * 8 + bit * 4);
      default:
        throw unreadable(
          `Cannot read the data set: its records have ${this.#recordSize} bits, expected 24, 28 or 32`,
        );
    }
  }
}
