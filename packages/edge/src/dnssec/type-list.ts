// SPDX-License-Identifier: Apache-2.0

// The types of a name, as NSEC and NSEC3 say them (RFC 4034 §4.1.2), without allocating.

import { RRType } from "@meridian/dns";
import {
  BOUND_SET,
  BoundType,
  NODE_HEADER_BYTES,
  NodeFlag,
  SET_BYTES,
  type NamesChunk,
} from "@meridian/snapshot";

const TYPES_MAX = 272;
const WINDOW_BYTES_MAX = 32;
const BITMAP_BYTES_MAX = 8192;
const boundTypes: readonly (readonly [mask: number, type: number])[] = [
  [BoundType.a, RRType.A],
  [BoundType.aaaa, RRType.AAAA],
  [BoundType.https, RRType.HTTPS],
  [BoundType.svcb, RRType.SVCB],
  [BoundType.srv, RRType.SRV],
];

export class TypeList {
  readonly #types = new Uint16Array(TYPES_MAX);
  #count = 0;
  /** The last bitmap, in its first `bitmapBytes`. */
  readonly bitmap: Uint8Array = new Uint8Array(BITMAP_BYTES_MAX);
  bitmapBytes: number = 0;

  clear(): void {
    this.#count = 0;
  }

  /** Adds a type that may be there already. */
  add(type: number): void {
    const types = this.#types;
    if (this.#count === TYPES_MAX) return;
    let at = this.#count;
    while (at > 0 && types[at - 1]! > type) at -= 1;
    if (at > 0 && types[at - 1] === type) return;
    types.copyWithin(at + 1, at, this.#count);
    types[at] = type;
    this.#count += 1;
  }

  /** Adds what the node at `node` has; of a delegation only what is the parent's (RFC 4035 §2.3). */
  addNode(chunk: NamesChunk, node: number): void {
    const { bytes, words } = chunk;
    const isCut = (bytes[node]! & NodeFlag.isCut) !== 0;
    const count = bytes[node + 2]!;
    for (let set = 0; set < count; set++) {
      const head = words[(node + NODE_HEADER_BYTES + set * SET_BYTES) >>> 2]!;
      const type = head & 0xffff;
      if (head >>> 16 === BOUND_SET) this.#addBound(type);
      else if (!isCut || type === RRType.NS || type === RRType.DS) this.add(type);
    }
  }

  has(type: number): boolean {
    for (let at = 0; at < this.#count; at++) if (this.#types[at] === type) return true;
    return false;
  }

  /** Leaves out a type. */
  remove(type: number): void {
    const types = this.#types;
    for (let at = 0; at < this.#count; at++) {
      if (types[at] !== type) continue;
      types.copyWithin(at, at + 1, this.#count);
      this.#count -= 1;
      return;
    }
  }

  /** Writes the bitmap. */
  encode(): void {
    const types = this.#types;
    const { bitmap } = this;
    let written = 0;
    let at = 0;
    while (at < this.#count) {
      const window = types[at]! >>> 8;
      const map = written + 2;
      bitmap.fill(0, map, map + WINDOW_BYTES_MAX);
      let used = 0;
      for (; at < this.#count && types[at]! >>> 8 === window; at++) {
        const bit = types[at]! & 0xff;
        bitmap[map + (bit >>> 3)]! |= 0x80 >>> (bit & 7);
        used = (bit >>> 3) + 1;
      }
      bitmap[written] = window;
      bitmap[written + 1] = used;
      written = map + used;
    }
    this.bitmapBytes = written;
  }

  /** A name that is bound as an alias has a CNAME; where it has other types too, those are what it is asked for. */
  #addBound(mask: number): void {
    for (const [bit, type] of boundTypes) if ((mask & bit) !== 0) this.add(type);
    if (mask === BoundType.cname) this.add(RRType.CNAME);
  }
}
