// SPDX-License-Identifier: Apache-2.0

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { AMPLIFICATION_MAX, Limit, ResponseLimiter } from "./response-limiter.ts";
import { writeAddress } from "./transport-address.ts";

/** Bytes of a truncated response to a query of so many: its header, question and OPT record. */
const TRUNCATED_EXTRA = 11;

interface Asked {
  readonly address: string;
  readonly waitMs: number;
  readonly queryBytes: number;
  readonly responseBytes: number;
}

function limiterOf(rate: number, exempt: readonly string[] = []): (asked: Asked) => number {
  const limiter = new ResponseLimiter({ rate, exempt, seed: 12_345 });
  const source = new Uint8Array(16);
  let nowMs = 1_700_000_000_000;
  return ({ address, waitMs, queryBytes, responseBytes }) => {
    nowMs += waitMs;
    const family = writeAddress(address, source, 0);
    return limiter.judge(source, 0, family, queryBytes, responseBytes, nowMs);
  };
}

/** The same in the plainest way: a map of objects with numbers that need not be whole. */
function slowLimiter(rate: number): (asked: Asked) => number {
  const buckets = new Map<
    string,
    { level: number; at: number; isLimited: boolean; slip: boolean }
  >();
  let now = 0;
  return ({ address, waitMs, queryBytes, responseBytes }) => {
    now += waitMs;
    const source = new Uint8Array(16);
    const family = writeAddress(address, source, 0);
    const key = `${family}:${source.subarray(0, family === 4 ? 3 : 7).join(".")}`;
    const bucket = buckets.get(key) ?? { level: 0, at: now, isLimited: false, slip: false };
    buckets.set(key, bucket);
    bucket.level = Math.max(0, bucket.level - ((now - bucket.at) / 1000) * rate);
    bucket.at = now;
    if (bucket.level < 1e-9) bucket.isLimited = false;
    if (bucket.level + 1 <= rate + 1e-9) {
      bucket.level += 1;
      if (!bucket.isLimited) return Limit.pass;
      return responseBytes <= queryBytes * AMPLIFICATION_MAX ? Limit.pass : Limit.truncate;
    }
    bucket.isLimited = true;
    bucket.slip = !bucket.slip;
    return bucket.slip ? Limit.truncate : Limit.drop;
  };
}

const asked = fc.record({
  address: fc.constantFrom(
    "192.0.2.1",
    "192.0.2.200",
    "198.51.100.7",
    "2001:db8::1",
    "2001:db8:0:ff::1",
    "2001:db8:0:100::1",
  ),
  waitMs: fc.oneof(fc.constant(0), fc.nat(3), fc.nat(1500)),
  queryBytes: fc.integer({ min: 28, max: 80 }),
  responseBytes: fc.integer({ min: 12, max: 1232 }),
});

describe("ResponseLimiter", () => {
  it("agrees with its slow twin", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 20 }),
        fc.array(asked, { maxLength: 200 }),
        (rate, all) => {
          const fast = limiterOf(rate);
          const slow = slowLimiter(rate);
          assert.deepEqual(all.map(fast), all.map(slow));
        },
      ),
    );
  });

  it("sends a prefix past its rate at most three times the bytes that came, over any second", () => {
    const flood = fc.array(
      fc.record({
        waitMs: fc.nat(30),
        queryBytes: fc.integer({ min: 28, max: 80 }),
        responseBytes: fc.integer({ min: 28, max: 1232 }),
      }),
      { minLength: 100, maxLength: 400 },
    );
    fc.assert(
      fc.property(flood, (packets) => {
        const judge = limiterOf(10);
        let now = 0;
        let isPast = false;
        const events: { at: number; in: number; out: number }[] = [];
        for (const packet of packets) {
          now += packet.waitMs;
          const limit = judge({ address: "192.0.2.1", ...packet });
          isPast ||= limit !== Limit.pass;
          if (!isPast) continue;
          const out =
            limit === Limit.pass
              ? packet.responseBytes
              : limit === Limit.truncate
                ? packet.queryBytes + TRUNCATED_EXTRA
                : 0;
          events.push({ at: now, in: packet.queryBytes, out });
        }
        for (const [index, first] of events.entries()) {
          const second = events.slice(index).filter(({ at }) => at < first.at + 1000);
          const sum = (side: "in" | "out"): number =>
            second.reduce((total, event) => total + event[side], 0);
          assert.ok(sum("out") <= AMPLIFICATION_MAX * sum("in"), `${sum("out")} for ${sum("in")}`);
        }
      }),
      { numRuns: 50 },
    );
  });

  it("never limits who stays below the rate, nor who is exempt", () => {
    const steady = limiterOf(100);
    const exempt = limiterOf(1, ["192.0.2.0/25", "2001:db8::/64"]);
    const packet = { queryBytes: 40, responseBytes: 1000 };
    for (let query = 0; query < 2000; query++) {
      assert.equal(steady({ address: "192.0.2.1", waitMs: 10, ...packet }), Limit.pass);
      assert.equal(exempt({ address: "192.0.2.1", waitMs: 0, ...packet }), Limit.pass);
      assert.equal(exempt({ address: "2001:db8::9", waitMs: 0, ...packet }), Limit.pass);
    }
    assert.notEqual(exempt({ address: "192.0.2.129", waitMs: 0, ...packet }), Limit.pass);
  });

  it("answers as before once a prefix was quiet for a second", () => {
    const judge = limiterOf(2);
    const packet = { address: "192.0.2.1", queryBytes: 40, responseBytes: 1000 };
    const verdicts = [0, 0, 0, 0, 0, 1000, 0].map((waitMs) => judge({ ...packet, waitMs }));
    const { pass, truncate, drop } = Limit;
    assert.deepEqual(verdicts, [pass, pass, truncate, drop, truncate, pass, pass]);
  });

  it("keeps prefixes apart in a table that is full many times over", () => {
    const limiter = new ResponseLimiter({ rate: 2, exempt: [], seed: 7, entries: 16 });
    const source = new Uint8Array(4);
    for (let prefix = 0; prefix < 1000; prefix++) {
      source.set([10, prefix >>> 8, prefix & 255, 1]);
      assert.equal(limiter.judge(source, 0, 4, 40, 1000, prefix), Limit.pass);
    }
  });
});
