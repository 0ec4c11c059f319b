// SPDX-License-Identifier: Apache-2.0

// The sampled query log: a ring of records in shared memory for one writer (a worker) and one reader (the main thread). The writer
// never waits; what does not fit is counted. A record holds the packet and its answer, so that `explain --replay` can ask again and
// compare bytes. Client addresses, the packet's client subnet among them, are cut to a prefix before they are written, and
// cookies, which tell a client from all others, to zeros.
//
//   word 0 head (bytes written)   word 1 tail (bytes read)   word 2 dropped records   word 3 unused   then the ring
//   record: u32 bytes (multiple of 8), the fixed words of LogWord, u32 endpoints…, packet, answer, padding; one that would cross the
//   end of the ring starts at its beginning, behind a length of WRAP
//
// Head and tail run freely modulo 2³²; the ring's size is a power of two.

import { COOKIE_OPTION_BYTES } from "./cookie.ts";

const HEADER_BYTES = 16;
const WRAP = 0xffff_ffff;
/** Endpoints that a record names. */
export const LOG_ENDPOINTS_MAX = 8;

/** Words of a record behind its length. */
const LogWord = {
  revision: 1,
  sequence: 2,
  timeHigh: 3,
  timeLow: 4,
  /** family, prefix length, rcode, LogFlag, one byte each. */
  facts: 5,
  draw: 6,
  /** endpoint count, packet bytes. */
  sizes: 7,
  answerBytes: 8,
  client: 9,
  /** Index of the view that was seen and 1; 0 for none. */
  view: 13,
  endpoints: 14,
} as const;
const FIXED_WORDS = 14;
const LogFlag = { tcp: 1, cut: 2 } as const;

/** How much of a client's address is kept. */
export interface LogPrivacy {
  /** 0..32; default 24. */
  readonly prefixIpv4: number;
  /** 0..128; default 56. */
  readonly prefixIpv6: number;
}

/** One logged query. */
export interface LogRecord {
  readonly revision: number;
  readonly sequence: number;
  /** Wall time in milliseconds, of the batch. */
  readonly timeMs: number;
  readonly family: number;
  readonly prefixLength: number;
  /** The client's address cut to the prefix: 4 or 16 bytes. */
  readonly client: Uint8Array;
  readonly isTcp: boolean;
  /** The decision looked at more of the client's address than is kept, so that asking again may end elsewhere. */
  readonly isCut: boolean;
  readonly draw: number;
  /** Index of the view that was seen, in that revision; −1 for none. */
  readonly view: number;
  readonly rcode: number;
  /** Endpoint indices of the last decision in that revision. */
  readonly endpoints: readonly number[];
  /** The packet and its answer, the client subnet in both cut. */
  readonly packet: Uint8Array;
  readonly answer: Uint8Array;
}

/** What the writer is given; one object is made per worker and filled again. */
export class LogEntry {
  revision: number = 0;
  sequence: number = 0;
  timeMs: number = 0;
  family: number = 4;
  isTcp: boolean = false;
  draw: number = 0;
  view: number = -1;
  rcode: number = 0;
  readonly endpoints: Uint32Array = new Uint32Array(LOG_ENDPOINTS_MAX);
  endpointCount: number = 0;
  /** Where the address bytes of a client subnet lie in the packet; -1 for none. */
  ecsAt: number = -1;
  ecsFamily: number = 4;
  ecsBytes: number = 0;
  /** Where the answer repeats them; -1 for nowhere. */
  echoAt: number = -1;
  /** Where a cookie's data lies in the packet (-1: no answer repeats it), and in the answer. */
  cookieAt: number = -1;
  cookieBytes: number = 0;
  cookieEchoAt: number = -1;
  /** How much of an IPv4 and of an IPv6 address the decisions looked at. */
  bitsIpv4: number = 0;
  bitsIpv6: number = 0;
}

/** A ring of at least `bytes` (rounded up to a power of two, 64 KiB at least). */
export function makeLogBuffer(bytes: number): SharedArrayBuffer {
  let size = 65_536;
  while (size < bytes) size *= 2;
  return new SharedArrayBuffer(HEADER_BYTES + size);
}

