// SPDX-License-Identifier: Apache-2.0

// How an input is changed: bytes flipped, set, cut out, doubled, moved, joined with another input, and words of the format put in.
// Everything comes from one generator, so that a seed says what was tried.

import type { Pcg32 } from "@meridian/core";

/** Largest input that is tried. */
export const INPUT_BYTES_MAX = 65_536;
/** Most changes to one input. */
const STEPS_MAX = 6;
/** Most bytes of a cut or a copy, in most cases. */
const PIECE_BYTES_MAX = 64;

/** Numbers at which length fields and offsets go wrong. */
const awkward: readonly number[] = [
  0, 1, 0x3f, 0x40, 0x7f, 0x80, 0xbf, 0xc0, 0xfe, 0xff, 0x100, 0x7fff, 0x8000, 0xffff, 0x1_0000,
  0x7fff_ffff, 0x8000_0000, 0xffff_fffe, 0xffff_ffff,
];

/** What inputs are made of. */
export interface Material {
  readonly inputs: readonly Uint8Array[];
  /** Words of the format. */
  readonly words: readonly Uint8Array[];
  /** Most changed bytes stay ASCII: what is no UTF-8 is refused before anything else is looked at. */
  readonly isText: boolean;
}

/** Makes one input from those that there are. */
export function mutate(random: Pcg32, material: Material): Uint8Array {
  let bytes = pick(random, material.inputs) ?? new Uint8Array(0);
  for (let step = 1 + below(random, STEPS_MAX); step > 0; step--)
    bytes = change(random, bytes, material);
  return bytes.subarray(0, INPUT_BYTES_MAX);
}

/** A number from 0 to `limit` − 1; 0 where there is none. */
function below(random: Pcg32, limit: number): number {
  return limit < 1 ? 0 : random.next32() % limit;
}

function pick<T>(random: Pcg32, list: readonly T[]): T | undefined {
  return list[below(random, list.length)];
}

function change(random: Pcg32, bytes: Uint8Array, material: Material): Uint8Array {
  const { inputs, words } = material;
  const isText = material.isText && below(random, 64) > 0;
  const at = below(random, bytes.length + 1);
  switch (below(random, 16)) {
    case 0:
      return bytes.subarray(0, at);
    case 1: {
      const other = pick(random, inputs) ?? bytes;
      return splice(bytes, at, bytes.length, other.subarray(below(random, other.length)));
    }
    case 2:
    case 3:
    case 4:
      return splice(bytes, at, below(random, PIECE_BYTES_MAX), new Uint8Array(0));
    case 5:
    case 6:
    case 7: {
      const from = below(random, bytes.length);
      const piece = bytes.subarray(from, from + below(random, PIECE_BYTES_MAX));
      return splice(bytes, at, 0, piece);
    }
    case 8:
    case 9:
    case 10:
      return splice(bytes, at, 0, pick(random, words) ?? number(random, isText));
    case 11:
    case 12:
      return overwrite(bytes, at, number(random, isText));
    case 13:
      return overwrite(bytes, at, Uint8Array.of(random.next32() & (isText ? 0x7f : 0xff)));
    default:
      return overwrite(
        bytes,
        at,
        Uint8Array.of((bytes[at] ?? 0) ^ (1 << below(random, isText ? 7 : 8))),
      );
  }
}

/** An awkward number in one, two or four bytes, either end first; in text, in digits. */
function number(random: Pcg32, isText: boolean): Uint8Array {
  const value = pick(random, awkward) ?? 0;
  if (isText) return new Uint8Array(Buffer.from(String(value)));
  const bytes = new Uint8Array(4);
  const isLittle = below(random, 2) === 0;
  new DataView(bytes.buffer).setUint32(0, value, isLittle);
  const length = pick(random, [1, 2, 4]) ?? 4;
  return isLittle ? bytes.subarray(0, length) : bytes.subarray(4 - length);
}

function overwrite(bytes: Uint8Array, at: number, piece: Uint8Array): Uint8Array {
  const changed = bytes.slice();
  changed.set(piece.subarray(0, Math.max(0, bytes.length - at)), Math.min(at, bytes.length));
  return changed;
}

function splice(bytes: Uint8Array, at: number, removed: number, piece: Uint8Array): Uint8Array {
  const end = Math.min(bytes.length, at + removed);
  const changed = new Uint8Array(at + piece.length + bytes.length - end);
  changed.set(bytes.subarray(0, at));
  changed.set(piece, at);
  changed.set(bytes.subarray(end), at + piece.length);
  return changed;
}
