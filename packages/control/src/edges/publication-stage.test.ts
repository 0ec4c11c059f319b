// SPDX-License-Identifier: Apache-2.0

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { WatchedAnswers } from "./answer-watch.ts";
import { PublicationStage, chooseCanaries } from "./publication-stage.ts";

const names = fc.uniqueArray(fc.stringMatching(/^[a-z]{1,5}$/), { minLength: 1, maxLength: 60 });

test("chooseCanaries() takes a tenth of the edges, at least one, whatever their order", () => {
  fc.assert(
    fc.property(names, fc.nat(), (edges, revision) => {
      const chosen = chooseCanaries(edges, revision);
      assert.equal(chosen.length, Math.ceil(edges.length / 10));
      assert.ok(chosen.every((name) => edges.includes(name)));
      assert.deepEqual(chooseCanaries(edges.toReversed(), revision), chosen);
    }),
  );
});

test("it is not the same edge each time", () => {
  const edges = Array.from({ length: 8 }, (_, at) => `e${at}`);
  const first = Array.from({ length: 200 }, (_, revision) => chooseCanaries(edges, revision));
  assert.equal(new Set(first.flat()).size, 8);
});

const idle = (): WatchedAnswers => ({ before: undefined, now: undefined });

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
  stage.step(1, new Set(), idle);
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

test("silence halts nothing: an edge goes in the place of one that falls silent or takes too long, and no third one", () => {
  const start = (): PublicationStage => {
    const stage = stageOf(1000);
    stage.report("a", { isGood: true, reason: "" });
    return stage;
  };
  const all = "abcdefghijk".split("");
  const without = (...names: readonly string[]): Set<string> =>
    new Set(all.filter((name) => !names.includes(name)));
  const silent = start();
  // Who was good may be silent.
  assert.deepEqual(silent.step(4001, without("a"), idle), []);
  assert.deepEqual(silent.step(4000, without("b"), idle), []);
  const [third, ...more] = silent.step(4001, without("b"), idle);
  assert.ok(third !== undefined && !["a", "b"].includes(third));
  assert.deepEqual(more, []);
  assert.deepEqual(silent.step(4002, without("b"), idle), [], "it is given its own time");
  const [fourth = ""] = silent.step(8000, without("b", third), idle);
  assert.deepEqual(silent.canaries, new Set(["a", "b", third, fourth]));
  assert.deepEqual(silent.step(100_000, without("b", third, fourth), idle), []);
  assert.deepEqual(silent.state, { kind: "checking" });
  // One that is gone for good is no more of those.
  silent.forget(third);
  assert.equal(silent.step(100_001, without("b", third, fourth), idle).length, 1);
  silent.report(fourth, { isGood: true, reason: "" });
  silent.step(100_002, without("b", third), idle);
  assert.deepEqual(silent.state, { kind: "good" });

  const slow = start();
  assert.deepEqual(slow.step(61_000, new Set(all), idle), []);
  assert.equal(slow.step(61_001, new Set(all), idle).length, 1);
  slow.report("b", { isGood: false, reason: "SERVFAIL" });
  assert.equal(slow.state.kind, "halted", "the word of one that took long counts");
});

test("a control that was itself held has nobody to send it to, and waits for those that it chose", () => {
  const stage = stageOf(0);
  assert.deepEqual(stage.step(20_000, new Set(), idle), []);
  for (const edge of ["a", "b"]) stage.report(edge, { isGood: true, reason: "" });
  stage.step(20_001, new Set(["a", "b"]), idle);
  assert.deepEqual(stage.state, { kind: "good" });
});

test("while nobody has come, nobody is waited for; what another control finds counts here, too", () => {
  const stage = new PublicationStage(7, 1000);
  stage.step(100_000, new Set(), idle);
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

test("canaries that clients ask are watched for 3 s, and one that answers worse halts it", () => {
  const sums = (servfail: number, empty: number): NonNullable<WatchedAnswers["now"]> => ({
    ...{ epoch: 1, revision: 3, queries: 1000, servfail, empty },
  });
  const served = (): PublicationStage => {
    const stage = stageOf(0);
    for (const edge of ["a", "b"]) stage.report(edge, { isGood: true, reason: "" });
    return stage;
  };
  const steps = (stage: PublicationStage, atMs: number, answers: WatchedAnswers): string => {
    stage.step(atMs, new Set(), () => answers);
    return stage.state.kind;
  };
  const before = sums(2, 100);
  const fine = { before, now: sums(12, 150) };
  const stage = served();
  assert.equal(steps(stage, 1000, { before, now: undefined }), "checking");
  assert.equal(steps(stage, 3999, fine), "checking");
  assert.equal(steps(stage, 4000, fine), "good");
  // What it says of itself is waited for, but not for ever.
  const mute = served();
  assert.equal(steps(mute, 0, { before, now: undefined }), "checking");
  assert.equal(steps(mute, 9999, { before, now: undefined }), "checking");
  assert.equal(steps(mute, 10_000, { before, now: undefined }), "good");
  const failing = served();
  assert.equal(steps(failing, 100, { before, now: sums(13, 100) }), "halted");
  assert.deepEqual(failing.state, {
    kind: "halted",
    reason: 'edge "a" answers worse from it: SERVFAIL for 1.3 % of what clients ask, 0.2 % before',
  });
  const empty = served();
  assert.equal(steps(empty, 100, { before, now: sums(2, 151) }), "halted");
  // Of a few queries nothing is concluded.
  const quiet = served();
  assert.equal(steps(quiet, 100, { before, now: { ...sums(40, 0), queries: 49 } }), "checking");
});