/** The worker's side. */
export class QueryLogWriter {
  readonly #words: Uint32Array;
  readonly #bytes: Uint8Array;
  readonly #size: number;
  readonly #privacy: LogPrivacy;

  constructor(buffer: SharedArrayBuffer, privacy: LogPrivacy) {
    this.#words = new Uint32Array(buffer);
    this.#bytes = new Uint8Array(buffer);
    this.#size = buffer.byteLength - HEADER_BYTES;
    this.#privacy = privacy;
  }

  /** Appends a record; false, and counted, where the ring is full. Offsets are into the transport's buffers. */
  write(
    entry: LogEntry,
    packet: Uint8Array,
    packetStart: number,
    packetBytes: number,
    answer: Uint8Array,
    answerStart: number,
    answerBytes: number,
    source: Uint8Array,
    sourceStart: number,
  ): boolean {
    const bytes = (FIXED_WORDS * 4 + entry.endpointCount * 4 + packetBytes + answerBytes + 7) & ~7;
    const at = this.#claim(bytes);
    if (at < 0) {
      this.#words[2]! += 1;
      return false;
    }
    const word = (HEADER_BYTES + at) >>> 2;
    this.#fixed(word, bytes, entry, packetBytes, answerBytes);
    this.#client(word, entry.family, source, sourceStart);
    let to = (word + FIXED_WORDS) * 4 + entry.endpointCount * 4;
    for (let index = 0; index < entry.endpointCount; index++) {
      this.#words[word + FIXED_WORDS + index] = entry.endpoints[index]!;
    }
    const packetAt = to;
    for (let index = 0; index < packetBytes; index++)
      this.#bytes[to++] = packet[packetStart + index]!;
    const answerAt = to;
    for (let index = 0; index < answerBytes; index++)
      this.#bytes[to++] = answer[answerStart + index]!;
    if (entry.ecsAt >= 0) this.#cut(packetAt + entry.ecsAt, entry.ecsFamily, entry.ecsBytes);
    if (entry.echoAt >= 0) this.#cut(answerAt + entry.echoAt, entry.ecsFamily, entry.ecsBytes);
    if (entry.cookieAt >= 0) {
      const cookieAt = packetAt + entry.cookieAt;
      const cookieEchoAt = answerAt + entry.cookieEchoAt;
      this.#bytes.fill(0, cookieAt, cookieAt + entry.cookieBytes);
      this.#bytes.fill(0, cookieEchoAt, cookieEchoAt + COOKIE_OPTION_BYTES - 4);
    }
    const head = this.#words[0]!;
    Atomics.store(this.#words, 0, (head + bytes) >>> 0);
    return true;
  }

  /** Offset in the ring at which `bytes` may be written, or -1. */
  #claim(bytes: number): number {
    const words = this.#words;
    const tail = Atomics.load(words, 1);
    let head = words[0]!;
    const at = head % this.#size;
    const left = this.#size - at;
    const gap = left < bytes ? left : 0;
    if (((head - tail) >>> 0) + gap + bytes > this.#size) return -1;
    if (gap > 0) {
      words[(HEADER_BYTES + at) >>> 2] = WRAP;
      head = (head + gap) >>> 0;
      Atomics.store(words, 0, head);
    }
    return head % this.#size;
  }

  #fixed(
    word: number,
    bytes: number,
    entry: LogEntry,
    packetBytes: number,
    answerBytes: number,
  ): void {
    const words = this.#words;
    const { prefixIpv4, prefixIpv6 } = this.#privacy;
    const prefix = entry.family === 6 ? prefixIpv6 : prefixIpv4;
    const isCut = entry.bitsIpv4 > prefixIpv4 || entry.bitsIpv6 > prefixIpv6;
    const flags = (entry.isTcp ? LogFlag.tcp : 0) | (isCut ? LogFlag.cut : 0);
    words[word] = bytes;
    words[word + LogWord.revision] = entry.revision;
    words[word + LogWord.sequence] = entry.sequence;
    words[word + LogWord.timeHigh] = Math.floor(entry.timeMs / 2 ** 32);
    words[word + LogWord.timeLow] = entry.timeMs % 2 ** 32;
    words[word + LogWord.facts] =
      entry.family | (prefix << 8) | (entry.rcode << 16) | (flags << 24);
    words[word + LogWord.draw] = entry.draw;
    words[word + LogWord.view] = entry.view + 1;
    words[word + LogWord.sizes] = entry.endpointCount | (packetBytes << 16);
    words[word + LogWord.answerBytes] = answerBytes;
  }

