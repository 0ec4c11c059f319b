// SPDX-License-Identifier: Apache-2.0

import { formatName } from "@meridian/dns";
import { maskWord } from "../client.ts";
import {
  SectionKind,
  SharedTable,
  type Section,
  type SectionError,
  type Slab,
} from "../section.ts";
import { isNameInHeap, strideError } from "../section-check.ts";
import { readQueryAccess, type QueryAccess } from "./query-access.ts";
import type { QueryName } from "./query-name.ts";
import { rootHash, labelHash } from "./query-name.ts";
import { hasApex } from "./name-lookup.ts";
import { recordEnd } from "./names-check.ts";
import {
  CHUNK_WORDS,
  ChunkWord,
  labelOffsets,
  NamesChunk,
  resolveNames,
  type NamesKnown,
  type NamesTable,
  type NamesTargets,
} from "./names-chunk.ts";
import { readView } from "./zone-section.ts";
import { readSecondarySettings } from "./secondary-settings.ts";
import { variantBitsOf } from "./variant-settings.ts";
import {
  CHUNK_BITS_MAX,
  RR_HEADER_BYTES,
  TRUST_WORDS,
  ZONE_FACT_WORDS,
  ZoneFact,
  ZoneTableId,
  zoneNameText,
} from "./zone-format.ts";

/** Bytes from an SOA's serial to the end of its rdata (RFC 1035 §3.3.13). */
const SERIAL_BYTES_BEFORE_END = 20;

/** A serial further on; never 0, which some secondaries take for none. */
export function shiftedSerial(serial: number, shift: number): number {
  return (serial + shift) >>> 0 || 1;
}

/** A zone ready to be asked. Everything is public and read-only: the query path reads fields, it calls nothing here. */
export class LoadedZone {
  readonly index: number;
  readonly section: Section;
  readonly key: bigint;
  /** Lower case, in wire form. */
  readonly origin: Uint8Array;
  /** The same, to be read four bytes at a time. */
  readonly originView: DataView;
  readonly originLabels: number;
  readonly originHash: number;
  /** A name's chunk is `hash >>> chunkShift`; 32 (which JavaScript reads as 0) cannot occur, see `chunkOf`. */
  readonly chunkBits: number;
  readonly clientLocation: number;
  /** Into how many variants answers of several endpoints fall, as a power of two (variants.ts); 0: they do not. */
  readonly variantBits: number;
  /** Whether it is another server's, which says until when it may be answered from. */
  readonly isSecondary: boolean;
  /** Of a secondary zone, Unix seconds. */
  readonly expiresSeconds: number;
  /** Whether it was signed elsewhere: keys and signatures are in its own data. */
  readonly isPresigned: boolean;
  readonly hasSoa: boolean;
  /** What the SOA's encoded RR lies in, and where: the section, unless its serial is another one than there. */
  soaBytes: Uint8Array;
  soaOffset: number;
  /** What is added to the serial that the section has. */
  serialShift: number = 0;
  readonly negativeTtl: number;
  readonly ownerCount: number;
  readonly trustsEveryone: boolean;
  /** Name of the view that it belongs to. */
  readonly view: string | undefined;
  /** Of a zone of a view, whether it is signed with keys of its own. */
  readonly hasOwnKeys: boolean;
  /** Who may ask; undefined is everybody. */
  readonly access: QueryAccess | undefined;
  readonly #trustBase: number;
  readonly #trustCount: number;
  readonly #names: NamesTable;
  readonly #firstChunk: number;
  readonly #chunks: (NamesChunk | undefined)[];

  /** The zone's names sections are those of `names` from `firstChunk` on. */
  constructor(index: number, section: Section, names: NamesTable, firstChunk: number) {
    const facts = section.wordBase(ZoneTableId.facts);
    const heap = section.table(SharedTable.heap).offset;
    const fact = (id: number): number => section.words[facts + id]!;
    this.index = index;
    this.section = section;
    this.key = section.key;
    this.origin = originOf(section);
    this.originView = new DataView(
      this.origin.buffer,
      this.origin.byteOffset,
      this.origin.byteLength,
    );
    const labels = labelOffsets(this.origin);
    this.originLabels = labels.length;
    this.originHash = hashOf(this.origin, labels, section.seed);
    this.#names = names;
    this.#firstChunk = firstChunk;
    this.#chunks = new Array<undefined>(chunkCountOf(section)).fill(undefined);
    this.chunkBits = fact(ZoneFact.chunkBits);
    this.clientLocation = fact(ZoneFact.clientLocation);
    this.variantBits = variantBitsOf(section);
    this.isSecondary = section.count(ZoneTableId.secondary) > 0;
    this.expiresSeconds = this.isSecondary ? expiryOf(section) : 0;
    this.isPresigned = section.count(ZoneTableId.presigned) > 0;
    this.hasSoa = fact(ZoneFact.hasSoa) === 1;
    this.soaBytes = section.bytes;
    this.soaOffset = heap + fact(ZoneFact.soaOffset);
    this.negativeTtl = fact(ZoneFact.negativeTtl);
    this.ownerCount = fact(ZoneFact.ownerCount);
    this.trustsEveryone = fact(ZoneFact.trustsEveryone) === 1;
    this.view = readView(section);
    this.hasOwnKeys = section.count(ZoneTableId.ownKeys) > 0;
    this.access = readQueryAccess(section);
    this.#trustBase = section.wordBase(ZoneTableId.trust);
    this.#trustCount = section.count(ZoneTableId.trust);
  }

