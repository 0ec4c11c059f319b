// SPDX-License-Identifier: Apache-2.0
import { assert, hash32, key64, keyLow } from "@meridian/core";
import { KeyList } from "../key-list.ts";
import { compareText, indexOfName, patchSteps, TextCopy, wireNameEnd } from "../section-patch.ts";
import { changeEntries, type EntryChange } from "../section-rows.ts";
import { SectionKind, SharedTable, type Section } from "../section.ts";
import { SectionWriter, type WrittenSection } from "../section-writer.ts";
import { SpareCopy } from "../spare-copy.ts";
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
const PLAIN_POOL_WORDS = [
  [PoolWord.settings, 0],
  [PoolWord.minHealthy, 0],
  [PoolWord.dial, 0],
] as const;
const PLAIN_ENDPOINT_WORDS = [
  [EndpointWord.ipv4, 0],
  [EndpointWord.flags, EndpointFlag.ipv6 | EndpointFlag.hostName],
  [EndpointWord.weight, 0],
  [EndpointWord.domain, 0],
  [EndpointWord.capacity, 0],
] as const;

/** Writes the pools section. Pools are sorted by name, members by (priority, name): equal input gives equal bytes. */
export function writePools(pools: readonly PoolInput[]): WrittenSection {
  const sorted = [...pools].sort((a, b) => compareText(a.name, b.name));
  const endpointTotal = sorted.reduce((sum, pool) => sum + pool.members.length, 0);
  const layout = new PoolsLayout(sorted.length, endpointTotal);
  for (const pool of sorted) layout.add(pool);
  return layout.finish();
}

/**
 * The section that `writePools` would write with some pools set or removed, at a tenth of the price: those of `before` are copied as
 * words. Names that are to be removed may be of no pool. `spare` may have a copy of `before`.
 */
export function patchPools(
  before: Section,
  set: readonly PoolInput[],
  removed: readonly string[],
  spare: SpareCopy = new SpareCopy(),
): WrittenSection {
  const count = before.count(PoolsTable.pools);
  const words = before.words;
  const base = before.wordBase(PoolsTable.pools);
  const nameAt = (index: number): string => {
    const at = base + index * POOL_WORDS;
    return before.text(words[at + PoolWord.textOffset]!, words[at + PoolWord.textLength]!);
  };
  if (removed.length === 0) {
    const changes = set.map((pool) =>
      poolChange(before, indexOfName(count, nameAt, pool.name), pool),
    );
    const changed = changes.every((change) => change !== undefined)
      ? changeEntries(before, changes, spare)
      : undefined;
    if (changed !== undefined) return changed;
  }
  const steps = patchSteps(count, nameAt, set, removed);
  const memberCount = (index: number): number =>
    words[base + index * POOL_WORDS + PoolWord.memberCount]!;
  const endpointTotal = steps.reduce((sum, step) => {
    if ("input" in step) return sum + step.input.members.length;
    let members = 0;
    for (let index = step.start; index < step.end; index++) members += memberCount(index);
    return sum + members;
  }, 0);
  const poolTotal = steps.reduce(
    (sum, step) => sum + ("input" in step ? 1 : step.end - step.start),
    0,
  );
  const layout = new PoolsLayout(poolTotal, endpointTotal, before, set);
  for (const step of steps) {
    if ("input" in step) layout.add(step.input);
    else for (let index = step.start; index < step.end; index++) layout.copy(index);
  }
  return layout.finish();
}

/** A pool alone, as it is at `index` of the section before and as it is to be. */
function poolChange(
  before: Section,
  index: number | undefined,
  pool: PoolInput,
): EntryChange | undefined {
  if (index === undefined) return undefined;
  const at = before.wordBase(PoolsTable.pools) + index * POOL_WORDS;
  const count = before.words[at + PoolWord.memberCount]!;
  if (count !== pool.members.length) return undefined;
  const [was, is] = [new PoolsLayout(1, count, before), new PoolsLayout(1, count)];
  was.copy(index);
  is.add(pool);
  return {
    was: was.finish(),
    is: is.finish(),
    rows: [
      { table: PoolsTable.pools, first: index, plain: PLAIN_POOL_WORDS },
      {
        table: PoolsTable.endpoints,
        first: before.words[at + PoolWord.memberStart]!,
        plain: PLAIN_ENDPOINT_WORDS,
      },
    ],
  };
}

/** The tables of the pools section while they are filled, pool after pool in the order of their names. */
class PoolsLayout {
  readonly #writer = new SectionWriter(SectionKind.pools, keyOfSection);
  readonly #words: Uint32Array;
  readonly #keys: KeyList;
  readonly #endpoints: EndpointTables;
  readonly #before: Section | undefined;
  readonly #texts: TextCopy | undefined;
  #count = 0;
  #membersMax = 0;

  constructor(pools: number, endpoints: number, before?: Section, set: readonly PoolInput[] = []) {
    this.#words = new Uint32Array(pools * POOL_WORDS);
    this.#keys = new KeyList(pools);
    this.#before = before;
    if (before !== undefined) {
      const texts = set.flatMap(({ name, members }) => [
        name,
        ...members.flatMap((member) => [member.name, member.site]),
      ]);
      const others = [...texts, ...sitesOf(before)];
      this.#texts = new TextCopy(this.#writer, before, { others, isWhole: pools > 1 });
    }
    this.#endpoints = new EndpointTables(this.#writer, endpoints);
  }

