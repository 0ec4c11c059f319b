// SPDX-License-Identifier: Apache-2.0

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import {
  defaultCapacityRule,
  initialCapacity,
  stepCapacity,
  targetFactor,
  type CapacityInput,
  type CapacityRule,
  type CapacityState,
} from "./capacity-factor.ts";
import { CapacityTracker } from "./capacity-tracker.ts";
import { partsOf, readJsonLoad } from "./json-load.ts";
import { readOrcaLoad } from "./orca.ts";

const ruleArbitrary: fc.Arbitrary<CapacityRule> = fc
  .record({
    halfLifeMs: fc.integer({ min: 0, max: 60_000 }),
    lowWatermark: fc.double({ min: 0, max: 1, noNaN: true }),
    width: fc.double({ min: 0.01, max: 2, noNaN: true }),
    maxStep: fc.integer({ min: 1, max: 1000 }),
    onNoData: fc.constantFrom("hold", "neutral", "drain"),
    staleAfterMs: fc.integer({ min: 1, max: 100_000 }),
  })
  .map(({ width, ...rest }) => ({ ...rest, highWatermark: rest.lowWatermark + width }));

const inputsArbitrary: fc.Arbitrary<CapacityInput[]> = fc
  .array(
    fc.record({
      load: fc.option(fc.double({ min: 0, max: 3, noNaN: true })),
      afterMs: fc.integer({ min: 0, max: 50_000 }),
    }),
    { maxLength: 40 },
  )
  .map((items) => {
    let atMs = 0;
    return items.map(({ load, afterMs }) => {
      atMs += afterMs;
      return load === null ? { kind: "time", atMs } : { kind: "reading", load, atMs };
    });
  });

test("stepCapacity() gives integers from 0 to 1000 that move at most maxStep after the first reading", () => {
  fc.assert(
    fc.property(ruleArbitrary, inputsArbitrary, (rule, inputs) => {
      let state: CapacityState = initialCapacity(0);
      for (const input of inputs) {
        const next = stepCapacity(rule, state, input);
        assert.ok(Number.isInteger(next.factor) && next.factor >= 0 && next.factor <= 1000);
        if (state.load !== undefined) {
          assert.ok(Math.abs(next.factor - state.factor) <= rule.maxStep);
        }
        state = next;
      }
    }),
  );
});

test("stepCapacity() comes to rest at targetFactor() under a steady load", () => {
  fc.assert(
    fc.property(ruleArbitrary, fc.double({ min: 0, max: 2, noNaN: true }), (rule, load) => {
      const steady = { ...rule, staleAfterMs: 1_000_000_000 };
      let state = initialCapacity(0);
      state = stepCapacity(steady, state, { kind: "reading", load: 0.5, atMs: 0 });
      for (let round = 1; round <= 1100; round++) {
        const atMs = round * 60_000;
        state = stepCapacity(steady, state, { kind: "reading", load, atMs });
      }
      assert.ok(Math.abs(state.factor - targetFactor(steady, load)) <= 1);
    }),
    { numRuns: 30 },
  );
});

test("targetFactor() falls from the low to the high watermark and never rises with load", () => {
  const shed: CapacityRule = { ...defaultCapacityRule, lowWatermark: 10, highWatermark: 20 };
  // shed_load of the reference's vector 37: low 10, high 20.
  assert.deepEqual(
    [5, 10, 15, 20, 25].map((load) => targetFactor(shed, load)),
    [1000, 1000, 500, 0, 0],
  );
  assert.equal(targetFactor(defaultCapacityRule, 0.25), 750);
  const load = fc.double({ min: 0, max: 3, noNaN: true });
  fc.assert(
    fc.property(ruleArbitrary, load, load, (rule, a, b) => {
      assert.ok(targetFactor(rule, Math.min(a, b)) >= targetFactor(rule, Math.max(a, b)));
    }),
  );
});

