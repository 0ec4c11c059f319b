// SPDX-License-Identifier: Apache-2.0

// The records of a zone as they came from its primary, in parts: each owner's lie in the part that the hash of its name says, so that a
// change of a few names writes a few parts of the store anew. A part is opened when it is asked for.
//
// What changes say is applied to the letter (RFC 1995 §4): a record that goes has to be there. So two copies that took different ways to a
// serial are the same, or one of the ways is found out.

import { hash32 } from "@meridian/core";
import {
  RRType,
  canonicalRdata,
  decodeRecords,
  encodeRecords,
  equalNames,
  formatName,
  nameKey,
  readSoa,
  recordBytes,
  typeToText,
  type SoaTimers,
  type ZoneDelta,
  type ZoneRecord,
} from "@meridian/dns";

/** Bytes of records that a part is to have, about. */
const PART_BYTES = 32 * 1024;
const PART_BITS_MAX = 10;
/** In RRSIG rdata. */
const SIGNED_UNTIL_AT = 8;
/** Bytes of a copy as it is kept: what one change set of the store takes, and some room for the rest. */
export const ZONE_BYTES_MAX: number = 60 * 1024 * 1024;
/** Types that may stand beside a CNAME (RFC 4035 §2.5). */
const besideCname: ReadonlySet<number> = new Set([RRType.CNAME, RRType.RRSIG, RRType.NSEC]);

/** The records of each owner, by what makes them the same record: type and data. */
type Part = Map<string, Map<string, ZoneRecord>>;

export class ZoneCopy {
  readonly #origin: Uint8Array;
  /** As they are kept. */
  readonly #texts: readonly string[];
  readonly #opened: (Part | undefined)[];
  readonly #changed = new Set<number>();

  private constructor(origin: Uint8Array, texts: readonly string[]) {
    this.#origin = origin;
    this.#texts = texts;
    this.#opened = texts.map(() => undefined);
  }

  /** Of records as a whole; the same record twice is one. All its parts are changed. */
  static of(origin: Uint8Array, records: readonly ZoneRecord[]): ZoneCopy {
    const bytes = records.reduce((sum, record) => sum + recordBytes(record), 0);
    let bits = 0;
    while (bits < PART_BITS_MAX && bytes / 2 ** bits > PART_BYTES) bits += 1;
    const copy = new ZoneCopy(origin, new Array<string>(2 ** bits).fill(""));
    for (let part = 0; part < copy.partCount; part += 1) copy.#changed.add(part);
    for (const record of records) copy.#put(record);
    return copy;
  }

  /** As it is kept; parts that cannot be read count as empty. */
  static read(origin: Uint8Array, texts: readonly string[]): ZoneCopy {
    return new ZoneCopy(origin, texts);
  }

  get partCount(): number {
    return this.#texts.length;
  }

