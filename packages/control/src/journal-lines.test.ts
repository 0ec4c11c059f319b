// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { JournalEntry } from "./overlay-journal.ts";
import { JournalLines } from "./journal-lines.ts";

const change = fc.tuple(fc.bigInt(0n, 2n ** 64n - 1n), fc.nat(0xffff_ffff));
interface Row {
  readonly all: readonly (readonly [bigint, number])[];
  readonly sequence: number;
  readonly text: string;
}

const entry: fc.Arbitrary<Row> = fc.record({
  all: fc.array(change, { maxLength: 200 }),
  sequence: fc.nat(),
  text: fc.string({ unit: "grapheme" }),
});

function added(lines: JournalLines, { all, sequence, text }: Row): string {
  const head = { sequence, revision: 3, atMs: 1_700_000_000_000, cause: { kind: "health", text } };
  lines.add({
    ...head,
    keys: BigUint64Array.from(all, ([key]) => key),
    values: Uint32Array.from(all, ([, value]) => value),
  });
  const expected: JournalEntry = {
    ...head,
    changes: all.map(([key, value]) => [key.toString(16).padStart(16, "0"), value]),
  };
  return `${JSON.stringify(expected)}\n`;
}

test("lines are the JSON of their change sets, however many of them have gone", () => {
  const step = fc.oneof(entry, fc.nat(3));
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const lines = new JournalLines();
      let waiting: string[] = [];
      for (const each of steps) {
        if (typeof each === "number") {
          const count = Math.min(each, waiting.length);
          assert.equal(lines.first(count).toString(), waiting.slice(0, count).join(""));
          lines.drop(count);
          waiting = waiting.slice(count);
        } else waiting.push(added(lines, each));
        assert.equal(lines.count, waiting.length);
      }
      assert.equal(lines.first(lines.count).toString(), waiting.join(""));
    }),
  );
});

test("a change set that is larger than what is kept is one line as well", () => {
  const lines = new JournalLines();
  const all = Array.from({ length: 50_000 }, (_, at): [bigint, number] => [BigInt(at), at]);
  for (const sequence of [1, 2]) {
    const line = added(lines, { all, sequence, text: "" });
    assert.equal(lines.first(1).toString(), line);
    lines.drop(1);
  }
});
