// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { parseStoreDocument, type SafetyRuleDocument } from "@meridian/model";
import fc from "fast-check";
import {
  changeControls,
  isMet,
  unset,
  type ControlOutcome,
  type ControlState,
  type Standings,
} from "./control-change.ts";

const START_MS = 1_800_000_000_000;

function rule(name: string, spec: object): SafetyRuleDocument {
  const parsed = parseStoreDocument("SafetyRule", {
    apiVersion: "meridian.dev/v1alpha1",
    kind: "SafetyRule",
    metadata: { name },
    spec: { panel: "p", ...spec },
  });
  assert.ok("document" in parsed, JSON.stringify(parsed));
  assert.ok(parsed.document.kind === "SafetyRule");
  return parsed.document;
}

function standings(states: Readonly<Record<string, ControlState>>): Standings {
  return new Map(Object.entries(states).map(([name, state]) => [name, { ...unset, state }]));
}

function change(
  before: Standings,
  rules: readonly SafetyRuleDocument[],
  states: Readonly<Record<string, ControlState>>,
  { override = [], nowMs = START_MS }: { override?: readonly string[]; nowMs?: number } = {},
): ControlOutcome {
  return changeControls(before, rules, {
    ...{ states: new Map(Object.entries(states)), override: new Set(override) },
    ...{ actor: "someone", reason: "test", nowMs },
  });
}

function accepted(outcome: ControlOutcome): Standings {
  assert.ok("standings" in outcome, JSON.stringify(outcome));
  return outcome.standings;
}

function objections(outcome: ControlOutcome): readonly string[] {
  assert.ok("objections" in outcome, "accepted");
  return outcome.objections.map(({ rule: name, why }) => `${name}: ${why}`);
}

