// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { LogTable, memberHash, memberHashLow } from "./rendezvous.ts";

const table = new LogTable();

/** The slow twin of a table entry: log2 by repeated squaring over integers. */
function integerLog2(index: number): number {
  let value = (BigInt(1024 + index) << 60n) / 1024n;
  let result = 0;
  for (let bit = 0; bit < 16; bit++) {
    value = (value * value) >> 60n;
    result *= 2;
    if (value >= 1n << 61n) {
      result += 1;
      value >>= 1n;
    }
  }
  return result;
}

test("every entry of the table is what integer arithmetic gives, and lies clear of the next", () => {
  for (let index = 0; index < 1024; index++) {
    // A hash of leading bit, ten bits of index and zeros: u = (1 + index / 1024) / 2.
    const hash = (0x8000_0000 | (index << 21)) >>> 0;
    assert.equal(table.minusLog2(hash), Math.max(1, 65_536 - integerLog2(index)), String(index));
    const exact = Math.log2(1 + index / 1024) * 65_536;
    if (index > 0) assert.ok(Math.abs(exact - Math.round(exact)) > 1e-4, String(index));
  }
});

test("minusLog2() is −log2(hash ÷ 2³²) in 16.16, to within two units, and falls as the hash rises", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 0xffff_ffff }),
      fc.integer({ min: 1, max: 0xffff_ffff }),
      (a, b) => {
        const exact = -Math.log2(a / 2 ** 32) * 65_536;
        assert.ok(Math.abs(table.minusLog2(a) - Math.max(1, exact)) <= 2, `${a}`);
        if (a < b) assert.ok(table.minusLog2(a) >= table.minusLog2(b));
      },
    ),
    { numRuns: 2000 },
  );
  assert.equal(table.minusLog2(0), table.minusLog2(1));
});

test("published vectors: a reader in any language gets these", () => {
  assert.deepEqual(
    [0, 1, 0x8000_0000, 0x9e37_79b1, 0xffff_ffff].map((hash) => table.minusLog2(hash)),
    [2097152, 2097152, 65536, 45498, 1],
  );
  assert.deepEqual(
    [
      memberHash(1, 2, 3, 4),
      memberHash(0xdead_beef, 0x0123_4567, 0x89ab_cdef, 0xffff_ffff),
      memberHashLow(1, 2, 3, 4),
      memberHashLow(0xdead_beef, 0x0123_4567, 0x89ab_cdef, 0xffff_ffff),
    ],
    [4284014737, 1657045155, 3099214041, 277791554],
  );
});
