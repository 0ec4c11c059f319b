// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import { decodeDiskTrouble, encodeDiskTrouble, type DiskTrouble } from "./disk-trouble.ts";
import { FRAME_BYTES_MAX, FRAME_HEADER_BYTES, FrameKind } from "./frame.ts";

function told(trouble: DiskTrouble | undefined): ReturnType<typeof decodeDiskTrouble> {
  return decodeDiskTrouble(encodeDiskTrouble(trouble).subarray(FRAME_HEADER_BYTES));
}

test("a trouble of a disk comes as it was told, and so does its end", () => {
  const trouble = { what: "the overlay", reason: "ENOSPC: no space left", forMs: 1234 };
  assert.deepEqual(told(trouble), trouble);
  assert.equal(told(undefined), "well");
  assert.deepEqual(told({ ...trouble, forMs: 1.6 }), { ...trouble, forMs: 2 });
});

test("a long text is cut so that the frame is never too large", () => {
  const trouble = { what: "\u{1f4be}".repeat(5000), reason: "\n".repeat(5000), forMs: 0 };
  const frame = encodeDiskTrouble(trouble);
  assert.ok(frame.length - FRAME_HEADER_BYTES <= FRAME_BYTES_MAX[FrameKind.disk]);
  assert.deepEqual(told(trouble), {
    ...{ what: trouble.what.slice(0, 1000), reason: " ".repeat(1000), forMs: 0 },
  });
});

test("what is shown has no control characters, and lasts a year at most", () => {
  const { what, reason } = { what: "a\u{1b}[2Jb", reason: "c\r\nd\u{9b}e" };
  assert.deepEqual(told({ what, reason, forMs: Number.MAX_SAFE_INTEGER }), {
    ...{ what: "a [2Jb", reason: "c  d e", forMs: 366 * 86_400_000 },
  });
});

test("what is malformed is no trouble", () => {
  for (const text of ["", "1", "null", "{}", '{"what":"a","reason":"b","forMs":-1}'])
    assert.equal(decodeDiskTrouble(new TextEncoder().encode(text)), undefined, text);
  const long = JSON.stringify({ what: "a".repeat(1001), reason: "", forMs: 0 });
  assert.equal(decodeDiskTrouble(new TextEncoder().encode(long)), undefined);
});