test("stepCapacity() weighs readings, each by the factor that it was read at, by half-life", () => {
  const rule = { ...defaultCapacityRule, halfLifeMs: 1000, maxStep: 1000 };
  let state = stepCapacity(rule, initialCapacity(0), { kind: "reading", load: 0, atMs: 0 });
  state = stepCapacity(rule, state, { kind: "reading", load: 0.8, atMs: 1000 });
  // Pressure 0.4: 1 / (1 + 0.4).
  assert.deepEqual([state.factor, state.load], [714, 0.4]);
  state = stepCapacity(rule, state, { kind: "reading", load: 0.8, atMs: 2000 });
  // Half of 0.4 and half of 0.8 / 0.714.
  assert.deepEqual([state.factor, state.load?.toFixed(3)], [568, "0.600"]);
});

test("stepCapacity() goes at once to where a load that follows the factor lets it rest, however full", () => {
  for (const demand of [0.1, 1, 9, 99]) {
    const rule = { ...defaultCapacityRule, halfLifeMs: 0, maxStep: 1000 };
    let state: CapacityState = { ...initialCapacity(0), load: 0.5 };
    state = stepCapacity(rule, state, { kind: "reading", load: demand, atMs: 1000 });
    assert.equal(state.factor, Math.round(1000 / (1 + demand)));
    const load = (demand * state.factor) / 1000;
    state = stepCapacity(rule, state, { kind: "reading", load, atMs: 2000 });
    assert.equal(state.factor, Math.round(1000 / (1 + demand)));
  }
});

/** Factors under a load that does not follow, half a half-life apart. */
function factorsUnder(
  rule: CapacityRule,
  start: CapacityState,
  loads: readonly number[],
): number[] {
  let state = start;
  return loads.map((load) => {
    const atMs = state.readAtMs + rule.halfLifeMs / 2;
    state = stepCapacity(rule, state, { kind: "reading", load, atMs });
    return state.factor;
  });
}

test("stepCapacity() leaves nothing within eight half-lives to a load that stays full, and gives all back within twelve", () => {
  const band = { lowWatermark: 0.5, highWatermark: 0.95, maxStep: 500 };
  for (const marks of [band, {}, { lowWatermark: 0.6, highWatermark: 0.9 }])
    for (const load of [1, 1.2, 3])
      for (const before of [0, 0.3, 0.8]) {
        const rule = { ...defaultCapacityRule, ...marks };
        const loads = [before, ...Array<number>(16).fill(load), ...Array<number>(24).fill(0)];
        const factors = factorsUnder(rule, initialCapacity(0), loads);
        assert.equal(
          factors[16],
          0,
          `${JSON.stringify({ marks, load, before })}: ${factors.join(" ")}`,
        );
        assert.ok(
          (factors[40] ?? 0) > 900,
          `${JSON.stringify({ marks, load, before })}: ${factors.join(" ")}`,
        );
      }
});

test("stepCapacity() does not shed for one reading that is full", () => {
  const rule = { ...defaultCapacityRule, maxStep: 1000 };
  const loads = [0.3, 0.3, 0.3, 1, 0.3, 0.3];
  const factors = factorsUnder(rule, initialCapacity(0), loads);
  assert.ok(Math.min(...factors) > 550, factors.join(" "));
});

test("CapacityTracker keeps what is said while out, and smooths it as before", () => {
  const tracker = new CapacityTracker(() => {});
  tracker.setRules(new Map([["a", defaultCapacityRule]]), 0);
  assert.equal(tracker.reported("a"), undefined);
  tracker.reading("a", 0.6, 0);
  for (const atMs of [5000, 15_000]) tracker.away("a", atMs, 0.6);
  tracker.away("a", 20_000);
  tracker.away("a", 20_000, Number.NaN);
  assert.equal(tracker.reported("a")?.load.toFixed(6), "0.600000");
  assert.equal(tracker.reported("a")?.readAtMs, 15_000);
  tracker.away("a", 25_000, 0.2);
  assert.equal(tracker.reported("a")?.load.toFixed(6), "0.400000");
});

test("CapacityTracker lets one that was out begin with little, and have twice as much each half-life", () => {
  const told: number[] = [];
  const tracker = new CapacityTracker((_key, factor) => told.push(factor));
  tracker.setRules(new Map([["a", defaultCapacityRule]]), 0);
  tracker.reading("a", 0.5, 0);
  for (const atMs of [1000, 2000]) tracker.away("a", atMs);
  for (const atMs of [12_000, 22_000, 32_000]) tracker.reading("a", 0, atMs);
  assert.deepEqual(told, [500, 10, 20, 40, 80]);
});

