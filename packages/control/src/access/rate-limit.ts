// SPDX-License-Identifier: Apache-2.0

/** How fast one key may come: `burst` at once, then `perSecond`. */
export interface Rate {
  readonly perSecond: number;
  readonly burst: number;
}

interface Bucket {
  tokens: number;
  atMs: number;
}

/** Token buckets by key, at most `keysMax` of them: the one that came least recently is forgotten, which costs it nothing but its debt. */
export class RateLimit {
  readonly #rate: Rate;
  readonly #keysMax: number;
  /** In the order of their last use. */
  readonly #buckets = new Map<string, Bucket>();

  constructor(rate: Rate, keysMax: number) {
    this.#rate = rate;
    this.#keysMax = keysMax;
  }

  /** Takes one; milliseconds to wait where there is none, else 0. */
  take(key: string, nowMs: number): number {
    const { perSecond, burst } = this.#rate;
    const known = this.#buckets.get(key);
    const tokens =
      known === undefined
        ? burst
        : Math.min(burst, known.tokens + (Math.max(0, nowMs - known.atMs) / 1000) * perSecond);
    this.#buckets.delete(key);
    const oldest = this.#buckets.size >= this.#keysMax ? this.#buckets.keys().next() : undefined;
    if (oldest?.done === false) this.#buckets.delete(oldest.value);
    const isTaken = tokens >= 1;
    this.#buckets.set(key, { tokens: isTaken ? tokens - 1 : tokens, atMs: nowMs });
    return isTaken ? 0 : Math.ceil(((1 - tokens) / perSecond) * 1000);
  }

  get size(): number {
    return this.#buckets.size;
  }
}