describe("changeControls()", () => {
  const somewhere = rule("somewhere", {
    assertion: { controls: ["a", "b"] },
    require: { atLeast: 1 },
  });

  test("an assertion is about what a change leaves (vector 26)", () => {
    const before = standings({ a: "On", b: "Off" });
    assert.deepEqual(objections(change(before, [somewhere], { a: "Off" })), [
      "somewhere: wants at least 1 of a, b On; the change leaves a Off, b Off",
    ]);
    const swapped = accepted(change(before, [somewhere], { a: "Off", b: "On" }));
    assert.deepEqual([swapped.get("a")?.state, swapped.get("b")?.state], ["Off", "On"]);
    const both = accepted(change(before, [somewhere], { b: "On" }));
    const early = { nowMs: START_MS + 4999 };
    assert.match(
      objections(change(both, [somewhere], { a: "Off" }, early))[0] ?? "",
      /one change in 5s; the next is possible in 1ms/,
    );
    const later = change(both, [somewhere], { a: "Off" }, { nowMs: START_MS + 5000 });
    assert.equal(accepted(later).get("a")?.state, "Off");
  });

  test("a gate that is shut keeps its targets, unless it is overridden (vector 27)", () => {
    const gate = rule("gate", {
      gating: { gates: ["m"], targets: ["a", "b"] },
      require: { any: {} },
    });
    const shut = standings({ m: "Off", a: "On", b: "On" });
    assert.deepEqual(objections(change(shut, [gate], { a: "Off" })), [
      "gate: wants at least 1 of m On to change a; now m Off",
    ]);
    // The gate has to be open before: opening it in the same change is too late.
    assert.ok("objections" in change(shut, [gate], { m: "On", a: "Off" }));
    assert.deepEqual(change(shut, [gate], { a: "On" }), { standings: shut, changed: [] });
    const overridden = change(shut, [gate], { a: "Off" }, { override: ["gate"] });
    assert.equal(accepted(overridden).get("a")?.state, "Off");
    const open = accepted(change(shut, [gate], { m: "On" }));
    assert.equal(accepted(change(open, [gate], { a: "Off" })).get("a")?.state, "Off");
  });

  test("a requirement is turned round as a whole (vector 28)", () => {
    const { spec } = rule("not-both", {
      assertion: { controls: ["m1", "m2"] },
      require: { all: {} },
      inverted: true,
    });
    assert.equal(isMet(spec, ["m1", "m2"], standings({ m1: "On", m2: "On" })), false);
    assert.equal(isMet(spec, ["m1", "m2"], standings({ m1: "On", m2: "Off" })), true);
  });

  test("a second change within the wait period is refused, of its controls alone (vector 29)", () => {
    const before = standings({ a: "On", b: "On", c: "On" });
    const first = accepted(change(before, [somewhere], { a: "Off" }));
    const soon = { nowMs: START_MS + 1000 };
    assert.match(objections(change(first, [somewhere], { a: "On" }, soon))[0] ?? "", /in 4s/);
    assert.equal(accepted(change(first, [somewhere], { c: "Off" }, soon)).get("c")?.state, "Off");
    const back = change(first, [somewhere], { a: "On" }, { nowMs: START_MS - 3_600_000 });
    assert.equal(accepted(back).get("a")?.state, "On");
  });

  test("no change that is accepted leaves an assertion unmet, and a refused one changes nothing", () => {
    const names = ["a", "b", "c", "d"];
    const state = fc.constantFrom<ControlState>("On", "Off");
    const requirement = fc.oneof(
      fc.constant({ all: {} }),
      fc.constant({ any: {} }),
      fc.integer({ min: 1, max: 2 }).map((atLeast) => ({ atLeast })),
    );
    const ruleSpec = fc.record({
      assertion: fc.record({
        controls: fc.uniqueArray(fc.constantFrom(...names), { minLength: 2 }),
      }),
      require: requirement,
      inverted: fc.boolean(),
      waitPeriod: fc.constantFrom("0s", "5s"),
    });
    fc.assert(
      fc.property(
        fc.dictionary(fc.constantFrom(...names), state, { minKeys: 4 }),
        fc.array(ruleSpec, { maxLength: 3 }),
        fc.array(fc.dictionary(fc.constantFrom(...names), state, { minKeys: 1 }), {
          maxLength: 8,
        }),
        (first, specs, steps) => {
          const rules = specs.map((spec, index) => rule(`r${index}`, spec));
          let now = standings(first);
          steps.forEach((states, index) => {
            const outcome = change(now, rules, states, { nowMs: START_MS + index * 3000 });
            if ("objections" in outcome) return;
            for (const [name, wanted] of Object.entries(states))
              assert.equal(outcome.standings.get(name)?.state, wanted);
            for (const { spec } of rules) {
              const controls = spec.assertion?.controls ?? [];
              if (outcome.changed.some((name) => controls.includes(name)))
                assert.ok(isMet(spec, controls, outcome.standings));
            }
            now = outcome.standings;
          });
        },
      ),
    );
  });
});

describe("SafetyRule", () => {
  test("one that no state can meet is refused", () => {
    const read = (spec: object): string =>
      JSON.stringify(
        parseStoreDocument("SafetyRule", {
          apiVersion: "meridian.dev/v1alpha1",
          kind: "SafetyRule",
          metadata: { name: "r" },
          spec: { panel: "p", ...spec },
        }),
      );
    const assertion = { controls: ["a", "b"] };
    assert.match(read({ assertion, require: { atLeast: 3 } }), /atLeast of 2 or fewer/);
    assert.match(read({ assertion, require: { atLeast: 0 }, inverted: true }), /1 or more/);
    assert.match(read({ assertion, require: { all: {}, any: {} } }), /exactly one of all/);
    // A gate that keeps itself shut.
    const gating = { gates: ["m"], targets: ["m", "a"] };
    assert.match(read({ gating, require: { any: {} } }), /it would keep itself so/);
    const both = { gates: ["m", "n"], targets: ["m", "a"] };
    assert.match(read({ gating: both, require: { all: {} } }), /it would keep itself so/);
    assert.doesNotMatch(read({ gating: both, require: { any: {} } }), /findings":\[{/);
    assert.match(read({ gating, require: { any: {} }, inverted: true }), /it would keep itself so/);
    assert.match(read({ require: { any: {} } }), /exactly one of assertion, gating/);
    assert.match(read({ assertion: { controls: ["a", "a"] }, require: { any: {} } }), /once/);
  });
});
