// SPDX-License-Identifier: Apache-2.0

import assert from "node:assert/strict";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import fc from "fast-check";
import { defaultTiming, type CheckTiming, type Verdict } from "./check.ts";
import type { ProbeOutcome } from "./probe.ts";
import { runTranscript } from "./transcript-player.ts";
import { earliestChangeMs, initialState, step, type VerdictState } from "./verdict.ts";

const folder = fileURLToPath(new URL("../testdata/", import.meta.url));

// UPDATE_TRANSCRIPTS=1 writes what the machines say now; review the difference.
for (const name of readdirSync(folder).filter((file) => file.endsWith(".txt"))) {
  test(`transcript ${name}`, () => {
    const text = readFileSync(folder + name, "utf8");
    const actual = runTranscript(text);
    if (process.env["UPDATE_TRANSCRIPTS"] === "1") writeFileSync(folder + name, actual);
    else assert.equal(actual, text);
  });
}

/** Feeds results one interval apart and returns the verdict after each. */
function verdictsAfter(rule: CheckTiming, outcomes: readonly ProbeOutcome[]): Verdict[] {
  let state = initialState(rule, 0);
  return outcomes.map((outcome, index) => {
    const atMs = (index + 1) * rule.intervalMs;
    state = step(rule, state, { kind: "result", outcome, reason: outcome, atMs }).state;
    return state.verdict;
  });
}

const rule = (fields: Partial<CheckTiming>): CheckTiming => ({ ...defaultTiming, ...fields });
const letters = (text: string): ProbeOutcome[] =>
  [...text].map((letter) => (letter === "F" ? "fail" : "pass"));

test("step() with okThreshold 1 counts only consecutive results (vector 16)", () => {
  const consecutive = { unhealthyThreshold: 3, healthyThreshold: 3, okThreshold: 1 } as const;
  const down = verdictsAfter(rule({ ...consecutive, initial: "healthy" }), letters("FFSFFF"));
  assert.equal(down.indexOf("unhealthy"), 5);
  const up = verdictsAfter(rule({ ...consecutive, initial: "unhealthy" }), letters("SSFSSS"));
  assert.equal(up.indexOf("healthy"), 5);
});

test("step() remembers failures until okThreshold successes in a row (gdnsd)", () => {
  const memory = rule({ unhealthyThreshold: 3, healthyThreshold: 2, initial: "healthy" });
  assert.equal(verdictsAfter(memory, letters("FSFSF")).indexOf("unhealthy"), 4);
  assert.equal(verdictsAfter(memory, letters("FSFSSFSFSS")).indexOf("unhealthy"), -1);
});

test("step() flips at the 4th failure where 3 are tolerated, and back at one success (vector 20)", () => {
  const tolerant = rule({ unhealthyThreshold: 4, healthyThreshold: 1, initial: "healthy" });
  const verdicts = verdictsAfter(tolerant, letters("FFFFS"));
  assert.deepEqual(verdicts, ["healthy", "healthy", "healthy", "unhealthy", "healthy"]);
});

test("step() holding without history is healthy, with history keeps it (vector 19)", () => {
  assert.deepEqual(verdictsAfter(rule({}), ["hold"]), ["healthy"]);
  assert.deepEqual(verdictsAfter(rule({}), ["fail", "hold"]), ["unhealthy", "unhealthy"]);
});

const ruleArbitrary: fc.Arbitrary<CheckTiming> = fc
  .record({
    unhealthyThreshold: fc.integer({ min: 1, max: 5 }),
    healthyThreshold: fc.integer({ min: 1, max: 5 }),
    initial: fc.constantFrom("healthy", "unhealthy", "unknown"),
    holdDownMs: fc.constantFrom(0, 2500),
    flapDamping: fc.option(
      fc.record({
        maxFlips: fc.integer({ min: 1, max: 5 }),
        windowMs: fc.constantFrom(5000, 20_000),
        holdMs: fc.constantFrom(1000, 7000),
      }),
      { nil: undefined },
    ),
    inverted: fc.boolean(),
    failFast: fc.boolean(),
  })
  .map(({ flapDamping, ...rest }) => ({
    ...defaultTiming,
    ...rest,
    intervalMs: 1000,
    ...(flapDamping === undefined ? {} : { flapDamping }),
  }));

