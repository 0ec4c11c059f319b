// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { FRAME_BYTES_MAX, FRAME_HEADER_BYTES, FrameKind } from "./frame.ts";
import {
  TRAFFIC_ENTRIES_MAX,
  decodeTrafficCounts,
  encodeTrafficCounts,
  type TrafficCounts,
} from "./traffic-counts.ts";

const whole = fc.nat(Number.MAX_SAFE_INTEGER);
const count = fc.nat(0xffff_ffff);
const keyed = fc.array(
  fc.record({ key: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }), count }, { noNullPrototype: true }),
);
const counts = fc.record(
  {
    ...{ epoch: whole, revision: whole, elapsedMs: whole },
    ...{ policies: keyed, pools: keyed, endpoints: keyed },
    audiences: fc.array(fc.record({ word: count, count }, { noNullPrototype: true })),
  },
  { noNullPrototype: true },
);

function payloadOf(given: TrafficCounts): Uint8Array {
  return encodeTrafficCounts(given).subarray(FRAME_HEADER_BYTES);
}

test("where clients were sent is read as it was written, and cut or longer messages are none", () => {
  fc.assert(
    fc.property(counts, fc.nat(), (given, at) => {
      const payload = payloadOf(given);
      assert.deepEqual(decodeTrafficCounts(payload), given);
      assert.equal(decodeTrafficCounts(payload.subarray(0, at % payload.length)), undefined);
      assert.equal(decodeTrafficCounts(new Uint8Array([...payload, 0])), undefined);
    }),
  );
});

test("the largest message has room, and one with more entries is none", () => {
  const many = (length: number): { key: bigint; count: number }[] =>
    Array.from({ length }, (_, index) => ({ key: BigInt(index), count: 1 }));
  const max = TRAFFIC_ENTRIES_MAX;
  const largest = {
    ...{ epoch: 1, revision: 2, elapsedMs: 1000 },
    ...{ policies: many(max.policies), pools: many(max.pools), endpoints: many(max.endpoints) },
    audiences: many(max.audiences).map(({ key }) => ({ word: Number(key), count: 1 })),
  };
  assert.ok(payloadOf(largest).length <= FRAME_BYTES_MAX[FrameKind.traffic]);
  assert.deepEqual(decodeTrafficCounts(payloadOf(largest)), largest);
  const more = { ...largest, policies: many(max.policies + 1) };
  assert.equal(decodeTrafficCounts(payloadOf(more)), undefined);
});

test("any bytes are taken or refused", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      const found = decodeTrafficCounts(bytes);
      if (found !== undefined) assert.deepEqual(payloadOf(found), bytes);
    }),
  );
});
