// SPDX-License-Identifier: Apache-2.0
import type { ChangeSet } from "@meridian/health";

/** Most bytes of one change: a comma, brackets, quotes, 16 digits of the key and 10 of the value. */
const CHANGE_BYTES_MAX = 32;
const KEY_DIGITS = 16;
const DIGITS = "0123456789abcdef";

/**
 * Change sets as lines of the journal, in the order in which they came, as bytes of a buffer that is kept: as strings that wait for the disk, the
 * lines of 10,000 changes a second were most of what the main thread's collections had to look through.
 */
export class JournalLines {
  #bytes = Buffer.allocUnsafeSlow(BYTES_MIN);
  #start = 0;
  #end = 0;
  /** Where each line ends. */
  #ends: number[] = [];

  get count(): number {
    return this.#ends.length;
  }

  /** Adds a `JournalEntry` as JSON. */
  add({ sequence, revision, atMs, cause, keys, values }: ChangeSet): void {
    const head = JSON.stringify({ sequence, revision, atMs, cause });
    this.#makeRoom(head.length * 3 + FRAME.length + keys.length * CHANGE_BYTES_MAX);
    const bytes = this.#bytes;
    const halves = new Uint32Array(keys.buffer, keys.byteOffset, keys.length * 2);
    // Without its last bracket.
    let end = this.#end + bytes.write(head, this.#end, "utf8") - 1;
    end += bytes.write(',"changes":[', end, "latin1");
    for (let at = 0; at < keys.length; at++) {
      if (at > 0) bytes[end++] = COMMA;
      bytes[end++] = OPEN;
      bytes[end++] = QUOTE;
      end = writeHex(bytes, end, halves[at * 2 + 1] ?? 0);
      end = writeHex(bytes, end, halves[at * 2] ?? 0);
      bytes[end++] = QUOTE;
      bytes[end++] = COMMA;
      end = writeDecimal(bytes, end, values[at] ?? 0);
      bytes[end++] = CLOSE;
    }
    end += bytes.write("]}\n", end, "latin1");
    this.#end = end;
    this.#ends.push(end);
  }

  /** The first of them; valid until another one is added. */
  first(count: number): Buffer {
    return this.#bytes.subarray(this.#start, this.#endOf(count));
  }

  /** Forgets the first of them. */
  drop(count: number): void {
    this.#start = this.#endOf(count);
    this.#ends.splice(0, count);
    if (this.#ends.length > 0) return;
    [this.#start, this.#end] = [0, 0];
    // What a large change set needed is not kept.
    if (this.#bytes.length > KEPT_BYTES_MAX) this.#bytes = Buffer.allocUnsafeSlow(BYTES_MIN);
  }

  #endOf(count: number): number {
    return count === 0 ? this.#start : (this.#ends[count - 1] ?? this.#end);
  }

  #makeRoom(length: number): void {
    const { length: room } = this.#bytes;
    if (this.#end + length <= room) return;
    const waiting = this.#end - this.#start;
    // Where half of it is free at least, so that it is not moved for each line.
    const isEnough = waiting + length <= room && waiting * 2 <= room;
    const bytes = isEnough ? this.#bytes : Buffer.allocUnsafeSlow((waiting + length) * 2);
    this.#bytes.copy(bytes, 0, this.#start, this.#end);
    const moved = this.#start;
    this.#ends = this.#ends.map((end) => end - moved);
    this.#bytes = bytes;
    [this.#start, this.#end] = [0, waiting];
  }
}

const BYTES_MIN = 64 * 1024;
/** What stands around the changes. */
const FRAME = ',"changes":[]}\n';
const KEPT_BYTES_MAX = 1024 * 1024;
const [COMMA, OPEN, CLOSE, QUOTE, ZERO] = [0x2c, 0x5b, 0x5d, 0x22, 0x30] as const;

/** Half of a key, at its place for eight digits. */
function writeHex(bytes: Buffer, start: number, half: number): number {
  for (let digit = 0; digit < KEY_DIGITS / 2; digit++)
    bytes[start + digit] = DIGITS.charCodeAt((half >>> (28 - digit * 4)) & 15);
  return start + KEY_DIGITS / 2;
}

function writeDecimal(bytes: Buffer, start: number, value: number): number {
  let count = 1;
  for (let rest = Math.floor(value / 10); rest > 0; rest = Math.floor(rest / 10)) count += 1;
  let rest = value;
  for (let at = start + count - 1; at >= start; at--) {
    bytes[at] = ZERO + (rest % 10);
    rest = Math.floor(rest / 10);
  }
  return start + count;
}
