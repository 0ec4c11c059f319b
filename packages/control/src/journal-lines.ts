// SPDX-License-Identifier: Apache-2.0
import type { ChangeSet } from "@meridian/health";

/** Most bytes of one change: a comma, brackets, quotes, 16 digits of the key and 10 of the value. */
const CHANGE_BYTES_MAX = 32;
const KEY_DIGITS = 16;
const DIGITS = "0123456789abcdef";

/**
 * Change sets as lines of the journal. Digits are written one by one into a buffer that is kept: as strings that were put together, the lines of
 * 10,000 changes a second were most of what the main thread's collections had to look through.
 */
export class JournalLines {
  #bytes = Buffer.alloc(64 * CHANGE_BYTES_MAX);

  /** A `JournalEntry` as JSON. */
  of({ sequence, revision, atMs, cause, keys, values }: ChangeSet): string {
    const head = JSON.stringify({ sequence, revision, atMs, cause });
    const length = keys.length * CHANGE_BYTES_MAX;
    const bytes = length <= this.#bytes.length ? this.#bytes : Buffer.alloc(length);
    // What a large change set needs is not kept.
    if (length <= KEPT_BYTES_MAX) this.#bytes = bytes;
    const halves = new Uint32Array(keys.buffer, keys.byteOffset, keys.length * 2);
    let end = 0;
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
    return `${head.slice(0, -1)},"changes":[${bytes.toString("latin1", 0, end)}]}`;
  }
}

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
