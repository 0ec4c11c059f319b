// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { parseStoreDocument, type RolloutSpec } from "@meridian/model";
import fc from "fast-check";
import {
  advance as advanceOnce,
  begun,
  canaryPercent,
  dues,
  isActive,
  isMoving,
  measured,
  nextMs,
  ordered as orderedOnce,
  served,
  type Measurement,
  type Order,
  type RolloutRun,
} from "./rollout-run.ts";

const START_MS = 1_800_000_000_000;
const errors = { query: "e", success: { below: 0.1 }, interval: "1s", count: 2 };

function read(spec: object): ReturnType<typeof parseStoreDocument> {
  return parseStoreDocument("Rollout", {
    apiVersion: "meridian.dev/v1alpha1",
    kind: "Rollout",
    metadata: { name: "r" },
    spec: {
      policy: "p",
      waves: [{ stable: { pool: "a" }, canary: { pool: "b" } }],
      prometheus: { url: "http://192.0.2.1:9090" },
      ...spec,
    },
  });
}

function specOf(spec: object): RolloutSpec {
  const parsed = read(spec);
  assert.ok("document" in parsed && parsed.document.kind === "Rollout", JSON.stringify(parsed));
  return parsed.document.spec;
}

/** Where edges answer with weights at once. */
function settled(spec: RolloutSpec, run: RolloutRun, nowMs: number): RolloutRun {
  let at = run;
  while (isMoving(at)) at = advanceOnce(spec, served(at, nowMs), nowMs);
  return at;
}

function advance(spec: RolloutSpec, run: RolloutRun, nowMs: number): RolloutRun {
  return settled(spec, advanceOnce(spec, run, nowMs), nowMs);
}

function ordered(
  spec: RolloutSpec,
  run: RolloutRun,
  wanted: Order,
  nowMs: number,
): RolloutRun | string {
  const next = orderedOnce(spec, run, wanted, nowMs);
  return typeof next === "string" ? next : settled(spec, next, nowMs);
}

function start(spec: RolloutSpec): RolloutRun {
  return advance(spec, begun("u", { actor: "me", reason: "" }, START_MS), START_MS);
}

const order = (verb: Order["verb"], more: Partial<Order> = {}): Order => ({
  ...{ verb, isFull: false, actor: "me", reason: "because" },
  ...more,
});

/** Measures everything that is due at a moment as the same. */
function measure(
  spec: RolloutSpec,
  run: RolloutRun,
  measurement: Measurement,
  nowMs: number,
): RolloutRun {
  let at = run;
  for (const due of dues(spec, run))
    if (due.atMs <= nowMs) at = measured(at, due, measurement, nowMs);
  return advance(spec, at, nowMs);
}

const value = (number: number): Measurement => ({ kind: "value", value: number });
const where = ({ phase, wave, step, weight }: RolloutRun): unknown[] => [phase, wave, step, weight];

