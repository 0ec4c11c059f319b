// SPDX-License-Identifier: Apache-2.0

// When a primary is asked again, and until when a copy may be answered from (RFC 1035 §3.3.13, RFC 1996 §4). Times are spread, so that many
// zones of one primary are not asked for at once.

import type { SoaTimers } from "@meridian/dns";

const REFRESH_SECONDS_MIN = 1;
/** Four weeks: whoever writes more has made a mistake. */
const REFRESH_SECONDS_MAX = 2_419_200;
/** How soon a zone is asked for again that is not there yet. */
const FIRST_SECONDS_MAX = 60;
/** A time that is later by this part of `expire` is kept; less is not worth a change of what edges have. */
const KEPT_PART = 8;
/** A time is this part of itself at least. */
const SPREAD_MIN = 0.75;

/** When it is asked again after an answer, Unix milliseconds; `random` is 0 to 1. */
export function afterAnswer(nowMs: number, { refresh }: SoaTimers, random: number): number {
  return nowMs + spread(refresh, random);
}

/** When it is asked again after so many failures in a row, from 1; without timers there is no copy. */
export function afterFailure(
  nowMs: number,
  timers: Pick<SoaTimers, "retry"> | undefined,
  failures: number,
  random: number,
): number {
  const seconds = timers?.retry ?? Math.min(FIRST_SECONDS_MAX, 2 ** Math.min(failures, 10));
  return nowMs + spread(seconds, random);
}

/** Until when what was right at a time may be answered from, Unix seconds. */
export function expirySeconds(atMs: number, { expire }: Pick<SoaTimers, "expire">): number {
  return Math.floor(atMs / 1000) + expire;
}

/** Whether a later end is to be kept, and so told to edges. */
export function isLaterEnough(
  beforeSeconds: number,
  afterSeconds: number,
  { expire }: Pick<SoaTimers, "expire">,
): boolean {
  return afterSeconds - beforeSeconds > expire / KEPT_PART;
}

function spread(seconds: number, random: number): number {
  const bounded = Math.min(REFRESH_SECONDS_MAX, Math.max(REFRESH_SECONDS_MIN, seconds));
  return Math.round(bounded * 1000 * (SPREAD_MIN + (1 - SPREAD_MIN) * random));
}
