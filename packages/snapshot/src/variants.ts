// SPDX-License-Identifier: Apache-2.0

// Answers of several endpoints in a zone that is signed. Drawn freely, eight of thirty members make six million sets, each to be signed.
// So a draw stands for one of 2ⁿ variants, and a variant of a name picks the same set whoever asks, and whenever.
//
// A variant has a number for each pick, as a draw has, but the numbers of all variants lie evenly: those of one pick are a step of 2⁻ⁿ
// apart (a lattice), moved by an amount of the name's own. So, over the variants of one name, a member is picked first as often
// as its weight says, but for one variant more or less; and over many names its shares are exactly those of free draws.

import { mix32 } from "@meridian/core";
import { DIAL_STEP, MEMBER_DIAL_SALT } from "./draw.ts";

const STEP = 0x9e3779b1;
/** 2⁻³². */
const UNIT = 1 / 4294967296;
/** Its powers are odd, and those of neighbouring picks far from one another's small multiples. */
const GENERATOR = 19;
const MULTIPLIERS = 32;
const VARIANT_STEP = 8192;
/** Most variants of a name at one place, as a power of two. */
export const VARIANT_BITS_MAX = 10;

const DIAL_MULTIPLIER = mix32(MEMBER_DIAL_SALT) | 1;

const multipliers = Int32Array.from({ length: MULTIPLIERS }, () => 1);
for (let step = 1; step < MULTIPLIERS; step++)
  multipliers[step] = Math.imul(multipliers[step - 1]!, GENERATOR);

/** How many variants are meant, as a power of two: the one at or below `count`; 0 for less than two. */
export function variantBits(count: number): number {
  return count < 2 ? 0 : Math.min(VARIANT_BITS_MAX, 31 - Math.clz32(count));
}

/** The variant, 0 to 2ᵇⁱᵗˢ − 1, that a draw stands for at the place `salt`; `bits` is 1 or more. */
export function variantOf(draw: number, bits: number, salt: number): number {
  return mix32(draw ^ mix32((salt + VARIANT_STEP) | 0)) >>> (32 - bits);
}

/** The variant's number in [0, total) for pick `step` at the place `salt`; `seed` is the name's own. */
export function variantBelow(
  variant: number,
  bits: number,
  seed: number,
  salt: number,
  step: number,
  total: number,
): number {
  const word = numberOf(
    variant,
    bits,
    seed,
    (salt + Math.imul(step, STEP)) | 0,
    multipliers[step & (MULTIPLIERS - 1)]!,
  );
  return (word >>> 0) * UNIT * total;
}

/** Whether the variant is among the `perMille` thousandths that a dial of members keeps: alike for all members of equal dials. */
export function variantKeeps(
  variant: number,
  bits: number,
  seed: number,
  perMille: number,
): boolean {
  const word = numberOf(variant, bits, seed, MEMBER_DIAL_SALT + DIAL_STEP, DIAL_MULTIPLIER);
  return word >>> 0 < perMille * 4294967.296;
}

function numberOf(
  variant: number,
  bits: number,
  seed: number,
  place: number,
  multiplier: number,
): number {
  return ((Math.imul(variant, multiplier) << (32 - bits)) + mix32(seed ^ mix32(place))) | 0;
}
