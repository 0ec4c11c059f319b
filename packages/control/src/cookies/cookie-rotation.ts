// SPDX-License-Identifier: Apache-2.0

// How the secrets of cookies follow one another (RFC 9018 §5): all servers take the next one before any makes cookies with it, and the one
// before until its last cookie is too old.
//
//   next is taken │ SPREAD │ next makes cookies, the one before is taken │ SPREAD + the age of a cookie │ the one before is gone

/** A day: RFC 7873 §7.1 wants a secret to live no longer than 36 days, and less to be usual. */
const LIFE_MS = 24 * 3_600_000;
/** Within this every edge that control reaches has what it was sent. */
const SPREAD_MS = 10 * 60_000;
/** An hour, and what a clock may be ahead (RFC 9018 §4.3). */
const COOKIE_MS = 65 * 60_000;

/** A secret; Unix milliseconds. */
export interface CookieSecret {
  /** 16 bytes in hexadecimal digits. */
  readonly secret: string;
  readonly madeMs: number;
  /** Makes cookies since. */
  readonly usedMs?: number;
}

/** The secrets after those, the one that makes cookies first; the same object where it is not time for anything. */
export function stepSecrets(
  secrets: readonly CookieSecret[],
  nowMs: number,
  make: () => string,
): readonly CookieSecret[] {
  const [first, second] = secrets;
  if (first?.usedMs === undefined) return [{ secret: make(), madeMs: nowMs, usedMs: nowMs }];
  if (second === undefined)
    return nowMs < first.usedMs + LIFE_MS ? secrets : [first, { secret: make(), madeMs: nowMs }];
  if (second.usedMs === undefined)
    return nowMs < second.madeMs + SPREAD_MS ? secrets : [{ ...second, usedMs: nowMs }, first];
  return nowMs < first.usedMs + SPREAD_MS + COOKIE_MS ? secrets : [first];
}