  #client(word: number, family: number, source: Uint8Array, sourceStart: number): void {
    const at = (word + LogWord.client) * 4;
    const count = family === 6 ? 16 : 4;
    for (let index = 0; index < 16; index++)
      this.#bytes[at + index] = index < count ? source[sourceStart + index]! : 0;
    this.#cut(at, family, count);
  }

  /** Zeroes what lies beyond the prefix that may be kept. */
  #cut(at: number, family: number, count: number): void {
    const bits = family === 6 ? this.#privacy.prefixIpv6 : this.#privacy.prefixIpv4;
    for (let index = 0; index < count; index++) {
      const kept = Math.max(0, Math.min(8, bits - index * 8));
      this.#bytes[at + index]! &= 0xff00 >>> kept;
    }
  }
}

/** The main thread's side. */
export class QueryLogReader {
  readonly #words: Uint32Array;
  readonly #bytes: Uint8Array;
  readonly #size: number;

  constructor(buffer: SharedArrayBuffer) {
    this.#words = new Uint32Array(buffer);
    this.#bytes = new Uint8Array(buffer);
    this.#size = buffer.byteLength - HEADER_BYTES;
  }

  /** Records that found no room since the start. */
  get dropped(): number {
    return Atomics.load(this.#words, 2);
  }

  /** Takes out at most `limit` records. */
  drain(onRecord: (record: LogRecord) => void, limit = 10_000): number {
    let count = 0;
    while (count < limit) {
      const head = Atomics.load(this.#words, 0);
      const tail = this.#words[1]!;
      if (head === tail) break;
      const at = tail % this.#size;
      const word = (HEADER_BYTES + at) >>> 2;
      const bytes = this.#words[word]!;
      const isWrap = bytes === WRAP;
      if (!isWrap) {
        onRecord(this.#record(word));
        count += 1;
      }
      Atomics.store(this.#words, 1, (tail + (isWrap ? this.#size - at : bytes)) >>> 0);
    }
    return count;
  }

  #record(word: number): LogRecord {
    const words = this.#words;
    const facts = words[word + LogWord.facts]!;
    const family = facts & 0xff;
    const endpointCount = words[word + LogWord.sizes]! & 0xffff;
    const packetBytes = words[word + LogWord.sizes]! >>> 16;
    const answerBytes = words[word + LogWord.answerBytes]!;
    const clientAt = (word + LogWord.client) * 4;
    const packetAt = (word + FIXED_WORDS + endpointCount) * 4;
    const answerAt = packetAt + packetBytes;
    return {
      revision: words[word + LogWord.revision]!,
      sequence: words[word + LogWord.sequence]!,
      timeMs: words[word + LogWord.timeHigh]! * 2 ** 32 + words[word + LogWord.timeLow]!,
      family,
      prefixLength: (facts >>> 8) & 0xff,
      client: Uint8Array.from(this.#bytes.subarray(clientAt, clientAt + (family === 6 ? 16 : 4))),
      isTcp: ((facts >>> 24) & LogFlag.tcp) !== 0,
      isCut: ((facts >>> 24) & LogFlag.cut) !== 0,
      draw: words[word + LogWord.draw]!,
      view: words[word + LogWord.view]! - 1,
      rcode: (facts >>> 16) & 0xff,
      endpoints: [
        ...words.subarray(word + LogWord.endpoints, word + LogWord.endpoints + endpointCount),
      ],
      packet: Uint8Array.from(this.#bytes.subarray(packetAt, answerAt)),
      answer: Uint8Array.from(this.#bytes.subarray(answerAt, answerAt + answerBytes)),
    };
  }
}
