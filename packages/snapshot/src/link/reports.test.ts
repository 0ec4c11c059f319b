// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import {
  REPORT_REASONS,
  decodeReport,
  encodeReport,
  reportTableBytes,
  type Report,
} from "./reports.ts";
import { decodeVantagePlan, encodeVantagePlan } from "./vantage-plan.ts";

const header = {
  suspicion: fc.nat(2),
  sequence: fc.nat(0xffff_ffff),
  session: fc.double({ noNaN: true, noDefaultInfinity: true }),
  sentMs: fc.double({ noNaN: true, noDefaultInfinity: true }),
  print: fc.bigInt({ min: 0n, max: 0xffff_ffff_ffff_ffffn }),
};
const text = fc.string({ maxLength: 63 });
const seconds = fc.nat(0xffff_ffff);
const table = fc.nat(50).chain((count) =>
  fc.record({
    form: fc.constant("table" as const),
    ...header,
    opinions: fc.uint8Array({ minLength: count, maxLength: count, max: 2 }),
    reasons: fc.uint8Array({ minLength: count, maxLength: count, max: REPORT_REASONS - 1 }),
    sinceSeconds: fc.uint32Array({ minLength: count, maxLength: count }),
    texts: fc.array(text, { minLength: REPORT_REASONS, maxLength: REPORT_REASONS }),
  }),
);
const changes = fc.record({
  form: fc.constant("changes" as const),
  ...header,
  changes: fc.array(
    fc.record({
      place: seconds,
      sinceSeconds: seconds,
      opinion: fc.nat(2),
      reason: fc.nat(63),
      text,
    }),
  ),
});

test("a report is read as it was written", () => {
  fc.assert(
    fc.property(fc.oneof(table, changes), (report: Report) => {
      assert.deepEqual(decodeReport(encodeReport(report)), structuredClone(report));
    }),
  );
});

test("a table has as many bytes whatever it says", () => {
  fc.assert(
    fc.property(table, (report) => {
      assert.equal(encodeReport(report).length, reportTableBytes(report.opinions.length));
    }),
  );
});

test("bytes that are no report are read as none, and never throw", () => {
  const cut = fc
    .tuple(fc.oneof(table, changes), fc.nat(), fc.nat(255))
    .map(([report, at, value]) => {
      const bytes = encodeReport(report).slice();
      bytes[at % bytes.length] = value;
      return bytes.subarray(0, bytes.length - (value % 3));
    });
  fc.assert(
    fc.property(fc.oneof(fc.uint8Array({ maxLength: 200 }), cut), (bytes) => {
      const report = decodeReport(bytes);
      if (report?.form === "table")
        assert.equal(reportTableBytes(report.opinions.length), bytes.length);
    }),
  );
});

test("a long reason is cut between characters", () => {
  const report = {
    form: "changes",
    suspicion: 0,
    sequence: 1,
    session: 1,
    sentMs: 1,
    print: 1n,
    changes: [{ place: 1, sinceSeconds: 2, opinion: 1, reason: 3, text: "é".repeat(40) }],
  } as const;
  const read = decodeReport(encodeReport(report));
  assert.ok(read?.form === "changes");
  assert.equal(read.changes[0]?.text, "é".repeat(31));
});

test("a plan message is read as it was written, and nothing else is", () => {
  const plan = { name: "a".repeat(64), bytes: 12 };
  for (const message of [
    { plan: undefined, isSettled: false, isCurrent: false },
    { plan, isSettled: true, isCurrent: true, live: [{ name: "eu-1", site: "eu" }] },
  ])
    assert.deepEqual(decodeVantagePlan(encodeVantagePlan(message).subarray(5)), message);
  for (const wrong of ["", "1", "{}", '{"isSettled":true,"plan":{"name":"../x","bytes":1}}'])
    assert.equal(decodeVantagePlan(new TextEncoder().encode(wrong)), undefined);
});