  add(pool: PoolInput): void {
    const text = this.#writer.text(pool.name);
    const index = this.#count++;
    const at = index * POOL_WORDS;
    const words = this.#words;
    words[at + PoolWord.memberStart] = this.#endpoints.count;
    words[at + PoolWord.memberCount] = pool.members.length;
    words[at + PoolWord.settings] = pool.answers;
    words[at + PoolWord.minHealthy] = encodeMinHealthy(pool.minHealthy);
    words[at + PoolWord.dial] = pool.dial;
    words[at + PoolWord.textOffset] = text.offset;
    words[at + PoolWord.textLength] = text.length;
    const key = key64(`pool/${pool.name}`);
    words[at + PoolWord.salt] = keyLow(key);
    this.#keys.add(key);
    this.#membersMax = Math.max(this.#membersMax, pool.members.length);
    const members = [...pool.members].sort(
      (a, b) => a.priority - b.priority || compareText(a.name, b.name),
    );
    for (const member of members) this.#endpoints.add(pool.name, member);
  }

  /** Copies pool `from` of the section before. */
  copy(from: number): void {
    const before = this.#before;
    const texts = this.#texts;
    assert(before !== undefined && texts !== undefined, "there is a section to copy from");
    const old = before.wordBase(PoolsTable.pools) + from * POOL_WORDS;
    const index = this.#count++;
    const at = index * POOL_WORDS;
    const words = this.#words;
    for (let word = 0; word < POOL_WORDS; word++) words[at + word] = before.words[old + word]!;
    words[at + PoolWord.textOffset] = texts.copy(
      words[at + PoolWord.textOffset]!,
      words[at + PoolWord.textLength]!,
    );
    this.#keys.copy(before, PoolsTable.poolKeys, from, from + 1);
    const start = words[at + PoolWord.memberStart]!;
    const count = words[at + PoolWord.memberCount]!;
    words[at + PoolWord.memberStart] = this.#endpoints.count;
    this.#membersMax = Math.max(this.#membersMax, count);
    for (let member = start; member < start + count; member++)
      this.#endpoints.copy(before, texts, member);
  }

  finish(): WrittenSection {
    const keys = this.#keys.finish("pool", this.#before !== undefined);
    const writer = this.#writer;
    writer.bound(0, this.#membersMax);
    writer.table(PoolsTable.pools, POOL_WORDS * 4, this.#words);
    writer.table(PoolsTable.poolKeys, 8, keys);
    this.#endpoints.finish(this.#before !== undefined);
    return writer.finish();
  }
}

function sitesOf(before: Section): string[] {
  return Array.from({ length: before.count(PoolsTable.sites) }, (_, index) => {
    const at = before.wordBase(PoolsTable.sites) + index * 2;
    return before.text(before.words[at]!, before.words[at + 1]!);
  });
}

class EndpointTables {
  count = 0;
  readonly keys: KeyList;
  readonly #writer: SectionWriter;
  readonly #words: Uint32Array;
  readonly #bytes: Uint8Array;
  readonly #names: Uint32Array;
  readonly #sites = new Map<string, number>();
  /** By index in the section before. */
  readonly #copiedSites: number[] = [];

  constructor(writer: SectionWriter, total: number) {
    this.#writer = writer;
    this.#words = new Uint32Array(total * ENDPOINT_WORDS);
    this.#bytes = new Uint8Array(this.#words.buffer);
    this.#names = new Uint32Array(total * 2);
    this.keys = new KeyList(total);
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
    this.keys.add(key64(`endpoint/${pool}/${member.name}`));
  }

  /** Copies endpoint `from` of another section. */
  copy(before: Section, texts: TextCopy, from: number): void {
    const index = this.count++;
    const at = index * ENDPOINT_WORDS;
    const old = before.wordBase(PoolsTable.endpoints) + from * ENDPOINT_WORDS;
    const words = this.#words;
    for (let word = 0; word < ENDPOINT_WORDS; word++) words[at + word] = before.words[old + word]!;
    const flags = words[at + EndpointWord.flags]!;
    const heap = before.table(SharedTable.heap).offset;
    if ((flags & EndpointFlag.ipv6) !== 0) {
      const start = heap + words[at + EndpointWord.ipv6]!;
      words[at + EndpointWord.ipv6] = this.#writer.heapFrom(before.bytes, start, start + 16);
    }
    if ((flags & EndpointFlag.hostName) !== 0) {
      const start = heap + words[at + EndpointWord.hostName]!;
      const end = wireNameEnd(before.bytes, start);
      words[at + EndpointWord.hostName] = this.#writer.heapFrom(before.bytes, start, end);
    }
    words[at + EndpointWord.site] = this.#copySite(before, words[at + EndpointWord.site]!);
    const name = before.wordBase(PoolsTable.memberNames) + from * 2;
    const length = before.words[name + 1]!;
    this.#names[index * 2] = texts.copy(before.words[name]!, length);
    this.#names[index * 2 + 1] = length;
    this.keys.copy(before, PoolsTable.endpointKeys, from, from + 1);
  }

  finish(isPatch: boolean): void {
    const sites = new Uint32Array(this.#sites.size * 2);
    for (const [name, index] of this.#sites) {
      const text = this.#writer.text(name);
      sites[index * 2] = text.offset;
      sites[index * 2 + 1] = text.length;
    }
    this.#writer.table(PoolsTable.endpoints, ENDPOINT_WORDS * 4, this.#words);
    this.#writer.table(PoolsTable.endpointKeys, 8, this.keys.finish("endpoint", isPatch));
    this.#writer.table(PoolsTable.memberNames, 8, this.#names);
    this.#writer.table(PoolsTable.sites, 8, sites);
  }

  #copySite(before: Section, index: number): number {
    const known = this.#copiedSites[index];
    if (known !== undefined) return known;
    const at = before.wordBase(PoolsTable.sites) + index * 2;
    const site = this.#site(before.text(before.words[at]!, before.words[at + 1]!));
    this.#copiedSites[index] = site;
    return site;
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