  /** Its origin as text, with the last dot, and behind an `@` its view if it is in one. */
  get name(): string {
    return zoneNameText(formatName(this.origin), this.view);
  }

  get chunkCount(): number {
    return this.#chunks.length;
  }

  /** Names section `index`, made when it is asked for first: hundreds at once would hold up a worker that takes over a snapshot. */
  chunkAt(index: number): NamesChunk {
    return this.#chunks[index] ?? this.#openChunk(index);
  }

  /** Equal in two snapshots as long as the names section `index` is. */
  chunkChecksum(index: number): number {
    return this.#names.records[(this.#firstChunk + index) * CHUNK_WORDS + ChunkWord.checksum]!;
  }

  /** Where the record of the names section of names with this hash begins in `NamesTable.records`. */
  chunkRecord(hash: number): number {
    const bits = this.chunkBits;
    return (this.#firstChunk + (bits === 0 ? 0 : hash >>> (32 - bits))) * CHUNK_WORDS;
  }

  #openChunk(index: number): NamesChunk {
    const chunk = new NamesChunk(this.#names, this.#firstChunk + index);
    this.#chunks[index] = chunk;
    return chunk;
  }

  /** Has the SOA shown with another serial: that of the section and `shift`, less than 2^32, added (RFC 1982). */
  shiftSerial(shift: number): void {
    if (this.serialShift === shift) return;
    const { section } = this;
    const offset =
      section.table(SharedTable.heap).offset +
      section.words[section.wordBase(ZoneTableId.facts) + ZoneFact.soaOffset]!;
    this.serialShift = this.hasSoa ? shift : 0;
    this.soaBytes = section.bytes;
    this.soaOffset = offset;
    if (this.serialShift === 0) return;
    const { bytes } = section;
    const end = offset + RR_HEADER_BYTES + (bytes[offset]! | (bytes[offset + 1]! << 8));
    const shown = bytes.slice(offset, end);
    this.soaBytes = shown;
    this.soaOffset = 0;
    const view = new DataView(shown.buffer);
    const at = shown.length - SERIAL_BYTES_BEFORE_END;
    view.setUint32(at, shiftedSerial(view.getUint32(at), shift));
  }

  /** Whether the name is the origin or below it. */
  contains(name: QueryName): boolean {
    const label = name.labelCount - this.originLabels;
    return label >= 0 && name.hashes[label] === this.originHash && isOrigin(this, name, label);
  }

  /** Whether ECS from this source is believed. The words are the source's whole address. */
  trusts(family: number, word0: number, word1: number, word2: number, word3: number): boolean {
    if (this.trustsEveryone) return true;
    const words = this.section.words;
    for (let entry = 0; entry < this.#trustCount; entry++) {
      const at = this.#trustBase + entry * TRUST_WORDS;
      const bits = words[at + 1]!;
      if (
        words[at] === family &&
        words[at + 2] === maskWord(word0, bits) &&
        (bits <= 32 ||
          (words[at + 3] === maskWord(word1, bits - 32) &&
            words[at + 4] === maskWord(word2, bits - 64) &&
            words[at + 5] === maskWord(word3, bits - 96)))
      ) {
        return true;
      }
    }
    return false;
  }
}

/** All zones of a snapshot; those of no view are found by the longest origin that a name ends in. */
export class ZoneTable {
  readonly zones: readonly LoadedZone[];
  /** Seed of all name hashes: what a `QueryName` must be made with. */
  readonly seed: number;
  /** Those of no view, for what a view has not got its own of. */
  readonly #beside: ZoneTable | undefined;
  readonly #slots: Int32Array;
  readonly #labelsMin: number;
  readonly #labelsMax: number;
  readonly names: NamesTable;
  /** The names sections in the order of `names`; only in the thread that loaded them. */
  readonly chunks: readonly Section[];

