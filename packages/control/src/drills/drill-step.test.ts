// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { parseStoreDocument, type DrillDocument } from "@meridian/model";
import {
  abandoned,
  stepDrill,
  type DrillRecord,
  type DrillSight,
  type DrillStep,
} from "./drill-step.ts";

const HOUR_MS = 3_600_000;

function drill(spec: object = {}): DrillDocument {
  const parsed = parseStoreDocument("Drill", {
    apiVersion: "meridian.dev/v1alpha1",
    kind: "Drill",
    metadata: { name: "d" },
    spec: { target: "site/eu", lasts: "30m", every: "24h", ...spec },
  });
  assert.ok("document" in parsed && parsed.document.kind === "Drill", JSON.stringify(parsed));
  return parsed.document;
}

const idle: DrillRecord = { uid: "u", sinceMs: 0, past: [] };
const running: DrillRecord = {
  ...idle,
  sinceMs: 24 * HOUR_MS,
  current: { id: "r", by: "schedule", startedAtMs: 24 * HOUR_MS, stage: "shifted" },
};
const calm: DrillSight = {
  ...{ nowMs: 24 * HOUR_MS, blocking: [], outcome: [], closed: undefined, above: undefined },
  ...{ lacks: [], isShifted: false, newId: "r" },
};
const red = [{ name: "errors", isRed: true, reason: "it is 0.2, expected at most 0.01" }];

/** What comes of a run that is under way. */
function outcomeOf(sight: Partial<DrillSight>, record = running): unknown {
  const { record: after, deed } = stepDrill(drill(), record, {
    ...calm,
    isShifted: true,
    ...sight,
  });
  return after.current?.stage === "ending"
    ? [after.current.outcome, after.current.reason, deed]
    : after.current?.stage;
}

describe("stepDrill()", () => {
  test("a run that is due is recorded, then shifted, and after its time succeeded, each once", () => {
    const before = stepDrill(drill(), idle, { ...calm, nowMs: 24 * HOUR_MS - 1 });
    assert.deepEqual(before, { record: idle, deed: undefined });
    const begun = stepDrill(drill(), idle, calm);
    assert.equal(begun.deed, "shift");
    assert.equal(begun.record.current?.stage, "begun");
    // Another leader does not know whether the shift was begun: it begins the same one.
    assert.deepEqual(stepDrill(drill(), begun.record, { ...calm, newId: "other" }), begun);
    const late = { ...calm, nowMs: 24.5 * HOUR_MS };
    assert.equal(stepDrill(drill(), begun.record, late).record.current?.stage, "ending");
    const given = { ...begun.record, canceled: { by: "ann", reason: "r" } };
    assert.equal(stepDrill(drill(), given, calm).record.current?.reason, "ann: r");
    const shifted = stepDrill(drill(), begun.record, { ...calm, isShifted: true });
    assert.deepEqual(shifted.record, running);
    const still = stepDrill(drill(), running, { ...calm, isShifted: true });
    assert.deepEqual(still, { record: running, deed: undefined });
    const ending = stepDrill(drill(), running, {
      ...calm,
      isShifted: true,
      nowMs: 24.5 * HOUR_MS,
    });
    assert.equal(ending.deed, "unshift");
    // The outcome is known before the shift is ended: who goes on does not take its end for an interruption.
    const over: DrillStep = stepDrill(drill(), ending.record, { ...calm, nowMs: 25 * HOUR_MS });
    assert.equal(over.record.current, undefined);
    assert.deepEqual(over.record.past, [
      {
        ...{ id: "r", by: "schedule", startedAtMs: 24 * HOUR_MS, endedAtMs: 24.5 * HOUR_MS },
        ...{ outcome: "succeeded", reason: "no alarm was red" },
      },
    ]);
    assert.deepEqual(stepDrill(drill(), over.record, calm).record, over.record);
  });

  test("a run ends early by an alarm, a person, another shift (vector 31) or the end of its shift", () => {
    assert.equal(outcomeOf({}), "shifted");
    for (const [sight, outcome, reason] of [
      [{ outcome: red }, "failed", /errors is red: it is 0.2/],
      [{ blocking: red }, "interrupted", /blocking alarm errors/],
      [{ above: "m1" }, "interrupted", /shift m1 of the same target began/],
      [{ isShifted: false }, "interrupted", /its shift was ended/],
    ] as const) {
      const [ended, why] = [outcomeOf(sight)].flat();
      assert.equal(ended, outcome);
      assert.match(String(why), reason);
    }
    const canceled = { ...running, canceled: { by: "ann", reason: "the phone rings" } };
    assert.deepEqual(outcomeOf({}, canceled), ["interrupted", "ann: the phone rings", "unshift"]);
    assert.equal(abandoned(running, 0).current?.outcome, "interrupted");
  });

  test("none begins over another shift, while an alarm is red, or outside of windows; without capacity it is recorded", () => {
    for (const [sight, waits] of [
      [{ above: "m1" }, /shift m1/],
      [{ blocking: red }, /blocking alarm errors/],
      [{ outcome: red }, /outcome alarm errors/],
      [{ closed: "it is Sunday" }, /it is Sunday/],
    ] as const) {
      const step = stepDrill(drill(), idle, { ...calm, ...sight });
      assert.equal(step.deed, undefined);
      assert.match(step.record.waits ?? "", waits);
      const later = stepDrill(drill(), step.record, calm);
      assert.equal(later.record.waits, undefined, "it is tried again");
      assert.equal(later.deed, "shift");
    }
    const lacking = stepDrill(drill(), idle, { ...calm, lacks: ["site/us would carry 2 of 1"] });
    assert.equal(lacking.deed, undefined);
    assert.equal(lacking.record.past[0]?.outcome, "capacity check failed");
    assert.equal(lacking.record.sinceMs, calm.nowMs, "the next one is a period later");
    assert.deepEqual(stepDrill(drill({ paused: true }), idle, calm).record, idle);
  });

  test("who asks for one is not bound to windows nor to the schedule", () => {
    const wanted = { ...idle, wanted: { by: "ann", atMs: 1 } };
    const begun = stepDrill(drill({ paused: true }), wanted, { ...calm, nowMs: 1, closed: "x" });
    assert.equal(begun.record.current?.by, "ann");
    assert.equal(begun.record.wanted, undefined);
  });
});
