// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { JournalEntry } from "./overlay-journal.ts";
import { JournalLines } from "./journal-lines.ts";

test("a line is the JSON of its change set, whatever came before it", () => {
  const change = fc.tuple(fc.bigInt(0n, 2n ** 64n - 1n), fc.nat(0xffff_ffff));
  const lines = new JournalLines();
  fc.assert(
    fc.property(
      fc.array(change, { maxLength: 200 }),
      fc.nat(),
      fc.string(),
      (all, sequence, text) => {
        const head = {
          sequence,
          revision: 3,
          atMs: 1_700_000_000_000,
          cause: { kind: "health", text },
        };
        const line = lines.of({
          ...head,
          keys: BigUint64Array.from(all, ([key]) => key),
          values: Uint32Array.from(all, ([, value]) => value),
        });
        const expected: JournalEntry = {
          ...head,
          changes: all.map(([key, value]) => [key.toString(16).padStart(16, "0"), value]),
        };
        assert.equal(line, JSON.stringify(expected));
      },
    ),
  );
});
