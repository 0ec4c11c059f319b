// SPDX-License-Identifier: Apache-2.0

// The encode stage: records are written where the response leaves from. An RRset is written whole or not at all (RFC 2181 §9); the
// first that does not fit sets `isTruncated`, and nothing is added to a section after it.

const POINTER = 0xc000;
const NO_CUT = 0xff;
/** Owner pointer, type, class, TTL, rdata length. */
const FIXED_BYTES = 12;
const CLASS_IN = 1;
const TYPE_NS = 2;
/** Records of one set whose rdata positions are kept for glue. */
const RDATA_OFFSETS_MAX = 64;

export const Section = { answer: 0, authority: 1, additional: 2 } as const;

/** Signs sets as they are written. */
export interface SetSigner {
  /** Adds the signatures of the set from `from` to `response.at`, written to `section`. False where they do not fit or cannot be made. */
  sign(response: ResponseWriter, section: number, from: number): boolean;
}

export class ResponseWriter {
  output: Uint8Array = new Uint8Array(0);
  /** `output`, to be written four bytes at a time. */
  outputView: DataView = new DataView(this.output.buffer);
  start: number = 0;
  /** Next byte to write. */
  at: number = 0;
  /** Records must end here: the size limit less what the OPT record will take. */
  end: number = 0;
  isTruncated: boolean = false;
  readonly counts: Uint16Array = new Uint16Array(3);
  /** Message offsets of the rdata of the NS records that `set()` wrote last. */
  readonly rdataOffsets: Uint16Array = new Uint16Array(RDATA_OFFSETS_MAX);
  rdataCount: number = 0;
  /** Set while a signed answer is written. */
  signer: SetSigner | null = null;
  #section: number = 0;
  #rollback: number = 0;
  #rdataStart: number = 0;
  #added: number = 0;

  /** Starts behind the header and question, which the caller has copied. */
  begin(output: Uint8Array, start: number, at: number, end: number): void {
    if (this.output !== output) {
      this.output = output;
      this.outputView = new DataView(output.buffer, output.byteOffset, output.byteLength);
    }
    this.start = start;
    this.at = at;
    this.end = end;
    this.isTruncated = false;
    this.counts[0] = 0;
    this.counts[1] = 0;
    this.counts[2] = 0;
    this.rdataCount = 0;
  }

  /**
   * Writes a whole RRset from its encoded form (zone-format.ts). Owner and origin are offsets in the message; where a record's name
   * ends in the origin, the origin is replaced by a pointer. False where the set does not fit: nothing is left of it.
   */
  set(
    section: number,
    owner: number,
    type: number,
    ttl: number,
    source: Uint8Array,
    sourceStart: number,
    count: number,
    origin: number,
    originBytes: number,
  ): boolean {
    this.beginSet(section);
    let from = sourceStart;
    // Of name servers only, for their glue.
    const isNs = type === TYPE_NS;
    if (isNs) this.rdataCount = 0;
    for (let index = 0; index < count; index++) {
      const length = source[from]! | (source[from + 1]! << 8);
      const cutA = source[from + 2]!;
      const cutB = source[from + 3]!;
      const data = from + 4;
      from = data + length;
      // What no writer of ours wrote: nothing is read or written beyond what is there.
      if (!(from <= source.length) || !areCutsInside(cutA, cutB, length, originBytes)) {
        this.at = this.#rollback;
        return false;
      }
      if (!this.beginRecord(owner, type, ttl, length - savedBytes(cutA, cutB, originBytes)))
        return false;
      if (isNs && index < RDATA_OFFSETS_MAX) {
        this.rdataOffsets[index] = this.at - this.start;
        this.rdataCount = index + 1;
      }
      this.#rdata(source, data, length, cutA, cutB, origin, originBytes);
      this.endRecord();
    }
    return this.commitSet() === this.#added;
  }

  /** Starts an RRset that the caller writes record by record: `beginRecord`, bytes, `endRecord`, … `commitSet`. */
  beginSet(section: number): void {
    this.#section = section;
    this.#rollback = this.at;
    this.#added = 0;
  }

  /** Writes the fixed part of a record with at most `rdataMax` bytes of rdata. Where they do not fit, undoes the set: false. */
  beginRecord(owner: number, type: number, ttl: number, rdataMax: number): boolean {
    const { outputView } = this;
    let at = this.at;
    if (at + FIXED_BYTES + rdataMax > this.end) {
      this.at = this.#rollback;
      this.isTruncated = true;
      return false;
    }
    outputView.setInt32(at, ((POINTER | owner) << 16) | type);
    outputView.setInt16(at + 4, CLASS_IN);
    outputView.setInt32(at + 6, ttl | 0);
    at += FIXED_BYTES;
    this.at = at;
    this.#rdataStart = at;
    return true;
  }

  /** Fills in the rdata length. */
  endRecord(): void {
    const length = this.at - this.#rdataStart;
    this.output[this.#rdataStart - 2] = length >>> 8;
    this.output[this.#rdataStart - 1] = length;
    this.#added += 1;
  }

  /** Leaves out the record just begun. */
  dropRecord(): void {
    this.at = this.#rdataStart - FIXED_BYTES;
  }

  /** Counts the records of the set; returns how many. 0 where its signature does not fit: nothing is left of it then. */
  commitSet(): number {
    if (this.signer !== null && this.#added > 0 && !this.#sign(this.signer)) return 0;
    this.counts[this.#section]! += this.#added;
    return this.#added;
  }

  #sign(signer: SetSigner): boolean {
    const section = this.#section;
    const count = this.counts[section]!;
    if (signer.sign(this, section, this.#rollback)) return true;
    this.counts[section] = count;
    this.at = this.#rollback;
    this.isTruncated = true;
    return false;
  }

  /** Message offset of the rdata of the record begun last. */
  get rdataOffset(): number {
    return this.#rdataStart - this.start;
  }

  byte(value: number): void {
    this.output[this.at] = value;
    this.at += 1;
  }

  u16(value: number): void {
    this.output[this.at] = value >>> 8;
    this.output[this.at + 1] = value;
    this.at += 2;
  }

  pointer(messageOffset: number): void {
    this.u16(POINTER | messageOffset);
  }

  copy(source: Uint8Array, start: number, length: number): void {
    const { output } = this;
    let at = this.at;
    for (let index = start; index < start + length; index++, at++) output[at] = source[index]!;
    this.at = at;
  }

  #rdata(
    source: Uint8Array,
    start: number,
    length: number,
    cutA: number,
    cutB: number,
    origin: number,
    originBytes: number,
  ): void {
    if (cutA === NO_CUT) {
      this.copy(source, start, length);
      return;
    }
    this.copy(source, start, cutA);
    this.pointer(origin);
    let from = cutA + originBytes;
    if (cutB !== NO_CUT) {
      this.copy(source, start + from, cutB - from);
      this.pointer(origin);
      from = cutB + originBytes;
    }
    this.copy(source, start + from, length - from);
  }
}

/** Whether the origins that pointers replace lie in the rdata, one behind the other. */
function areCutsInside(cutA: number, cutB: number, length: number, originBytes: number): boolean {
  if (cutA === NO_CUT) return true;
  if (cutB === NO_CUT) return cutA + originBytes <= length;
  return cutA + originBytes <= cutB && cutB + originBytes <= length;
}

/** What pointers to the origin save in rdata with these cuts. */
function savedBytes(cutA: number, cutB: number, originBytes: number): number {
  if (cutA === NO_CUT) return 0;
  return cutB === NO_CUT ? originBytes - 2 : 2 * (originBytes - 2);
}
