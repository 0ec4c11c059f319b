// SPDX-License-Identifier: Apache-2.0
//
// Bytes → Message. Whatever the bytes are: nothing is thrown, nothing past their end is read, and
// the work is bounded. A compression pointer must point before the name that holds it, and each
// further one before the last, so a chain of pointers ends, after 127 at the latest (a name has no
// more labels); a name stops at 255 bytes; and the
// names of one message may together expand to 64 KiB at most, so that a small message cannot make
// a large one.

import { ByteWriter } from "./byte-writer.ts";
import { DnsLimits, RRType } from "./constants.ts";
import type {
  DecodeError,
  Edns,
  EdnsOption,
  HeaderFlags,
  Message,
  Question,
  ResourceRecord,
} from "./message.ts";
import { receivedRdataNames } from "./rdata-layout.ts";

const POINTER_BITS = 0xc0;
const EXPANDED_BYTES_MAX = 65_536;
const POINTERS_PER_NAME_MAX = 127;
const QUESTION_BYTES_MIN = 5;
const RECORD_BYTES_MIN = 11;

/**
 * The message in `bytes`; trailing bytes are an error. A message without question is legal. A message of a transfer, whose sender is known,
 * may have more names than others: `expandedBytesMax` is what all that end in pointers may have together.
 */
export function decodeMessage(
  bytes: Uint8Array,
  expandedBytesMax: number = EXPANDED_BYTES_MAX,
): Message | DecodeError {
  const decoder = new Decoder(bytes, expandedBytesMax);
  const message = decoder.message();
  return decoder.error ?? message;
}

interface Sections {
  readonly records: ResourceRecord[];
  edns: Edns | undefined;
}

class Decoder {
  readonly #bytes: Uint8Array;
  #at: number;
  #expandedBytes: number;
  readonly #expandedBytesMax: number;
  error: DecodeError | undefined;

  constructor(bytes: Uint8Array, expandedBytesMax: number) {
    this.#bytes = bytes;
    this.#expandedBytesMax = expandedBytesMax;
    this.#at = 0;
    this.#expandedBytes = 0;
    this.error = undefined;
  }

  message(): Message {
    if (this.#bytes.length < DnsLimits.headerBytes) {
      this.#fail("header is cut off", this.#bytes.length);
    }
    const id = this.#u16();
    const bits = this.#u16();
    const counts = [this.#u16(), this.#u16(), this.#u16(), this.#u16()] as const;
    this.#checkCounts(counts);
    const question = this.#questions(counts[0]);
    const answer = this.#records(counts[1], false);
    const authority = this.#records(counts[2], false);
    const additional = this.#records(counts[3], true);
    if (this.error === undefined && this.#at !== this.#bytes.length) {
      this.#fail("bytes after the end of the message", this.#at);
    }
    const message: Message = {
      id,
      opcode: (bits >>> 11) & 15,
      rcode: bits & 15,
      flags: decodeFlags(bits),
      question,
      answer: answer.records,
      authority: authority.records,
      additional: additional.records,
    };
    return additional.edns === undefined ? message : { ...message, edns: additional.edns };
  }

  /** Counts that cannot fit are refused before any record is read. */
  #checkCounts(counts: readonly [number, number, number, number]): void {
    const records = counts[1] + counts[2] + counts[3];
    const least = counts[0] * QUESTION_BYTES_MIN + records * RECORD_BYTES_MIN;
    if (this.error === undefined && least > this.#bytes.length - DnsLimits.headerBytes) {
      this.#fail("counts are larger than the message", 4);
    }
  }

