// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { TransitionPacker, TransitionReader, verdictAt } from "./transition-batch.ts";
import { TransitionHistory } from "./transition-history.ts";
import type { NumberedTransition, Transition } from "./transition.ts";

const verdict = fc.constantFrom("unknown", "healthy", "unhealthy" as const);

/** Transitions of one runner, each at or after the one before. */
const batches = fc
  .tuple(
    fc.nat(1_000_000),
    fc.array(
      fc.record({
        key: fc.constantFrom("endpoint/default/web/a", "endpoint/default/web/b#ping", ""),
        endpoint: fc.nat(3),
        verdict,
        previous: verdict,
        reason: fc.constantFrom("refused", "HTTP status 200", ""),
        vantage: fc.constantFrom("eu-1", "eu-1, us-1"),
        sinceMs: fc.nat(5),
        earliestChangeMs: fc.nat(86_400_000),
      }),
      { minLength: 1, maxLength: 40 },
    ),
  )
  .map(([first, rows]): NumberedTransition[] => {
    let atMs = 1_700_000_000_000;
    return rows.map(({ sinceMs, ...row }, index) => {
      atMs += sinceMs;
      return { ...row, atMs, sequence: first + index };
    });
  });

/** As its reader has it. */
function plain({ endpoint: _endpoint, ...rest }: NumberedTransition): Transition {
  return rest;
}

test("transitions are what they were after they have been packed and cloned, whatever number their endpoints have by then", () => {
  fc.assert(
    fc.property(fc.array(batches, { maxLength: 4 }), (all) => {
      const packer = new TransitionPacker();
      const reader = new TransitionReader();
      const read = all.map((batch) =>
        packer.pack(batch).map((packed) => reader.read(structuredClone(packed))),
      );
      for (const [at, batch] of all.entries()) {
        const sent = read[at] ?? [];
        assert.deepEqual(
          sent.flatMap((each) => [...each]),
          batch.map(plain),
        );
        assert.deepEqual(
          sent.flatMap((each) =>
            Array.from({ length: each.length }, (_, index) => [
              each.keyAt(index),
              verdictAt(each, index),
            ]),
          ),
          batch.map((each, index) => [each.key, verdictAt(batch, index)]),
        );
        for (const each of sent) assert.equal(each.at(each.length), undefined);
        if (batch.some(({ key }) => key.includes("#")))
          assert.ok(sent.some(({ mayHaveChildren }) => mayHaveChildren));
      }
    }),
  );
});

test("pack() begins anew where transitions do not follow one another, and where a clock steps back", () => {
  const one: NumberedTransition = {
    ...{ key: "endpoint/default/web/a", endpoint: 5, verdict: "healthy", previous: "unknown" },
    ...{ reason: "ok", vantage: "eu-1", atMs: 10, earliestChangeMs: 0, sequence: 1 },
  };
  const lengths = (...batch: NumberedTransition[]): number[] =>
    new TransitionPacker().pack(batch).map(({ words }) => words.length / 4);
  assert.deepEqual(lengths(), []);
  assert.deepEqual(lengths(one, { ...one, sequence: 3 }), [1, 1]);
  assert.deepEqual(lengths(one, { ...one, sequence: 2, atMs: 9 }), [1, 1]);
  assert.deepEqual(lengths(one, { ...one, sequence: 2, atMs: 11 }), [2]);
  const reasons = Array.from({ length: 100 }, (_, at) => ({
    ...{ ...one, sequence: at, reason: `${at % 50}` },
  }));
  const reader = new TransitionReader();
  const [packed] = new TransitionPacker().pack(reasons);
  assert.deepEqual([...reader.read(packed!)], reasons.map(plain));
});

test("a reader knows the endpoints of a packer that came after another one", () => {
  const named = (key: string): NumberedTransition => ({
    ...{ key, endpoint: 0, verdict: "healthy", previous: "unknown", reason: "ok" },
    ...{ vantage: "eu-1", atMs: 10, earliestChangeMs: 0, sequence: 1 },
  });
  const reader = new TransitionReader();
  const keys = ["a", "b"].flatMap((key) =>
    new TransitionPacker().pack([named(key)]).map((packed) => reader.read(packed)),
  );
  assert.deepEqual(
    keys.map((each) => each.keyAt(0)),
    ["a", "b"],
  );
});

test("a history keeps the newest, whatever batches they came in", () => {
  fc.assert(
    fc.property(
      fc.array(batches, { maxLength: 12 }),
      fc.integer({ min: 1, max: 60 }),
      (all, limit) => {
        const history = new TransitionHistory(limit);
        const packer = new TransitionPacker();
        const reader = new TransitionReader();
        for (const [at, batch] of all.entries())
          if (at % 2 === 0) history.add(batch.map(plain));
          else for (const packed of packer.pack(batch)) history.add(reader.read(packed));
        const flat = all.flat().map(plain);
        assert.deepEqual(history.list("", limit + 10), flat.slice(-limit));
        const kept = flat.slice(-limit);
        const prefix = "endpoint/default/web/b";
        assert.deepEqual(
          history.list(prefix, 3),
          kept.filter(({ key }) => key.startsWith(prefix)).slice(-3),
        );
        const atMs = kept.at(kept.length >> 1)?.atMs ?? 0;
        assert.deepEqual(
          history.newest("", atMs),
          kept.findLast((each) => each.key === "" && each.atMs <= atMs),
        );
        for (const word of ["unknown", "healthy", "unhealthy"] as const)
          assert.equal(history.counts[word], flat.filter((each) => each.verdict === word).length);
      },
    ),
  );
});
