// SPDX-License-Identifier: Apache-2.0
//
// Type bit maps of NSEC and NSEC3 (RFC 4034 §4.1.2): windows of 256 types, each with its number,
// the length of its map (1 to 32) and the map, most significant bit first.

import { ByteReader } from "./byte-reader.ts";

/** Wire form of a set of types. */
export function encodeTypeBitmap(types: readonly number[]): Uint8Array {
  const windows = new Map<number, Uint8Array>();
  for (const type of [...types].sort((a, b) => a - b)) {
    const map = windows.get(type >>> 8) ?? new Uint8Array(32);
    windows.set(type >>> 8, map);
    const bit = type & 0xff;
    map[bit >>> 3] = map[bit >>> 3]! | (0x80 >>> (bit & 7));
  }
  const out: number[] = [];
  for (const [window, map] of windows) {
    const used = map.findLastIndex((byte) => byte !== 0) + 1;
    out.push(window, used, ...map.subarray(0, used));
  }
  return Uint8Array.from(out);
}

/** Types in a bit map in rising order; undefined if it is malformed. */
export function decodeTypeBitmap(wire: Uint8Array): number[] | undefined {
  const reader = new ByteReader(wire);
  const types: number[] = [];
  let lastWindow = -1;
  while (reader.remaining > 0) {
    const window = reader.u8();
    const map = reader.characterString();
    const wellFormed = map.length >= 1 && map.length <= 32 && map.at(-1) !== 0;
    if (reader.failed || !wellFormed || window <= lastWindow) {
      return undefined;
    }
    lastWindow = window;
    for (let bit = 0; bit < map.length * 8; bit++) {
      if ((map[bit >>> 3]! & (0x80 >>> (bit & 7))) !== 0) {
        types.push(window * 256 + bit);
      }
    }
  }
  return types;
}