const outcomesArbitrary: fc.Arbitrary<ProbeOutcome[]> = fc.array(
  fc.constantFrom<ProbeOutcome>("pass", "fail", "hold"),
  { maxLength: 60 },
);

/** The counting stage once more, over the whole history: slow and obvious. */
function slowOpinion(rule: CheckTiming, outcomes: readonly ProbeOutcome[]): Verdict {
  let opinion: Verdict = rule.initial;
  let history: ProbeOutcome[] = [];
  for (const outcome of outcomes) {
    if (outcome === "hold") {
      if (opinion === "unknown") opinion = "healthy";
      continue;
    }
    history.push(outcome);
    const before: Verdict = opinion;
    if (opinion === "unknown") opinion = outcome === "pass" ? "healthy" : "unhealthy";
    else if (opinion === "unhealthy") {
      const last = history.slice(-rule.healthyThreshold);
      const enough = last.length === rule.healthyThreshold;
      if (enough && last.every((each) => each === "pass")) opinion = "healthy";
    } else {
      const okThreshold = rule.okThreshold ?? rule.healthyThreshold;
      const run = "pass".repeat(okThreshold);
      const text = history.join("");
      const since = text.slice(text.lastIndexOf(run) === -1 ? 0 : text.lastIndexOf(run));
      if (since.split("fail").length - 1 >= rule.unhealthyThreshold) opinion = "unhealthy";
    }
    if (opinion !== before) history = [];
  }
  return opinion;
}

test("step() counts like its slow twin", () => {
  fc.assert(
    fc.property(ruleArbitrary, outcomesArbitrary, (rule, outcomes) => {
      let state = initialState(rule, 0);
      outcomes.forEach((outcome, index) => {
        const atMs = (index + 1) * 1000;
        state = step(rule, state, { kind: "result", outcome, reason: "", atMs }).state;
      });
      assert.equal(state.opinion, slowOpinion(rule, outcomes));
    }),
    { numRuns: 500 },
  );
});

test("step() never delays the way to unhealthy, and tells each change once", () => {
  fc.assert(
    fc.property(ruleArbitrary, outcomesArbitrary, (rule, outcomes) => {
      let state = initialState(rule, 0);
      outcomes.forEach((outcome, index) => {
        const atMs = (index + 1) * 1000;
        const next = step(rule, state, { kind: "result", outcome, reason: "x", atMs });
        const wanted = rule.inverted ? inverse(next.state.opinion) : next.state.opinion;
        if (wanted === "unhealthy") assert.equal(next.state.verdict, "unhealthy");
        assert.equal(next.change !== undefined, next.state.verdict !== state.verdict);
        assert.equal(next.state.sequence - state.sequence, next.change === undefined ? 0 : 1);
        if (next.state.verdict !== wanted) assert.ok((next.wakeAtMs ?? 0) > atMs);
        state = next.state;
      });
    }),
    { numRuns: 500 },
  );
});

test("earliestChangeMs() is never longer than the time to the next change", () => {
  fc.assert(
    fc.property(ruleArbitrary, outcomesArbitrary, (anyRule, outcomes) => {
      const rule = { ...anyRule, failFast: false };
      let state: VerdictState = initialState(rule, 0);
      const promises: { verdict: Verdict; notBeforeMs: number }[] = [];
      outcomes.forEach((outcome, index) => {
        const atMs = (index + 1) * 1000;
        const next = step(rule, state, { kind: "result", outcome, reason: "x", atMs });
        // `hold` on unknown is the one result that decides by itself.
        if (next.change !== undefined) {
          for (const promise of promises) assert.ok(atMs >= promise.notBeforeMs);
          promises.length = 0;
        }
        state = next.state;
        const changeMs = earliestChangeMs(rule, state, atMs);
        promises.push({ verdict: state.verdict, notBeforeMs: atMs + changeMs });
      });
    }),
    { numRuns: 500 },
  );
});

function inverse(verdict: Verdict): Verdict {
  if (verdict === "unknown") return verdict;
  return verdict === "healthy" ? "unhealthy" : "healthy";
}
