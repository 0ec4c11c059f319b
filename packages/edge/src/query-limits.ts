// SPDX-License-Identifier: Apache-2.0

// What keeps responses over UDP from being used against others (design §9): each is judged before it leaves, and may be dropped or cut.

import { Rcode } from "@meridian/dns";
import type { ServerCookies } from "./cookie.ts";
import { FixedCounter } from "./counter-layout.ts";
import type { WorkerCounters } from "./counters.ts";
import { findWholeCookie, WHOLE_COOKIE_BYTES } from "./query-cookie.ts";
import type { QueryFrame } from "./query-frame.ts";
import { CookieState, NO_EDE, type QueryState } from "./query-state.ts";
import { Limit, type ResponseLimiter } from "./response-limiter.ts";

/** A response may go out as it is. */
export const PASSES = -1;

/** What limits need besides the query. */
export interface LimitOptions {
  readonly counters: WorkerCounters;
  readonly limiter: ResponseLimiter;
  readonly cookies: ServerCookies | undefined;
}

export class QueryLimits {
  /** Wall time, moved once a batch. */
  nowMs: number = 0;
  /** Whether more comes than can be answered. */
  isOverloaded: boolean = false;
  readonly #query: QueryState;
  readonly #frame: QueryFrame;
  readonly #counters: WorkerCounters;
  readonly #cookies: ServerCookies | undefined;
  readonly #limiter: ResponseLimiter;

  constructor(query: QueryState, frame: QueryFrame, { counters, limiter, cookies }: LimitOptions) {
    this.#query = query;
    this.#frame = frame;
    this.#counters = counters;
    this.#limiter = limiter;
    this.#cookies = cookies;
  }

  lookAhead(
    source: Uint8Array,
    sourceStarts: Int32Array,
    families: Int32Array,
    count: number,
  ): void {
    this.#limiter.lookAhead(source, sourceStarts, families, count);
  }

  /** Whether a packet may go unanswered: all but those who have a valid cookie, and who are exempt. */
  mayLeaveOut(
    input: Uint8Array,
    start: number,
    length: number,
    source: Uint8Array,
    sourceStart: number,
    family: number,
  ): boolean {
    if (this.#limiter.isExempt(source, sourceStart, family)) return false;
    const cookies = this.#cookies;
    const { nowSeconds } = this.#query;
    const at = cookies === undefined ? -1 : findWholeCookie(input, start, start + length);
    if (
      at >= 0 &&
      cookies?.check(input, at, WHOLE_COOKIE_BYTES, source, sourceStart, family, nowSeconds) ===
        true
    )
      return false;
    this.#counters.add(FixedCounter.leftOut);
    return true;
  }

  /** Whether a response of so many bytes, made elsewhere, may go out as it is. */
  passes(bytes: number): boolean {
    return this.#query.isTcp || this.#judge(bytes) === Limit.pass;
  }

  /** Bytes of what is sent over UDP in place of the finished response, 0 being silence; `PASSES` where it may go out as it is. */
  replace(bytes: number, bytesMax: number): number {
    const limit = this.#query.cookieState === CookieState.good ? Limit.pass : this.#judge(bytes);
    if (limit === Limit.pass) return PASSES;
    return limit === Limit.drop ? this.drop() : this.#slip(bytesMax);
  }

  /** Sends nothing. */
  drop(): number {
    this.#counters.add(FixedCounter.limitDropped);
    return 0;
  }

  #judge(bytes: number): number {
    const { source, sourceStart, family, length } = this.#query;
    return this.#limiter.judge(
      source,
      sourceStart,
      family,
      length,
      bytes,
      this.nowMs,
      this.isOverloaded,
    );
  }

  /**
   * Says no more than that the client is to come over TCP, or with the cookie that it is sent here (RFC 7873 §5.2.3): hardly more bytes
   * than it sent.
   */
  #slip(bytesMax: number): number {
    const query = this.#query;
    const { edns } = query.message;
    this.#counters.add(FixedCounter.limitTruncated);
    edns.wantsNsid = false;
    edns.ecs.isPresent = false;
    query.ede = NO_EDE;
    query.isAuthoritative = false;
    this.#frame.begin(bytesMax);
    const hasCookie = edns.cookieBytes > 0 && this.#cookies !== undefined;
    query.response.isTruncated = !hasCookie;
    return this.#frame.finish(hasCookie ? Rcode.BADCOOKIE : Rcode.NOERROR);
  }
}