describe("a rollout", () => {
  test("takes its steps as time passes and measurements are good, then has all traffic", () => {
    const spec = specOf({
      steps: [
        { setWeight: 5 },
        { pause: { for: "10s" } },
        { setWeight: 50 },
        { analysis: ["errors"] },
      ],
      analyses: { errors },
    });
    let run = start(spec);
    assert.deepEqual(where(run), ["progressing", 0, 1, 5]);
    assert.equal(nextMs(spec, run), START_MS + 10_000);
    assert.equal(advance(spec, run, START_MS + 9999), run);
    run = advance(spec, run, START_MS + 10_000);
    assert.deepEqual(where(run), ["progressing", 0, 3, 50]);
    run = measure(spec, run, value(0.01), START_MS + 10_000);
    assert.deepEqual(where(run), ["progressing", 0, 3, 50]);
    assert.equal(nextMs(spec, run), START_MS + 11_000);
    run = measure(spec, run, value(0.02), START_MS + 11_000);
    assert.deepEqual(where(run), ["succeeded", 1, 4, 100]);
    assert.equal(nextMs(spec, run), undefined);
  });

  test("has its waves take the steps one after the other", () => {
    const waves = ["eu", "us"].map((site) => ({
      ...{ site, node: site, stable: { pool: `${site}-a` }, canary: { pool: `${site}-b` } },
    }));
    const spec = specOf({ waves, steps: [{ setWeight: 10 }, { pause: {} }] });
    let run = start(spec);
    const percents = (): unknown[] => [0, 1].map((wave) => canaryPercent(run, wave));
    assert.deepEqual([run.phase, ...percents()], ["waiting", 10, 0]);
    const promote = (): void => {
      const next = ordered(spec, run, order("promote"), START_MS + 1);
      assert.ok(typeof next !== "string");
      run = next;
    };
    promote();
    assert.deepEqual([run.phase, ...percents()], ["waiting", 100, 10]);
    promote();
    assert.deepEqual([run.phase, ...percents()], ["succeeded", 100, 100]);
    const back = ordered(spec, run, order("abort"), START_MS + 2);
    assert.ok(typeof back !== "string");
    assert.deepEqual([back.phase, canaryPercent(back, 0)], ["aborted", undefined]);
  });

  test("begins a step, and the next wave, when edges answer with the weights before", () => {
    const waves = ["eu", "us"].map((node) => ({
      ...{ node, stable: { pool: `${node}-a` }, canary: { pool: `${node}-b` } },
    }));
    const steps = [{ setWeight: 10 }, { analysis: ["errors"] }, { pause: { for: "10s" } }];
    const spec = specOf({ waves, steps, analyses: { errors }, watch: ["errors"] });
    const begin = begun("u", { actor: "me", reason: "" }, START_MS);
    let run = advanceOnce(spec, begin, START_MS);
    assert.deepEqual([...where(run), isMoving(run)], ["progressing", 0, 1, 10, true]);
    // What is watched is measured: some edges have the weight before others.
    assert.deepEqual(
      dues(spec, run).map(({ key }) => key),
      ["watch/errors"],
    );
    assert.equal(advanceOnce(spec, run, START_MS + 60_000), run);
    assert.equal(nextMs(spec, run), START_MS);
    run = advanceOnce(spec, served(run, START_MS + 60_000), START_MS + 60_000);
    assert.deepEqual(
      dues(spec, run).map(({ key, atMs }) => [key, atMs - START_MS]),
      [
        ["errors", 60_000],
        ["watch/errors", 0],
      ],
    );
    assert.equal(served(run, START_MS + 61_000), run);
    for (const atMs of [START_MS + 60_000, START_MS + 61_000])
      for (const due of dues(spec, run)) run = measured(run, due, value(0), atMs);
    run = advanceOnce(spec, run, START_MS + 61_000);
    assert.deepEqual(where(run), ["progressing", 0, 2, 10]);
    // The wave is done: the next one begins when its canary has everything at the edges.
    run = advanceOnce(spec, run, START_MS + 71_000);
    assert.deepEqual([...where(run), isMoving(run)], ["progressing", 1, 0, 0, true]);
    assert.equal(canaryPercent(run, 0), 100);
    assert.equal(advanceOnce(spec, run, START_MS + 90_000), run);
    run = advanceOnce(spec, served(run, START_MS + 90_000), START_MS + 90_000);
    assert.deepEqual([...where(run), isMoving(run)], ["progressing", 1, 1, 10, true]);
    // Somebody who does not want to wait need not, and an end is one.
    const promoted = orderedOnce(spec, run, order("promote"), START_MS + 91_000);
    assert.ok(typeof promoted !== "string");
    assert.deepEqual([...where(promoted), isMoving(promoted)], ["progressing", 1, 2, 10, false]);
    const ended = orderedOnce(spec, run, order("abort"), START_MS + 91_000);
    assert.ok(typeof ended !== "string" && !isMoving(ended));
    // Paused meanwhile, it goes on to wait for them.
    const paused = orderedOnce(spec, run, order("pause"), START_MS + 91_000);
    assert.ok(typeof paused !== "string" && served(paused, START_MS + 92_000) === paused);
    const resumed = orderedOnce(spec, paused, order("resume"), START_MS + 93_000);
    assert.ok(typeof resumed !== "string" && isMoving(resumed));
  });

  test("does with what was measured what its fields say", () => {
    const at = (fields: object, ...measurements: readonly Measurement[]): string => {
      const spec = specOf({
        steps: [{ setWeight: 5 }, { analysis: ["errors"] }],
        analyses: { errors: { ...errors, ...fields } },
      });
      let run = start(spec);
      measurements.forEach((each, index) => {
        run = measure(spec, run, each, START_MS + index * 1000);
      });
      return `${run.phase}: ${run.reason || (run.tallies["errors"]?.last ?? "")}`;
    };
    const bad = value(0.5);
    const good = value(0);
    const empty: Measurement = { kind: "noData", reason: "the query gives NaN" };
    const down: Measurement = { kind: "error", reason: "down" };
    assert.equal(at({}, bad), "aborted: analysis errors failed: 0.5 is not below 0.1");
    assert.equal(at({ failureLimit: 1 }, bad), "progressing: 0.5 is not below 0.1");
    assert.match(at({ failureLimit: 1 }, bad, good, bad), /^aborted/);
    assert.match(at({ failureLimit: 1 }, bad, good, good), /^succeeded/);
    const both = { success: { below: 0.1 }, failure: { above: 0.6 } };
    assert.equal(
      at(both, bad),
      "waiting: analysis errors is inconclusive: 0.5 is neither good nor bad",
    );
    assert.match(at({ ...both, inconclusiveLimit: 1 }, bad), /^progressing/);
    assert.equal(at(both, value(0.7)), "aborted: analysis errors failed: 0.7 is above 0.6");
    assert.match(at({ success: undefined, failure: { atLeast: 1 } }, bad, bad), /^succeeded/);
    assert.equal(
      at({}, empty, empty, empty, empty, empty, empty),
      "progressing: no data (onNoData: hold): the query gives NaN",
    );
    assert.match(at({ onNoData: "pass" }, empty, empty), /^succeeded/);
    assert.match(at({ onNoData: "fail" }, empty), /^aborted: analysis errors failed: no data/);
    assert.match(at({ errorLimit: 2 }, down, down, good, down, down), /^progressing/);
    assert.equal(
      at({ errorLimit: 1 }, down, down),
      "aborted: analysis errors could not be made: down",
    );
  });

  test("is watched from its first weight on, also while it is paused or waits", () => {
    const spec = specOf({
      steps: [{ setWeight: 5 }, { pause: {} }],
      analyses: { errors: { ...errors, initialDelay: "3s" } },
      watch: ["errors"],
    });
    let run = start(spec);
    assert.equal(nextMs(spec, run), START_MS + 3000);
    const paused = ordered(spec, run, order("pause"), START_MS + 1000);
    assert.ok(typeof paused !== "string");
    run = measure(spec, paused, value(0), START_MS + 3000);
    assert.deepEqual([run.phase, run.tallies["watch/errors"]?.successes], ["paused", 1]);
    const resumed = ordered(spec, run, order("resume"), START_MS + 3500);
    assert.ok(typeof resumed !== "string");
    assert.equal(resumed.phase, "waiting");
    run = measure(spec, resumed, value(1), START_MS + 4000);
    assert.deepEqual([run.phase, run.actor], ["aborted", "control"]);
    assert.equal(ordered(spec, run, order("promote"), START_MS + 5000), "it has been aborted");
  });

  test("stands still while it is paused", () => {
    const spec = specOf({ steps: [{ setWeight: 5 }, { pause: { for: "10s" } }] });
    const paused = ordered(spec, start(spec), order("pause"), START_MS + 4000);
    assert.ok(typeof paused !== "string");
    assert.equal(advance(spec, paused, START_MS + 60_000), paused);
    const resumed = ordered(spec, paused, order("resume"), START_MS + 60_000);
    assert.ok(typeof resumed !== "string");
    assert.equal(nextMs(spec, resumed), START_MS + 66_000);
  });

  test("moves its canary's weight upwards alone until it ends, whatever happens", () => {
    const step = fc.oneof(
      fc.constant({ pause: { for: "1s" } }),
      fc.constant({ pause: {} }),
      fc.constant({ analysis: ["errors"] }),
    );
    const event = fc.oneof(
      fc
        .constantFrom<Order["verb"]>("promote", "pause", "resume", "abort")
        .map((verb) => order(verb)),
      fc.constant(order("promote", { isFull: true })),
      fc.constantFrom<Measurement>(
        value(0),
        value(1),
        { kind: "noData", reason: "" },
        { kind: "error", reason: "" },
      ),
    );
    fc.assert(
      fc.property(
        fc.uniqueArray(fc.integer({ min: 0, max: 100 }), { maxLength: 4 }),
        fc.array(step, { minLength: 4, maxLength: 4 }),
        fc.array(fc.tuple(event, fc.integer({ min: 0, max: 3000 })), { maxLength: 20 }),
        (weights, pauses, events) => {
          const steps = weights
            .toSorted((a, b) => a - b)
            .flatMap((setWeight, index) => [{ setWeight }, pauses[index] ?? { pause: {} }]);
          const waves = ["x", "y"].map((node) => ({
            node,
            stable: { pool: "a" },
            canary: { pool: "b" },
          }));
          const spec = specOf({
            waves,
            steps: steps.length === 0 ? pauses : steps,
            analyses: { errors: { ...errors, errorLimit: 1 } },
            watch: ["errors"],
          });
          let run = start(spec);
          let nowMs = START_MS;
          for (const [each, passedMs] of events) {
            nowMs += passedMs;
            const before = [0, 1].map((wave) => canaryPercent(run, wave) ?? 0);
            const next =
              "verb" in each ? ordered(spec, run, each, nowMs) : measure(spec, run, each, nowMs);
            if (typeof next === "string") continue;
            run = advance(spec, next, nowMs);
            if (run.phase === "aborted") break;
            [0, 1].forEach((wave) =>
              assert.ok((canaryPercent(run, wave) ?? 0) >= (before[wave] ?? 0)),
            );
            if (isActive(run)) assert.ok(run.wave < 2 && run.step < spec.steps.length);
          }
        },
      ),
      { numRuns: 200 },
    );
  });
});

