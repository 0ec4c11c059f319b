// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import { crc32 } from "node:zlib";
import fc from "fast-check";
import { patchedCrc } from "./crc-patch.ts";

test("patchedCrc() is the CRC of the changed bytes", () => {
  const bytes = fc.uint8Array({ minLength: 1, maxLength: 3000 });
  const property = fc.property(
    bytes,
    fc.nat(),
    fc.uint8Array({ maxLength: 40 }),
    (was, place, own) => {
      const at = place % was.length;
      const part = own.subarray(0, was.length - at);
      const is = was.slice();
      is.set(part, at);
      const old = was.subarray(at, at + part.length);
      assert.equal(patchedCrc(crc32(was), was.length, at, old, part), crc32(is));
    },
  );
  fc.assert(property, { numRuns: 500 });
});

test("patchedCrc() of a byte among megabytes, at the begin and at the end", () => {
  const was = new Uint8Array(5_000_001).fill(7);
  for (const at of [0, 1, 2_500_000, 4_999_999, 5_000_000]) {
    const is = was.slice();
    is[at] = 9;
    const found = patchedCrc(crc32(was), was.length, at, Uint8Array.of(7), Uint8Array.of(9));
    assert.equal(found, crc32(is));
  }
});