  #questions(count: number): Question[] {
    const questions: Question[] = [];
    for (let i = 0; i < count && this.error === undefined; i++) {
      const name = this.#name();
      questions.push({ name, type: this.#u16(), class: this.#u16() });
    }
    return questions;
  }

  #records(count: number, mayHoldEdns: boolean): Sections {
    const section: Sections = { records: [], edns: undefined };
    for (let i = 0; i < count && this.error === undefined; i++) {
      const start = this.#at;
      const owner = this.#name();
      const type = this.#u16();
      const rrClass = this.#u16();
      const ttl = this.#u32();
      const rdataBytes = this.#u16();
      const end = this.#at + rdataBytes;
      if (this.error === undefined && end > this.#bytes.length) {
        this.#fail("rdata is cut off", this.#at);
      }
      if (this.error !== undefined) {
        break;
      }
      if (type === RRType.OPT) {
        this.#checkOpt(owner, start, mayHoldEdns && section.edns === undefined);
        section.edns = this.#edns(rrClass, ttl, end);
      } else {
        section.records.push({ owner, type, class: rrClass, ttl, rdata: this.#rdata(type, end) });
      }
    }
    return section;
  }

  /** At most one OPT, owned by the root, in the additional section (RFC 6891 §6.1.1). */
  #checkOpt(owner: Uint8Array, start: number, allowed: boolean): void {
    if (!allowed || owner.length !== 1) {
      this.#fail("OPT record is misplaced", start);
    }
  }

  #edns(udpSize: number, ttl: number, end: number): Edns {
    const options: EdnsOption[] = [];
    while (this.#at < end && this.error === undefined) {
      const start = this.#at;
      const code = this.#u16();
      const length = this.#u16();
      if (this.#at + length > end) {
        this.#fail("EDNS option is cut off", start);
        break;
      }
      options.push({ code, data: this.#bytes.slice(this.#at, this.#at + length) });
      this.#at += length;
    }
    return {
      udpSize,
      extendedRcode: ttl >>> 24,
      version: (ttl >>> 16) & 0xff,
      do: (ttl & 0x8000) !== 0,
      options,
    };
  }

  /** Rdata up to `end` with the names in it decompressed. */
  #rdata(type: number, end: number): Uint8Array {
    const start = this.#at;
    const names = receivedRdataNames(type);
    // An empty rdata is legal in UPDATE and in prerequisites (RFC 2136 §2.4).
    if (names === "none" || start === end) {
      this.#at = end;
      return this.#bytes.slice(start, end);
    }
    const writer = new ByteWriter(DnsLimits.rdataBytesMax);
    this.#at += names.prefixBytes;
    if (this.#at <= end) {
      writer.bytes(this.#bytes.subarray(start, this.#at));
    }
    for (let i = 0; i < names.nameCount && this.error === undefined; i++) {
      writer.bytes(this.#name());
    }
    if (this.error === undefined && this.#at > end) {
      this.#fail("name runs past the end of its rdata", start);
    }
    if (this.error === undefined) {
      writer.bytes(this.#bytes.subarray(this.#at, end));
      this.#at = end;
    }
    return writer.finish();
  }

  #name(): Uint8Array {
    const bytes = this.#bytes;
    const start = this.#at;
    const name = new Uint8Array(DnsLimits.nameBytesMax);
    let out = 0;
    let at = start;
    let pointerLimit = start;
    let pointers = 0;
    while (this.error === undefined) {
      if (at >= bytes.length) {
        return this.#failName("name is cut off", at);
      }
      const length = bytes[at]!;
      if ((length & POINTER_BITS) === POINTER_BITS) {
        if (at + 1 >= bytes.length) {
          return this.#failName("compression pointer is cut off", at);
        }
        const target = ((length & 0x3f) << 8) | bytes[at + 1]!;
        if (target >= pointerLimit) {
          return this.#failName("compression pointer does not point backwards", at);
        }
        this.#at = pointers > 0 ? this.#at : at + 2;
        pointers++;
        if (pointers > POINTERS_PER_NAME_MAX) {
          return this.#failName("name has more than 127 compression pointers", at);
        }
        pointerLimit = target;
        at = target;
        continue;
      }
      if (length > DnsLimits.labelBytesMax) {
        return this.#failName("label type is reserved", at);
      }
      if (at + 1 + length > bytes.length) {
        return this.#failName("name is cut off", at);
      }
      if (out + 1 + length + (length === 0 ? 0 : 1) > DnsLimits.nameBytesMax) {
        return this.#failName("name is longer than 255 bytes", at);
      }
      name.set(bytes.subarray(at, at + 1 + length), out);
      out += 1 + length;
      at += 1 + length;
      if (length === 0) {
        break;
      }
    }
    this.#at = pointers > 0 ? this.#at : at;
    this.#expandedBytes += pointers > 0 ? out : 0;
    if (this.#expandedBytes > this.#expandedBytesMax) {
      return this.#failName("compressed names expand to more than 64 KiB", start);
    }
    return name.slice(0, out);
  }

  #failName(error: string, offset: number): Uint8Array {
    this.#fail(error, offset);
    return new Uint8Array(1);
  }

  #u16(): number {
    const at = this.#at;
    if (at + 2 > this.#bytes.length) {
      this.#fail("message is cut off", at);
      return 0;
    }
    this.#at += 2;
    return (this.#bytes[at]! << 8) | this.#bytes[at + 1]!;
  }

  #u32(): number {
    const high = this.#u16();
    return high * 65_536 + this.#u16();
  }

  #fail(error: string, offset: number): void {
    this.error ??= { error, offset: Math.min(offset, this.#bytes.length) };
  }
}

function decodeFlags(bits: number): HeaderFlags {
  return {
    qr: (bits & 0x8000) !== 0,
    aa: (bits & 0x0400) !== 0,
    tc: (bits & 0x0200) !== 0,
    rd: (bits & 0x0100) !== 0,
    ra: (bits & 0x0080) !== 0,
    z: (bits & 0x0040) !== 0,
    ad: (bits & 0x0020) !== 0,
    cd: (bits & 0x0010) !== 0,
  };
}
