// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { SentTransitions, packTransitions, verdictAt } from "./transition-batch.ts";
import { TransitionHistory } from "./transition-history.ts";
import type { Transition } from "./transition.ts";

const verdict = fc.constantFrom("unknown", "healthy", "unhealthy" as const);

/** Transitions of one runner, each at or after the one before. */
const batches = fc
  .tuple(
    fc.nat(1_000_000),
    fc.array(
      fc.record({
        key: fc.constantFrom("endpoint/default/web/a", "endpoint/default/web/b#ping", ""),
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
  .map(([first, rows]): Transition[] => {
    let atMs = 1_700_000_000_000;
    return rows.map(({ sinceMs, ...row }, index) => {
      atMs += sinceMs;
      return { ...row, atMs, sequence: first + index };
    });
  });

test("transitions are what they were after they have been packed and cloned", () => {
  fc.assert(
    fc.property(batches, (batch) => {
      const sent = new SentTransitions(structuredClone(packTransitions(batch)!));
      assert.deepEqual([...sent], batch);
      assert.deepEqual(
        batch.map((_, index) => [sent.keyAt(index), verdictAt(sent, index)]),
        batch.map((each, index) => [each.key, verdictAt(batch, index)]),
      );
      assert.equal(sent.at(batch.length), undefined);
    }),
  );
});

test("packTransitions() leaves alone what does not follow one another, and clocks that step back", () => {
  const one: Transition = {
    ...{ key: "endpoint/default/web/a", verdict: "healthy", previous: "unknown" },
    ...{ reason: "ok", vantage: "eu-1", atMs: 10, earliestChangeMs: 0, sequence: 1 },
  };
  assert.equal(packTransitions([]), undefined);
  assert.equal(packTransitions([one, { ...one, sequence: 3 }]), undefined);
  assert.equal(packTransitions([one, { ...one, sequence: 2, atMs: 9 }]), undefined);
  assert.equal(packTransitions([one, { ...one, sequence: 2, atMs: 11 }])?.keys.length, 2);
});

test("a history keeps the newest, whatever batches they came in", () => {
  fc.assert(
    fc.property(
      fc.array(batches, { maxLength: 12 }),
      fc.integer({ min: 1, max: 60 }),
      (all, limit) => {
        const history = new TransitionHistory(limit);
        for (const [at, batch] of all.entries())
          history.add(at % 2 === 0 ? batch : new SentTransitions(packTransitions(batch)!));
        const flat = all.flat();
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