test("stepCapacity() after staleAfterMs holds, turns neutral or drains", () => {
  const factorAfter = (onNoData: CapacityRule["onNoData"]): number => {
    const rule = { ...defaultCapacityRule, onNoData, staleAfterMs: 5000, maxStep: 300 };
    let state = stepCapacity(rule, initialCapacity(0), { kind: "reading", load: 0.5, atMs: 0 });
    state = stepCapacity(rule, state, { kind: "time", atMs: 4999 });
    assert.equal(state.factor, 500);
    state = stepCapacity(rule, state, { kind: "time", atMs: 5000 });
    assert.ok(state.isStale);
    return state.factor;
  };
  assert.deepEqual(
    [factorAfter("hold"), factorAfter("neutral"), factorAfter("drain")],
    [500, 800, 200],
  );
});

test("CapacityTracker tells changed factors only, and forgets removed keys", () => {
  const told: [string, number][] = [];
  const tracker = new CapacityTracker((key, factor) => told.push([key, factor]));
  const rule = { ...defaultCapacityRule, halfLifeMs: 0, maxStep: 1000 };
  tracker.setRules(new Map([["a", rule]]), 0);
  tracker.reading("a", 0.5, 1);
  tracker.reading("a", 0.5, 2);
  tracker.reading("b", 0.5, 2);
  tracker.setRules(new Map(), 3);
  tracker.reading("a", 0.9, 4);
  assert.deepEqual(told, [["a", 500]]);
  assert.equal(tracker.state("a"), undefined);
});

test("readOrcaLoad() reads both text forms and prefers application utilisation", () => {
  assert.equal(readOrcaLoad("TEXT cpu_utilization=0.3,mem_utilization=0.8", undefined), 0.3);
  assert.equal(readOrcaLoad("TEXT/cpu_utilization=0.3", undefined), 0.3);
  assert.equal(readOrcaLoad("cpu_utilization=0.3,application_utilization=0.6", undefined), 0.6);
  assert.equal(readOrcaLoad("TEXT cpu_utilization=0.3,application_utilization=0", undefined), 0.3);
  assert.equal(readOrcaLoad('JSON {"cpu_utilization": 0.4}', undefined), 0.4);
  assert.equal(readOrcaLoad("TEXT named_metrics.gpu=0.9", "named_metrics.gpu"), 0.9);
  assert.equal(readOrcaLoad('JSON {"named_metrics":{"gpu":0.9}}', "named_metrics.gpu"), 0.9);
  for (const bad of [
    "",
    "TEXT",
    "TEXT cpu_utilization=",
    "JSON {",
    "cpu_utilization=-1",
    "JSON 3",
  ]) {
    assert.equal(readOrcaLoad(bad, undefined), undefined);
  }
});

test("readJsonLoad() follows a dotted path or a JSON pointer and never throws", () => {
  const body = Buffer.from('{"load":{"gpus":[{"busy":80}]},"a.b":{"c/d":{"~1":{"":3}}}}');
  const dotted = (path: string): string[] => partsOf({ path });
  assert.equal(readJsonLoad(body, dotted("load.gpus.0.busy"), 100), 0.8);
  assert.equal(readJsonLoad(body, dotted("load.gpus.1.busy"), 100), undefined);
  assert.equal(readJsonLoad(body, dotted("load"), 1), undefined);
  // RFC 6901 §4: first ~1 is taken for /, then ~0 for ~.
  const pointer = partsOf({ path: "", pointer: "/a.b/c~1d/~01/" });
  assert.deepEqual(pointer, ["a.b", "c/d", "~1", ""]);
  assert.equal(readJsonLoad(body, pointer, 1), 3);
  fc.assert(
    fc.property(fc.uint8Array(), fc.string(), (bytes, path) => {
      const load = readJsonLoad(bytes, dotted(path), 1);
      assert.ok(load === undefined || load >= 0);
      readOrcaLoad(Buffer.from(bytes).toString("latin1"), path);
    }),
  );
});
