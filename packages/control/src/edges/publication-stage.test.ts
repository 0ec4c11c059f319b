// SPDX-License-Identifier: Apache-2.0

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { PublicationStage, chooseCanaries } from "./publication-stage.ts";

const names = fc.uniqueArray(fc.stringMatching(/^[a-z]{1,5}$/), { minLength: 1, maxLength: 60 });

test("chooseCanaries() takes a tenth of the edges, at least one, whatever their order", () => {
  fc.assert(
    fc.property(names, fc.nat(), (edges, revision) => {
      const chosen = chooseCanaries(edges, revision);
      assert.equal(chosen.size, Math.ceil(edges.length / 10));
      assert.ok([...chosen].every((name) => edges.includes(name)));
      assert.deepEqual(chooseCanaries(edges.toReversed(), revision), chosen);
    }),
  );
});

test("it is not the same edge each time", () => {
  const edges = Array.from({ length: 8 }, (_, at) => `e${at}`);
  const first = Array.from({ length: 200 }, (_, revision) => [...chooseCanaries(edges, revision)]);
  assert.equal(new Set(first.flat()).size, 8);
});

/** With eleven edges of which two go first: "a" and "b". */
function stageOf(nowMs: number): PublicationStage {
  const stage = new PublicationStage(3, nowMs);
  stage.choose("abcdefghijk".split(""), nowMs);
  assert.deepEqual(stage.canaries, new Set(["a", "b"]));
  return stage;
}

test("a stage is good when all of its canaries are, and halts on the first that is not", () => {
  const good = { isGood: true, reason: "" };
  const stage = stageOf(0);
  stage.report("a", good);
  stage.report("c", good);
  assert.equal(stage.state.kind, "checking");
  stage.report("b", good);
  assert.equal(stage.state.kind, "good");

  const bad = stageOf(0);
  bad.report("b", { isGood: false, reason: "SERVFAIL for www" });
  bad.report("a", good);
  bad.report("b", good);
  assert.deepEqual(bad.state, {
    kind: "halted",
    reason: 'edge "b" refused it: SERVFAIL for www',
  });
});

test("a canary that falls silent or takes too long halts a stage; one that was good may be silent", () => {
  const start = (): PublicationStage => {
    const stage = stageOf(1000);
    stage.report("a", { isGood: true, reason: "" });
    return stage;
  };
  const silent = start();
  silent.step(4001, new Set(["a"]));
  assert.equal(silent.state.kind, "checking");
  silent.step(4000, new Set(["b"]));
  assert.equal(silent.state.kind, "checking");
  silent.step(4001, new Set(["b"]));
  assert.deepEqual(silent.state, {
    kind: "halted",
    reason: 'edge "b" fell silent when it was sent it',
  });
  const slow = start();
  slow.step(61_000, new Set());
  assert.equal(slow.state.kind, "checking");
  slow.step(61_001, new Set());
  assert.equal(slow.state.kind, "halted");
});

test("while nobody has come, nobody is waited for; what another control finds counts here, too", () => {
  const stage = new PublicationStage(7, 1000);
  stage.step(100_000, new Set());
  assert.deepEqual(stage.state, { kind: "checking" });
  assert.equal(stage.isGathered(3999), false);
  assert.equal(stage.isGathered(4000), true);
  stage.choose([], 4000);
  assert.equal(stage.isGathered(4000), true);
  stage.choose(["a"], 5000);
  assert.equal(stage.isGathered(5000), false);
  stage.decide(undefined);
  assert.deepEqual(stage.state, { kind: "good" });
  stage.decide("it comes too late");
  assert.deepEqual(stage.state, { kind: "good" });
  const halted = stageOf(0);
  halted.decide("SERVFAIL");
  halted.report("a", { isGood: true, reason: "" });
  halted.report("b", { isGood: true, reason: "" });
  assert.deepEqual(halted.state, { kind: "halted", reason: "SERVFAIL" });
});
