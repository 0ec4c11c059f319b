// SPDX-License-Identifier: Apache-2.0

import assert from "node:assert/strict";
import { test } from "node:test";
import type { StateWrite } from "../state/state-documents.ts";
import { stepOf } from "../testing/step-scene.ts";
import type { WeightOverride } from "../weights/weight-overrides.ts";
import { orderRun } from "./run-orders.ts";
import { advance, type Outcome } from "./run-advance.ts";
import type { RecoveryRun } from "./run-state.ts";
import { weightsEffect, type WeightsPlaces } from "./weights-step.ts";

const name = { policy: "default/split", node: "all" };
const branches = [
  { pool: "eu", weight: 0 },
  { pool: "us", weight: 90 },
];
const weights = { policy: "split", node: "all", branches, over: "30s", every: "10s" };

/** The weights of one node, and a run of one step that changes them. */
class Scene {
  held: WeightOverride | undefined;
  own: ReadonlyMap<string, number> | string = new Map([
    ["pool/default/eu", 90],
    ["pool/default/us", 0],
    ["pool/default/ap", 5],
  ]);
  isServed = true;
  nowMs = 0;
  writes = 0;
  run: RecoveryRun;

  constructor(mode: "graceful" | "ungraceful" = "graceful", what: object = { weights }) {
    const step = stepOf(what, { name: "ramp", state: "waiting" });
    this.run = {
      ...{ id: "aa", namespace: "default", plan: "away", mode, state: "running" },
      ...{ isRollingBack: false, actor: "ann", reason: "test", createdAtMs: 0, sinceMs: 0 },
      ...{ detectedAtMs: 0, isMeasured: false, names: [], touches: [], steps: [step], events: [] },
    };
  }

  readonly #places = (): WeightsPlaces => ({
    traffic: { isServed: this.isServed, weightedBranches: () => this.own },
    weights: {
      of: () => this.held,
      write: ({ policy, node, owner }, given): StateWrite | undefined => {
        if (this.held !== undefined && this.held.owner !== owner) return undefined;
        const text = given === undefined ? undefined : JSON.stringify({ owner, ...given });
        const ifRevision = this.held === undefined ? 0 : 1;
        return { kind: "WeightOverride", name: `${policy}/${node}`, text, ifRevision };
      },
    },
  });

  /** As the control that leads does; what it remembers is in the run alone. */
  look(nowMs: number): string {
    this.nowMs = nowMs;
    for (let turn = 0; turn < 3; turn++) {
      const next = advance(this.run, new Map<number, Outcome>(), nowMs);
      const [step] = next.run.steps;
      assert.ok(step !== undefined);
      this.run = next.run;
      if (next.work.length === 0) break;
      const effect = weightsEffect(next.run, step, this.#places(), nowMs);
      if (effect.dueAtMs !== undefined) break;
      this.run = advance(next.run, new Map([[0, effect.outcome]]), nowMs).run;
      for (const { text } of effect.writes) {
        this.writes += 1;
        this.held = text === undefined ? undefined : { ...name, ...JSON.parse(text) };
      }
    }
    const { state = "", detail = "" } = this.run.steps[0] ?? {};
    return `${state}: ${detail}`;
  }

  order(order: "pause" | "resume" | "cancel" | "rollback" | "skip" | "ungraceful"): void {
    const result = orderRun(this.run, { order, actor: "ann", reason: "x" }, this.nowMs);
    assert.ok("run" in result, JSON.stringify(result));
    this.run = result.run;
  }

  get given(): readonly (number | undefined)[] | undefined {
    const { weights: found } = this.held ?? {};
    return found && ["eu", "us"].map((each) => found[`pool/default/${each}`]);
  }
}

test("a ramp takes the node, and goes on by equal changes, one after the other", () => {
  const scene = new Scene();
  assert.match(scene.look(0), /^running: 0 of 3 changes/);
  assert.deepEqual(scene.given, [90, 0]);
  scene.look(9999);
  assert.equal(scene.writes, 1);
  scene.look(10_000);
  assert.deepEqual(scene.given, [60, 30]);
  // Nobody led for a while: one change, and the next after its time.
  scene.look(50_000);
  assert.deepEqual(scene.given, [30, 60]);
  scene.look(55_000);
  assert.deepEqual(scene.given, [30, 60]);
  assert.equal(scene.look(60_000), "done: set pool/default/eu 0, pool/default/us 90");
  assert.deepEqual(scene.given, [0, 90]);
  assert.equal(scene.writes, 4);
  assert.equal(scene.run.state, "completed");
  assert.equal(scene.run.movedAtMs, 60_000);
  assert.equal(scene.held?.cause, "recovery plan default/away: test");
  scene.order("rollback");
  assert.equal(scene.look(61_000), "undone: gave back its own weights");
  assert.equal(scene.held, undefined);
  assert.equal(scene.run.state, "rolled-back");
});

