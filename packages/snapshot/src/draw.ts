// SPDX-License-Identifier: Apache-2.0
import { mix32 } from "@meridian/core";

// Every random choice of a decision comes from one 32-bit draw, so that a logged draw replays it. Each place that chooses has a salt,
// and each further choice at that place a step; the three are mixed into a fresh 32-bit word.

const STEP = 0x9e3779b1;
/** 2⁻³². */
const UNIT = 1 / 4294967296;

/** Uniform 32-bit word for choice `step` at the place `salt`. */
export function drawWord(draw: number, salt: number, step: number): number {
  return mix32(draw ^ mix32((salt + Math.imul(step, STEP)) | 0));
}

/** Uniform number in [0, total). */
export function drawBelow(draw: number, salt: number, step: number, total: number): number {
  return drawWord(draw, salt, step) * UNIT * total;
}

/** True for a share of `perMille` thousandths of the draws. */
export function drawKeeps(draw: number, salt: number, step: number, perMille: number): boolean {
  return drawWord(draw, salt, step) < perMille * 4294967.296;
}

/** Steps at which a place decides about dials lie far from those at which it picks. */
export const DIAL_STEP = 4096;
