// SPDX-License-Identifier: Apache-2.0
import { MeridianError, hash32, key64, keyLow } from "@meridian/core";
import { SectionKind } from "../section.ts";
import { SectionWriter, type WrittenSection } from "../section-writer.ts";
import {
  ENDPOINT_WORDS,
  EndpointFlag,
  EndpointWord,
  POOL_WORDS,
  PoolWord,
  PoolsTable,
  encodeMinHealthy,
  type MinHealthy,
} from "./pools-format.ts";

/** A member as the compiler hands it over. Addresses are wire bytes. */
export interface EndpointInput {
  readonly name: string;
  readonly ipv4?: Uint8Array;
  readonly ipv6?: Uint8Array;
  /** Uncompressed wire name. */
  readonly hostName?: Uint8Array;
  readonly resolve: boolean;
  readonly weight: number;
  readonly priority: number;
  readonly serve: number;
  readonly isChecked: boolean;
  readonly unknownServes: boolean;
  readonly site: string;
  readonly failureDomain: string;
  readonly capacity: number;
  /** 0 where none is stated. */
  readonly port: number;
}

export interface PoolInput {
  /** `NAMESPACE/NAME`. */
  readonly name: string;
  readonly members: readonly EndpointInput[];
  readonly answers: number;
  /** Thousandths kept of what is routed here. */
  readonly dial: number;
  readonly minHealthy: MinHealthy | undefined;
}

const keyOfSection = key64("section/pools");

/** Writes the pools section. Pools are sorted by name, members by (priority, name): equal input gives equal bytes. */
export function writePools(pools: readonly PoolInput[]): WrittenSection {
  const sorted = [...pools].sort((a, b) => compareText(a.name, b.name));
  const endpointTotal = sorted.reduce((sum, pool) => sum + pool.members.length, 0);
  const writer = new SectionWriter(SectionKind.pools, keyOfSection);
  const poolWords = new Uint32Array(sorted.length * POOL_WORDS);
  const poolKeys = new BigUint64Array(sorted.length);
  const endpoints = new EndpointTables(writer, endpointTotal);
  sorted.forEach((pool, index) => {
    const text = writer.text(pool.name);
    const at = index * POOL_WORDS;
    poolWords[at + PoolWord.memberStart] = endpoints.count;
    poolWords[at + PoolWord.memberCount] = pool.members.length;
    poolWords[at + PoolWord.settings] = pool.answers;
    poolWords[at + PoolWord.minHealthy] = encodeMinHealthy(pool.minHealthy);
    poolWords[at + PoolWord.dial] = pool.dial;
    poolWords[at + PoolWord.textOffset] = text.offset;
    poolWords[at + PoolWord.textLength] = text.length;
    const key = key64(`pool/${pool.name}`);
    poolWords[at + PoolWord.salt] = keyLow(key);
    poolKeys[index] = key;
    const members = [...pool.members].sort(
      (a, b) => a.priority - b.priority || compareText(a.name, b.name),
    );
    for (const member of members) endpoints.add(pool.name, member);
  });
  refuseCollisions(poolKeys, "pool");
  refuseCollisions(endpoints.keys, "endpoint");
  writer.bound(
    0,
    sorted.reduce((most, pool) => Math.max(most, pool.members.length), 0),
  );
  writer.table(PoolsTable.pools, POOL_WORDS * 4, poolWords);
  writer.table(PoolsTable.poolKeys, 8, poolKeys);
  endpoints.finish();
  return writer.finish();
}

class EndpointTables {
  count = 0;
  readonly keys: BigUint64Array;
  readonly #writer: SectionWriter;
  readonly #words: Uint32Array;
  readonly #bytes: Uint8Array;
  readonly #names: Uint32Array;
  readonly #sites = new Map<string, number>();

  constructor(writer: SectionWriter, total: number) {
    this.#writer = writer;
    this.#words = new Uint32Array(total * ENDPOINT_WORDS);
    this.#bytes = new Uint8Array(this.#words.buffer);
    this.#names = new Uint32Array(total * 2);
    this.keys = new BigUint64Array(total);
  }

  add(pool: string, member: EndpointInput): void {
    const index = this.count++;
    const at = index * ENDPOINT_WORDS;
    const words = this.#words;
    let flags = 0;
    if (member.ipv4 !== undefined) {
      flags |= EndpointFlag.ipv4;
      this.#bytes.set(member.ipv4, (at + EndpointWord.ipv4) * 4);
    }
    if (member.ipv6 !== undefined) {
      flags |= EndpointFlag.ipv6;
      words[at + EndpointWord.ipv6] = this.#writer.heap(member.ipv6);
    }
    if (member.hostName !== undefined) {
      flags |= EndpointFlag.hostName;
      words[at + EndpointWord.hostName] = this.#writer.heap(member.hostName);
    }
    if (member.isChecked) flags |= EndpointFlag.checked;
    if (member.resolve) flags |= EndpointFlag.resolve;
    if (member.unknownServes) flags |= EndpointFlag.unknownServes;
    words[at + EndpointWord.flags] = (flags | (member.port << 16)) >>> 0;
    words[at + EndpointWord.weight] =
      (member.weight | (member.priority << 20) | (member.serve << 27)) >>> 0;
    words[at + EndpointWord.site] = this.#site(member.site);
    words[at + EndpointWord.domain] = textHash(member.failureDomain);
    words[at + EndpointWord.capacity] = Math.round(member.capacity);
    const text = this.#writer.text(member.name);
    this.#names[index * 2] = text.offset;
    this.#names[index * 2 + 1] = text.length;
    this.keys[index] = key64(`endpoint/${pool}/${member.name}`);
  }

  finish(): void {
    const sites = new Uint32Array(this.#sites.size * 2);
    for (const [name, index] of this.#sites) {
      const text = this.#writer.text(name);
      sites[index * 2] = text.offset;
      sites[index * 2 + 1] = text.length;
    }
    this.#writer.table(PoolsTable.endpoints, ENDPOINT_WORDS * 4, this.#words);
    this.#writer.table(PoolsTable.endpointKeys, 8, this.keys);
    this.#writer.table(PoolsTable.memberNames, 8, this.#names);
    this.#writer.table(PoolsTable.sites, 8, sites);
  }

  #site(name: string): number {
    let index = this.#sites.get(name);
    if (index === undefined) {
      index = this.#sites.size;
      this.#sites.set(name, index);
    }
    return index;
  }
}

function textHash(text: string): number {
  const bytes = Buffer.from(text, "utf8");
  return hash32(bytes, 0, bytes.length, 0);
}

/** Order by code units: the same on every machine, whatever its locale. */
export function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** Refuses a revision in which two names have one key; renaming either cures it. */
export function refuseCollisions(keys: BigUint64Array, what: string): void {
  const sorted = keys.slice().sort();
  for (let index = 1; index < sorted.length; index++) {
    if (sorted[index] === sorted[index - 1]) {
      throw new MeridianError(
        "KEY_COLLISION",
        "user",
        `Cannot compile: two ${what} names share the key ${sorted[index]?.toString(16)}, expected distinct keys`,
      );
    }
  }
}