  /** Finds the zones of one view, and those `beside` it where the view has not got its own. */
  private constructor(
    zones: readonly LoadedZone[],
    names: NamesTable,
    chunks: readonly Section[],
    view?: string,
    beside?: ZoneTable,
  ) {
    this.zones = zones;
    this.names = names;
    this.chunks = chunks;
    this.seed = zones[0]?.section.seed ?? 0;
    this.#beside = beside;
    const found = zones.filter((zone) => zone.view === view);
    let size = 4;
    while (size < found.length * 2) size *= 2;
    this.#slots = new Int32Array(size).fill(-1);
    let labelsMin = 128;
    let labelsMax = 0;
    for (const zone of found) {
      let slot = zone.originHash & (size - 1);
      while (this.#slots[slot]! >= 0) slot = (slot + 1) & (size - 1);
      this.#slots[slot] = zone.index;
      labelsMin = Math.min(labelsMin, zone.originLabels);
      labelsMax = Math.max(labelsMax, zone.originLabels);
    }
    this.#labelsMin = labelsMin;
    this.#labelsMax = labelsMax;
  }

  /**
   * Opens the zone and names sections among `sections` (others are passed over), which lie in `slabs`. Links that `targets` do
   * not have lead nowhere and their names answer SERVFAIL: the compiler never publishes such a snapshot.
   */
  static load(
    sections: readonly Section[],
    slabs: readonly Slab[],
    targets: NamesTargets,
    known?: NamesKnown,
  ): ZoneTable | SectionError {
    const zoneSections = sections.filter(({ kind }) => kind === SectionKind.zone);
    const seed = zoneSections[0]?.seed ?? 0;
    for (const section of zoneSections) {
      if (section.seed !== seed)
        return { error: `Zone section has name seed ${section.seed}, expected ${seed}` };
      const malformed = zoneError(section);
      if (malformed !== undefined) return { error: malformed };
    }
    const chunks = chunksOf(sections, zoneSections);
    if ("error" in chunks) return chunks;
    const names = resolveNames(chunks, slabs, seed, targets, known);
    if ("error" in names) return names;
    const table = ZoneTable.open(zoneSections, names, chunks);
    // Every look-up in a zone ends at its apex at the latest.
    return table.zones.every(hasApex)
      ? table
      : { error: "Zone section has no apex among its names" };
  }

  /**
   * The same for sections that were loaded before, in this thread or another. `zoneSections` in the order of the load; those with a key in
   * `withheld` are left out.
   */
  static open(
    zoneSections: readonly Section[],
    names: NamesTable,
    chunks: readonly Section[] = [],
    withheld?: ReadonlySet<bigint>,
  ): ZoneTable {
    let firstChunk = 0;
    const zones: LoadedZone[] = [];
    for (const section of zoneSections) {
      if (withheld?.has(section.key) !== true)
        zones.push(new LoadedZone(zones.length, section, names, firstChunk));
      firstChunk += chunkCountOf(section);
    }
    return new ZoneTable(zones, names, chunks);
  }

  /** The same zones as a view shows them; of the table of those of no view. */
  inView(view: string): ZoneTable {
    return new ZoneTable(this.zones, this.names, this.chunks, view, this);
  }

  /** The zone with the longest origin that the name ends in, from label `firstLabel` on; undefined if none is served. */
  find(name: QueryName, firstLabel: number): LoadedZone | undefined {
    const own = this.#findOwn(name, firstLabel);
    const other = this.#beside?.find(name, firstLabel);
    return own !== undefined && (other === undefined || other.originLabels <= own.originLabels)
      ? own
      : other;
  }

  #findOwn(name: QueryName, firstLabel: number): LoadedZone | undefined {
    const slots = this.#slots;
    const mask = slots.length - 1;
    const last = name.labelCount - this.#labelsMin;
    for (
      let label = Math.max(firstLabel, name.labelCount - this.#labelsMax);
      label <= last;
      label++
    ) {
      const hash = name.hashes[label]!;
      for (let slot = hash & mask; slots[slot]! >= 0; slot = (slot + 1) & mask) {
        const zone = this.zones[slots[slot]!]!;
        if (zone.originHash === hash && isOrigin(zone, name, label)) return zone;
      }
    }
    return undefined;
  }

  /** The zone whose origin has this hash and as many labels, not compared further; for whom a wrong one does no harm. */
  withOrigin(hash: number, labelCount: number): LoadedZone | undefined {
    if (labelCount < this.#labelsMin || labelCount > this.#labelsMax)
      return this.#beside?.withOrigin(hash, labelCount);
    const slots = this.#slots;
    const mask = slots.length - 1;
    for (let slot = hash & mask; slots[slot]! >= 0; slot = (slot + 1) & mask) {
      const zone = this.zones[slots[slot]!]!;
      if (zone.originHash === hash) return zone;
    }
    return this.#beside?.withOrigin(hash, labelCount);
  }
}

/** Four bytes at a time: finding the zone of a name then takes 26 instead of 33 ns. */
function isOrigin({ origin, originView }: LoadedZone, name: QueryName, label: number): boolean {
  const start = name.starts[label]!;
  const { length } = origin;
  if (name.length - start !== length) return false;
  const { bytes, view } = name;
  let index = 0;
  for (; index + 4 <= length; index += 4) {
    if (view.getInt32(start + index, true) !== originView.getInt32(index, true)) return false;
  }
  for (; index < length; index++) {
    if (bytes[start + index] !== origin[index]) return false;
  }
  return true;
}

/** The names sections of all zones, one zone after the other. */
function chunksOf(
  sections: readonly Section[],
  zoneSections: readonly Section[],
): Section[] | SectionError {
  const names = new Map<bigint, Section>();
  for (const section of sections)
    if (section.kind === SectionKind.names) names.set(section.key, section);
  const chunks: Section[] = [];
  for (const section of zoneSections) {
    const chunkBits = section.words[section.wordBase(ZoneTableId.facts) + ZoneFact.chunkBits]!;
    const chunkCount = chunkCountOf(section);
    if (chunkBits > CHUNK_BITS_MAX || chunkCount !== 2 ** chunkBits)
      return { error: `Zone section has ${chunkCount} names sections, expected 2^${chunkBits}` };
    for (let chunk = 0; chunk < chunkCount; chunk++) {
      const found = names.get(section.keyAt(ZoneTableId.chunks, chunk));
      if (found === undefined)
        return { error: `Zone section names chunk ${chunk}, which is not in the snapshot` };
      chunks.push(found);
    }
  }
  return chunks;
}

function chunkCountOf(section: Section): number {
  return section.count(ZoneTableId.chunks);
}

/** Why the facts of a zone section cannot be used, or undefined. */
export function zoneError(section: Section): string | undefined {
  const strides = strideError(section, "Zone", {
    [ZoneTableId.facts]: 4,
    [ZoneTableId.trust]: TRUST_WORDS * 4,
    [ZoneTableId.chunks]: 8,
    [ZoneTableId.variants]: 4,
  });
  if (strides !== undefined) return strides;
  if (section.count(ZoneTableId.facts) < ZONE_FACT_WORDS) return "Zone section has no facts";
  const facts = section.wordBase(ZoneTableId.facts);
  const fact = (id: number): number => section.words[facts + id]!;
  const start = fact(ZoneFact.originOffset);
  if (!isNameInHeap(section, start) || nameLength(section, start) !== fact(ZoneFact.originBytes))
    return `Zone section has an origin of ${fact(ZoneFact.originBytes)} bytes at ${start}, expected a whole name in the heap`;
  const soa = fact(ZoneFact.soaOffset);
  const heap = section.table(SharedTable.heap);
  const soaEnd = recordEnd(
    section.bytes,
    heap.offset + soa,
    heap.offset + heap.count,
    fact(ZoneFact.originBytes),
  );
  if (fact(ZoneFact.hasSoa) === 1 && soaEnd < 0)
    return `Zone section has its SOA at ${soa}, expected a whole record in the heap`;
  return undefined;
}

/** What is not understood is not answered from. */
function expiryOf(section: Section): number {
  return readSecondarySettings(section)?.expiresSeconds ?? 0;
}

/** The origin of a zone section, lower case, in wire form. */
function originOf(section: Section): Uint8Array {
  const facts = section.wordBase(ZoneTableId.facts);
  const start =
    section.table(SharedTable.heap).offset + section.words[facts + ZoneFact.originOffset]!;
  return section.bytes.subarray(start, start + section.words[facts + ZoneFact.originBytes]!);
}

/** Bytes of the whole wire name at a heap offset, root label included. */
function nameLength(section: Section, offset: number): number {
  const start = section.table(SharedTable.heap).offset + offset;
  let end = start;
  while (section.bytes[end]! !== 0) end += section.bytes[end]! + 1;
  return end + 1 - start;
}
function hashOf(name: Uint8Array, labels: readonly number[], seed: number): number {
  let hash = rootHash(seed) | 0;
  let end = name.length - 1;
  for (const start of labels.toReversed()) {
    hash = labelHash(hash, name, start, end);
    end = start;
  }
  return hash;
}