test("a Rollout that contradicts itself is refused", () => {
  const steps = [{ setWeight: 5 }];
  const problem = (spec: object): string => JSON.stringify(read({ steps, ...spec }));
  assert.match(problem({ steps: [{ setWeight: 5 }, { setWeight: 5 }] }), /weights only grow/);
  assert.match(problem({ steps: [{ analysis: ["x"] }] }), /there is no \\"x\\"/);
  assert.match(problem({ watch: ["x"] }), /there is no \\"x\\"/);
  assert.match(
    problem({ analyses: { errors }, prometheus: undefined }),
    /server that analyses ask/,
  );
  const analysed = (fields: object): string =>
    problem({ analyses: { errors: { ...errors, ...fields } } });
  assert.match(analysed({ success: { above: 1, below: 1 } }), /bounds between which/);
  assert.match(analysed({ success: {} }), /one or more of above/);
  assert.match(analysed({ success: undefined }), /success or failure, or both/);
  const same = { stable: { pool: "a" }, canary: { pool: "a" } };
  assert.match(problem({ waves: [same] }), /another branch than stable/);
  const wave = { stable: { pool: "a" }, canary: { pool: "b" } };
  assert.match(problem({ waves: [wave, wave] }), /another node than the waves before/);
  assert.match(problem({ record: "www.example.org" }), /exactly one of policy, record/);
});
