// SPDX-License-Identifier: Apache-2.0

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { decodeAnswerCounts, encodeAnswerCounts } from "./answer-counts.ts";
import { FRAME_HEADER_BYTES } from "./frame.ts";

const whole = fc.nat(2 ** 31 - 1);

test("counts are read back as they were written", () => {
  const counts = fc
    .record(
      {
        epoch: whole,
        revision: whole,
        elapsedMs: whole,
        servfail: whole,
        empty: whole,
        more: whole,
      },
      { noNullPrototype: true },
    )
    .map(({ more, ...rest }) => ({ ...rest, queries: rest.servfail + rest.empty + more }));
  fc.assert(
    fc.property(counts, (given) => {
      const payload = encodeAnswerCounts(given).subarray(FRAME_HEADER_BYTES);
      assert.deepEqual(decodeAnswerCounts(payload), given);
    }),
  );
});

test("what no edge can have counted is no message", () => {
  const good = { epoch: 1, revision: 2, elapsedMs: 1000, queries: 9, servfail: 4, empty: 5 };
  const written = (change: Partial<typeof good>): Uint8Array =>
    encodeAnswerCounts({ ...good, ...change }).subarray(FRAME_HEADER_BYTES);
  assert.ok(decodeAnswerCounts(written({})) !== undefined);
  for (const change of [{ empty: 6 }, { queries: -1 }, { elapsedMs: NaN }, { servfail: 0.5 }])
    assert.equal(decodeAnswerCounts(written(change)), undefined);
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => {
      const counts = decodeAnswerCounts(bytes);
      if (counts !== undefined) assert.equal(bytes.length, 48);
    }),
  );
});
