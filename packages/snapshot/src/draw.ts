// SPDX-License-Identifier: Apache-2.0
import { mix32 } from "@meridian/core";
import { FAMILY_IPV4, maskWord, type Client } from "./client.ts";

// Every random choice of a decision comes from one 32-bit draw, so that a logged draw replays it. Each place that chooses has a salt,
// and each further choice at that place a step; the three are mixed into a fresh 32-bit word.

const STEP = 0x9e3779b1;
/** 2⁻³². */
const UNIT = 1 / 4294967296;

// A number outside the signed 32-bit range is an object when it passes between compiled functions, so draws and salts are taken as
// signed here: with that, a query leaves nothing behind on the heap (before: 9 bytes, a collection every 900,000 queries).

/** Uniform signed 32-bit word for choice `step` at the place `salt`. */
export function drawWord(draw: number, salt: number, step: number): number {
  return mix32(draw ^ mix32((salt + Math.imul(step, STEP)) | 0)) | 0;
}

/** Uniform number in [0, total). */
export function drawBelow(draw: number, salt: number, step: number, total: number): number {
  return (drawWord(draw, salt, step) >>> 0) * UNIT * total;
}

/** True for a share of `perMille` thousandths of the draws. */
export function drawKeeps(draw: number, salt: number, step: number, perMille: number): boolean {
  return drawWord(draw, salt, step) >>> 0 < perMille * 4294967.296;
}

/** Steps at which a place decides about dials lie far from those at which it picks. */
export const DIAL_STEP = 4096;

/**
 * The place of the dials of members: one for all of a decision. Members of equal dials keep or lose a draw together, in all pools, so that a
 * shift of a fifth of a site moves a fifth; were each to decide for itself, what one sends away would go to another one of the site first.
 */
export const MEMBER_DIAL_SALT = 0x1d1a15;

/** Draws are equal within these prefixes, so that a client's next query of a window is decided alike. */
export const DRAW_BITS_IPV4 = 24;
export const DRAW_BITS_IPV6 = 56;

/**
 * The one random word of a decision: the same for A, AAAA and HTTPS of a name, for a client prefix and a window of `windowSeconds`, on
 * every edge. Names start their windows at different times.
 */
export function decisionDraw(
  seed: number,
  nameHash: number,
  client: Client,
  nowSeconds: number,
  windowSeconds: number,
): number {
  return decisionWord(seed, nameHash, client, nowSeconds, windowSeconds) >>> 0;
}

/** The same as a signed word, for the query path. */
export function decisionWord(
  seed: number,
  nameHash: number,
  client: Client,
  nowSeconds: number,
  windowSeconds: number,
): number {
  const isIpv4 = client.family === FAMILY_IPV4;
  const word0 = isIpv4 ? maskWord(client.word0, DRAW_BITS_IPV4) : client.word0;
  const word1 = isIpv4 ? 0 : maskWord(client.word1, DRAW_BITS_IPV6 - 32);
  // In 32-bit integers, since a remainder of doubles is a call out of compiled code (measured: 20 ns less of a 600 ns query).
  const period = Math.max(1, windowSeconds) >>> 0;
  const window = ((((nowSeconds >>> 0) + ((nameHash >>> 0) % period)) >>> 0) / period) >>> 0;
  return mix32(seed ^ nameHash ^ mix32(word0 ^ mix32(word1 ^ client.family)) ^ mix32(window)) | 0;
}
