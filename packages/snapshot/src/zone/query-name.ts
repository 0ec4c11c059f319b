// SPDX-License-Identifier: Apache-2.0

import { mix32 } from "@meridian/core";

const LABELS_MAX = 127;
const NAME_BYTES_MAX = 255;
const LABEL_BYTES_MAX = 63;

/**
 * A name being looked for: lower-cased bytes, where its labels start, the hash of each suffix, and where each suffix lies in the
 * message being written (for compression pointers). One is made per worker and filled again for each query; filling allocates nothing.
 *
 * Label `labelCount` is the root label, so `hashes[labelCount]` is the hash of the root and `starts[labelCount]` its offset.
 */
export class QueryName {
  readonly bytes: Uint8Array = new Uint8Array(NAME_BYTES_MAX + 1);
  /** `bytes`, to be read four at a time. */
  readonly view: DataView = new DataView(this.bytes.buffer);
  readonly starts: Uint8Array = new Uint8Array(LABELS_MAX + 1);
  /** Signed, so that a value always fits a small integer. */
  readonly hashes: Int32Array = new Int32Array(LABELS_MAX + 1);
  readonly messageOffsets: Uint16Array = new Uint16Array(LABELS_MAX + 1);
  readonly #seed: number;
  labelCount: number = 0;
  /** Bytes of the name, root label included. */
  length: number = 1;

  constructor(seed: number) {
    this.#seed = rootHash(seed) | 0;
  }

  /**
   * Takes the uncompressed name at `source[at..end)`, which will lie at `messageOffset` of the message. Returns the offset behind
   * it, or -1 where it is cut off, too long, or holds a pointer or a reserved label type (nothing may be read from it then).
   */
  set(source: Uint8Array, at: number, end: number, messageOffset: number): number {
    const bytes = this.bytes;
    const starts = this.starts;
    const messageOffsets = this.messageOffsets;
    let position = 0;
    let label = 0;
    for (;;) {
      // Written so that an offset that is no number ends it too.
      if (!(at + position < end)) return -1;
      const labelBytes = source[at + position]!;
      if (position + labelBytes + 1 > NAME_BYTES_MAX || labelBytes > LABEL_BYTES_MAX) return -1;
      starts[label] = position;
      messageOffsets[label] = messageOffset + position;
      bytes[position] = labelBytes;
      position += 1;
      if (labelBytes === 0) break;
      const labelEnd = position + labelBytes;
      if (at + labelEnd > end) return -1;
      for (; position < labelEnd; position++) {
        const byte = source[at + position]!;
        // Letters only: "A" to "Z" become lower case (RFC 4343 §3).
        bytes[position] = byte >= 0x41 && byte <= 0x5a ? byte | 0x20 : byte;
      }
      label += 1;
    }
    this.labelCount = label;
    this.length = position;
    this.#hash();
    return at + position;
  }

  /**
   * Says that the name was written with everything from label `from` on replaced by a pointer to `pointerTarget`.
   */
  pointAt(from: number, pointerTarget: number): void {
    const shift = pointerTarget - this.starts[from]!;
    for (let label = from; label <= this.labelCount; label++) {
      this.messageOffsets[label] = this.starts[label]! + shift;
    }
  }

  #hash(): void {
    const bytes = this.bytes;
    const starts = this.starts;
    const hashes = this.hashes;
    let end = this.length - 1;
    let hash = this.#seed;
    hashes[this.labelCount] = hash;
    for (let label = this.labelCount - 1; label >= 0; label--) {
      const start = starts[label]!;
      hash = labelHash(hash, bytes, start, end);
      hashes[label] = hash;
      end = start;
    }
  }
}

/** Hash of the root name. */
export function rootHash(seed: number): number {
  return mix32(seed ^ 0x811c9dc5);
}

/**
 * Hash of a name from the hash of its parent and its first label, `bytes[start..end)`: the length byte and the lower-cased bytes.
 */
export function labelHash(
  parentHash: number,
  bytes: Uint8Array,
  start: number,
  end: number,
): number {
  let hash = parentHash | 0;
  for (let index = start; index < end; index++) {
    hash = Math.imul(hash ^ bytes[index]!, 0x01000193);
    hash ^= hash >>> 15;
  }
  return finished(hash);
}

/** The same for bytes in any case. */
export function foldedLabelHash(
  parentHash: number,
  bytes: Uint8Array,
  start: number,
  end: number,
): number {
  let hash = parentHash | 0;
  for (let index = start; index < end; index++) {
    const byte = bytes[index]!;
    hash = Math.imul(hash ^ ((byte - 0x41) >>> 0 < 26 ? byte | 0x20 : byte), 0x01000193);
    hash ^= hash >>> 15;
  }
  return finished(hash);
}

function finished(hash: number): number {
  let mixed = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
  return mixed ^ (mixed >>> 16);
}

const wildcardLabel = Uint8Array.of(1, 0x2a);

/** Hash of `*.` in front of a name with hash `parentHash`. */
export function wildcardHash(parentHash: number): number {
  return labelHash(parentHash, wildcardLabel, 0, 2);
}