test("an ungraceful run changes them at once, also one that becomes so on the way", () => {
  const hasty = new Scene("ungraceful");
  assert.match(hasty.look(0), /^done/);
  assert.equal(hasty.writes, 1);
  const scene = new Scene();
  scene.look(0);
  scene.look(10_000);
  scene.order("ungraceful");
  assert.match(scene.look(10_001), /^done/);
  assert.deepEqual(scene.given, [0, 90]);
});

test("a pause holds a ramp where it is, a roll-back gives back what was, and what is canceled stays", () => {
  const scene = new Scene();
  scene.look(0);
  scene.look(10_000);
  scene.order("pause");
  scene.look(100_000);
  assert.deepEqual(scene.given, [60, 30]);
  scene.order("resume");
  scene.look(100_001);
  assert.deepEqual(scene.given, [30, 60]);
  scene.order("cancel");
  scene.look(200_000);
  assert.deepEqual(scene.given, [30, 60]);
  scene.order("rollback");
  assert.equal(scene.look(200_001), "undone: gave back its own weights");
  for (const cut of ["skip", "rollback"] as const) {
    const other = new Scene();
    other.look(0);
    other.look(10_000);
    other.order(cut);
    if (cut === "skip") other.look(10_001);
    if (cut === "skip") other.order("rollback");
    other.look(10_002);
    assert.equal(other.held, undefined, cut);
    assert.equal(other.run.state, "rolled-back");
  }
});

test("weights of before are given back, and those that somebody gave since are left", () => {
  const scene = new Scene("ungraceful");
  const before = { weights: { "pool/default/eu": 40, "pool/default/us": 50 } };
  scene.held = { ...name, ...before, owner: "recovery/default", cause: "earlier", sinceMs: 1 };
  scene.look(10);
  assert.deepEqual(scene.given, [0, 90]);
  scene.order("rollback");
  assert.equal(scene.look(20), "undone: gave back the weights of before");
  assert.deepEqual(scene.held, {
    ...{ ...name, ...before, owner: "recovery/default", cause: "earlier", sinceMs: 1 },
  });
  const other = new Scene("ungraceful");
  other.look(10);
  const given = other.held;
  assert.ok(given !== undefined);
  other.held = { ...given, cause: "another plan", sinceMs: 15 };
  other.order("rollback");
  assert.match(other.look(20), /other weights since: another plan$/);
  assert.equal(other.run.state, "paused");
  assert.deepEqual(other.given, [0, 90]);
  // It is left as it is, and not tried for ever.
  other.order("skip");
  other.look(30);
  assert.equal(other.run.state, "rolled-back");
});

test("weights that are the document's own are none that are given", () => {
  const home = [
    { pool: "eu", weight: 90 },
    { pool: "us", weight: 0 },
  ];
  const scene = new Scene("graceful", {
    weights: { policy: "split", node: "all", branches: home },
  });
  const before = { weights: { "pool/default/eu": 0, "pool/default/us": 90 } };
  scene.held = { ...name, ...before, owner: "recovery/default", cause: "away", sinceMs: 1 };
  assert.match(scene.look(10), /^done/);
  assert.equal(scene.held, undefined);
});

test("what is gone, or somebody else's, stops a ramp with the reason, and weights stay as they are", () => {
  const gone: readonly (readonly [string | ReadonlyMap<string, number>, RegExp])[] = [
    ["there is no TrafficPolicy default/split", /there is no TrafficPolicy/],
    [new Map([["pool/default/eu", 90]]), /has no branch pool\/default\/us/],
  ];
  for (const [own, why] of gone) {
    const scene = new Scene();
    scene.look(0);
    scene.look(10_000);
    scene.own = own;
    assert.match(scene.look(20_000), why);
    assert.equal(scene.run.state, "paused");
    assert.deepEqual(scene.given, [60, 30]);
  }
  const held = new Scene();
  held.held = { ...name, weights: {}, owner: "rollout/default/r", cause: "step 2", sinceMs: 1 };
  assert.match(held.look(0), /^failed: .* has weights of rollout\/default\/r: step 2/);
  const unserved = new Scene();
  unserved.isServed = false;
  assert.match(unserved.look(0), /^running/);
  unserved.isServed = true;
  unserved.look(1000);
  assert.deepEqual(unserved.given, [90, 0]);
});

test("ramps that take for ever, or no time between changes, are refused", () => {
  const refused = (more: object): void => {
    assert.throws(() => stepOf({ weights: { ...weights, ...more } }));
  };
  refused({ every: "10ms" });
  refused({ over: "10m", every: "100ms", timeout: "1h" });
  refused({ over: "10m" });
  refused({ branches: [...branches, { pool: "eu", weight: 3 }] });
  refused({ branches: [{ pool: "eu", node: "x", weight: 3 }] });
});
