// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { CheckSpec, Verdict } from "./check.ts";
import { Entry } from "./entry.ts";
import { SuspicionWatch } from "./suspicion-watch.ts";
import { defaultSuspicionPolicy, suspect, type SuspicionState } from "./suspicion.ts";
import { initialState } from "./verdict.ts";

const place = { vantage: "here", clock: { wallMs: () => 0 } };

function checkEvery(intervalMs: number): CheckSpec {
  return {
    kind: "tcp",
    intervalMs,
    timeoutMs: 100,
    unhealthyThreshold: 2,
    healthyThreshold: 2,
    initial: "unknown",
    holdDownMs: 0,
    inverted: false,
    disabled: false,
    failFast: false,
    jitter: 0,
  };
}

function entryAt(index: number, site: string, verdict: Verdict, intervalMs = 1000): Entry {
  const check = checkEvery(intervalMs);
  const target = { key: `e${index}`, checkName: "c", check, address: "192.0.2.1", port: 1, site };
  const entry = new Entry(target, index, place, initialState(check, 0));
  entry.state = { ...entry.state, verdict };
  return entry;
}

/** All that `result` knows without anything kept: what is looked at is counted anew each time. */
function suspectSlowly(entries: readonly Entry[], before: SuspicionState, nowMs: number) {
  const failing = entries.filter(({ direct }) => direct === "failing");
  const probedCount = entries.filter(({ direct }) => direct !== "unseen").length;
  const intervalMs = Math.max(0, ...failing.map(({ target }) => target.check.intervalMs));
  const sudden = failing.filter(
    ({ state, failingSinceMs }) =>
      state.verdict === "healthy" && nowMs - failingSinceMs <= intervalMs + 100,
  );
  const view = {
    probedCount,
    failingCount: failing.length,
    suddenCount: sudden.length,
    suddenSiteCount: new Set(sudden.map(({ target }) => target.site)).size,
    isolated: false,
    intervalMs,
  };
  return suspect(defaultSuspicionPolicy, before, view, nowMs);
}

test("SuspicionWatch doubts as one that looks at all targets each time", () => {
  const step = fc.record({
    index: fc.nat(11),
    passes: fc.boolean(),
    isOutage: fc.boolean(),
    elapsedMs: fc.nat(300),
  });
  let frozen = 0;
  const run = (
    steps: fc.Arbitrary<{ index: number; passes: boolean; isOutage: boolean; elapsedMs: number }[]>,
  ) =>
    fc.assert(
      fc.property(steps, (all) => {
        const entries = Array.from({ length: 12 }, (_, index) =>
          entryAt(
            index,
            `s${index % 3}`,
            index === 11 ? "unknown" : "healthy",
            index === 10 ? 5000 : 1000,
          ),
        );
        const watch = new SuspicionWatch(defaultSuspicionPolicy);
        let nowMs = 0;
        const take = (entry: Entry, passes: boolean): void => {
          const before = entry.direct;
          const stateBefore = watch.state;
          watch.result(entry, passes ? "pass" : "fail", entries, nowMs);
          const mayTurn = before !== entry.direct || stateBefore.kind !== "trusting";
          const wanted = mayTurn ? suspectSlowly(entries, stateBefore, nowMs) : stateBefore;
          assert.deepEqual({ ...watch.state, reason: "" }, { ...wanted, reason: "" });
          if (watch.state.kind === "frozen") frozen++;
          const isNews = entry.state.verdict !== (passes ? "healthy" : "unhealthy");
          // As a verdict follows after a while.
          if (isNews && watch.state.kind === "trusting" && nowMs - entry.failingSinceMs > 1500)
            entry.state = { ...entry.state, verdict: passes ? "healthy" : "unhealthy" };
        };
        for (const { index, passes, isOutage, elapsedMs } of all) {
          nowMs += elapsedMs;
          if (isOutage) for (const entry of entries) take(entry, false);
          else {
            const entry = entries[index];
            if (entry !== undefined) take(entry, passes);
          }
        }
      }),
      { numRuns: 200 },
    );
  run(fc.array(step, { maxLength: 40 }));
  assert.ok(frozen > 100, `${frozen} were frozen`);
});

for (const [what, verdict] of [
  ["nothing ever answered", "unknown"],
  ["one site alone stopped", "healthy"],
] as const)
  test(`SuspicionWatch walks no targets where ${what}`, () => {
    const entries = Array.from({ length: 1000 }, (_, index) => entryAt(index, "", verdict));
    let walks = 0;
    const counted = {
      [Symbol.iterator]: () => {
        walks++;
        return entries.values();
      },
    };
    const watch = new SuspicionWatch(defaultSuspicionPolicy);
    for (const entry of entries) watch.result(entry, "fail", counted, 10);
    assert.deepEqual({ walks, state: watch.state.kind }, { walks: 0, state: "trusting" });
  });