  /** Parts that are other than they were, as they are to be kept. */
  changedTexts(): ReadonlyMap<number, string> {
    return new Map([...this.#changed].map((part) => [part, textOf(this.#part(part))]));
  }

  *records(): Generator<ZoneRecord> {
    for (let part = 0; part < this.partCount; part += 1)
      for (const records of this.#part(part).values()) yield* records.values();
  }

  /** Bytes of its parts as they are kept. */
  get bytes(): number {
    const changed = this.changedTexts();
    return this.#texts.reduce((sum, text, part) => sum + (changed.get(part) ?? text).length, 0);
  }

  get soaRecord(): ZoneRecord | undefined {
    return this.#ofOwner(this.#origin).find(({ type }) => type === RRType.SOA);
  }

  /** Numbers of its SOA; undefined where it has none. */
  get soa(): SoaTimers | undefined {
    const { soaRecord } = this;
    return soaRecord === undefined ? undefined : readSoa(soaRecord.rdata);
  }

  /** When the first signature at its apex ends (RFC 4034 §3.1.5), Unix seconds; 0 where it has none. */
  get signedUntilSeconds(): number {
    const ends = this.#ofOwner(this.#origin)
      .filter(({ type, rdata }) => type === RRType.RRSIG && rdata.length > SIGNED_UNTIL_AT + 4)
      .map(({ rdata }) => Buffer.from(rdata).readUInt32BE(SIGNED_UNTIL_AT));
    return ends.length === 0 ? 0 : Math.min(...ends);
  }

  /** Whether its apex has a record of a type. */
  hasAtApex(type: number): boolean {
    return this.#ofOwner(this.#origin).some((record) => record.type === type);
  }

  /** Applies changes in their order; what speaks against them, as the end of a sentence. After that the copy is of no use. */
  apply(deltas: readonly ZoneDelta[]): string | undefined {
    for (const { before, removed, after, added } of deltas) {
      const { serial } = readSoa(before.rdata);
      if (this.soa?.serial !== serial)
        return `changes of serial ${serial} are of no copy that is here`;
      for (const record of [before, ...removed]) {
        if (record.type === RRType.SOA) this.#remove(record, (each) => each.type === RRType.SOA);
        else if (!this.#remove(record))
          return `changes take away ${describe(record)}, which is not there`;
      }
      for (const record of [after, ...added]) this.#put(record);
    }
    return undefined;
  }

  /** What makes it impossible to serve, as the end of a sentence: looked at are the owners of these records. */
  faultAmong(records: Iterable<ZoneRecord>): string | undefined {
    const seen = new Set<string>();
    for (const { owner } of [...records, { owner: this.#origin }]) {
      const key = nameKey(owner);
      if (seen.has(key)) continue;
      seen.add(key);
      const fault = this.#faultOf(owner);
      if (fault !== undefined) return fault;
    }
    return undefined;
  }

  #faultOf(owner: Uint8Array): string | undefined {
    const types = this.#ofOwner(owner).map(({ type }) => type);
    const cnames = types.filter((type) => type === RRType.CNAME).length;
    const name = formatName(owner);
    if (cnames > 1) return `${name} has ${cnames} CNAMEs`;
    const beside = cnames === 0 ? undefined : types.find((type) => !besideCname.has(type));
    if (beside !== undefined) return `${name} has a CNAME and ${typeToText(beside)}`;
    if (!equalNames(owner, this.#origin)) return undefined;
    const soas = types.filter((type) => type === RRType.SOA).length;
    if (soas !== 1) return `${name} has ${soas} SOAs`;
    return types.includes(RRType.NS) ? undefined : `${name} has no NS`;
  }

  #ofOwner(owner: Uint8Array): ZoneRecord[] {
    return [...(this.#part(this.#partOf(owner)).get(nameKey(owner))?.values() ?? [])];
  }

  #put(record: ZoneRecord): void {
    const number = this.#partOf(record.owner);
    const part = this.#part(number);
    const key = nameKey(record.owner);
    const records = part.get(key) ?? new Map<string, ZoneRecord>();
    part.set(key, records.set(keyOf(record), record));
    this.#changed.add(number);
  }

  #remove(record: ZoneRecord, isWanted?: (each: ZoneRecord) => boolean): boolean {
    const number = this.#partOf(record.owner);
    const part = this.#part(number);
    const owner = nameKey(record.owner);
    const records = part.get(owner);
    if (records === undefined) return false;
    const keys =
      isWanted === undefined
        ? [keyOf(record)]
        : [...records].flatMap(([key, each]) => (isWanted(each) ? [key] : []));
    const isGone = keys.filter((key) => records.delete(key)).length > 0;
    if (records.size === 0) part.delete(owner);
    this.#changed.add(number);
    return isGone;
  }

  #partOf(owner: Uint8Array): number {
    const key = Buffer.from(nameKey(owner), "latin1");
    return (hash32(key, 0, key.length, 0) >>> 0) % this.partCount;
  }

  #part(number: number): Part {
    const known = this.#opened[number];
    if (known !== undefined) return known;
    const part: Part = new Map();
    for (const record of recordsOfText(this.#texts[number] ?? "") ?? []) {
      const owner = nameKey(record.owner);
      const records = part.get(owner) ?? new Map<string, ZoneRecord>();
      part.set(owner, records.set(keyOf(record), record));
    }
    this.#opened[number] = part;
    return part;
  }
}

/** The records of a part as it is kept; undefined where it is none. */
function recordsOfText(text: string): ZoneRecord[] | undefined {
  return decodeRecords(Uint8Array.from(Buffer.from(text, "base64")));
}

function textOf(part: Part): string {
  const records = [...part.values()].flatMap((each) => [...each.values()]);
  return Buffer.from(encodeRecords(records)).toString("base64");
}

/** Equal for what is one record, whatever its TTL and the case of names in it. */
function keyOf({ type, rdata }: ZoneRecord): string {
  return `${type} ${Buffer.from(canonicalRdata(type, rdata)).toString("latin1")}`;
}

function describe({ owner, type }: ZoneRecord): string {
  return `${formatName(owner)} ${typeToText(type)}`;
}
