// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import { parseStoreDocument, type RecoveryPlanDocument } from "@meridian/model";
import fc from "fast-check";
import { advance, isUndoable, type Outcome } from "./run-advance.ts";
import { orderRun, runOrders } from "./run-orders.ts";
import { isOver, parseRun, type RecoveryRun, type RunMode } from "./run-state.ts";
import { stepsOfPlan } from "./run-steps.ts";

const hook = { webhook: { url: "http://127.0.0.1/" } };

function planOf(name: string, sequence: readonly string[], steps: object): RecoveryPlanDocument {
  const parsed = parseStoreDocument("RecoveryPlan", {
    apiVersion: "meridian.dev/v1alpha1",
    kind: "RecoveryPlan",
    metadata: { name },
    spec: { sequence, steps },
  });
  assert.ok("document" in parsed, JSON.stringify(parsed));
  assert.ok(parsed.document.kind === "RecoveryPlan");
  return parsed.document;
}

function runOf(plans: readonly RecoveryPlanDocument[], mode: RunMode = "graceful"): RecoveryRun {
  const found = stepsOfPlan("top", new Map(plans.map((plan) => [plan.metadata.name, plan])));
  assert.ok("steps" in found, JSON.stringify(found));
  return {
    ...{ id: "0000000a", namespace: "default", plan: "top", mode, state: "running" },
    ...{ isRollingBack: false, actor: "t", reason: "t", createdAtMs: 0, sinceMs: 0 },
    ...{
      detectedAtMs: 0,
      isMeasured: false,
      names: [],
      touches: [],
      steps: found.steps,
      events: [],
    },
  };
}

/** Each step as `NAME STATE`. */
function shown({ state, steps }: RecoveryRun): string {
  return [state, ...steps.map(({ name, state: each }) => `${name} ${each}`)].join("; ");
}

const done = (index: number, detail = ""): ReadonlyMap<number, Outcome> =>
  new Map([[index, { result: "done", detail }]]);
const failed = (index: number): ReadonlyMap<number, Outcome> =>
  new Map([[index, { result: "failed", detail: "no" }]]);
const nothing: ReadonlyMap<number, Outcome> = new Map();

test("advance() takes steps in order, side by side where the plan says so, child plans inside", () => {
  const top = planOf("top", ["a", "both", "child", "z"], {
    ...{ a: hook, b: hook, c: hook, z: hook },
    both: { parallel: { steps: ["b", "c"] } },
    child: { plan: { name: "inner" } },
  });
  const inner = planOf("inner", ["x", "y"], { x: { wait: { for: "10s" } }, y: hook });
  let { run } = advance(runOf([top, inner]), nothing, 1);
  assert.equal(
    shown(run),
    "running; a running; b waiting; c waiting; child/x waiting; child/y waiting; z waiting",
  );
  ({ run } = advance(run, done(0), 2));
  const both = advance(run, done(2), 3);
  assert.equal(
    shown(both.run),
    "running; a done; b running; c done; child/x waiting; child/y waiting; z waiting",
  );
  assert.deepEqual(both.work, [1]);
  const waits = advance(both.run, done(1), 4);
  assert.equal(waits.wakeAtMs, 10_004);
  assert.equal(advance(waits.run, nothing, 10_003).run, waits.run);
  ({ run } = advance(waits.run, nothing, 10_004));
  assert.equal(run.steps[4]?.state, "running");
  ({ run } = advance(run, done(4), 10_005));
  ({ run } = advance(run, done(5), 10_006));
  assert.equal(run.state, "completed");
  assert.equal(run.endedAtMs, 10_006);
});

test("advance() skips what is not part of the run's kind, also in a child plan", () => {
  const top = planOf("top", ["ready", "child", "z"], {
    ready: { approval: { prompt: "?" }, only: "graceful" },
    child: { plan: { name: "inner" }, only: "graceful" },
    z: hook,
  });
  const inner = planOf("inner", ["x", "y"], { x: hook, y: { ...hook, only: "ungraceful" } });
  const { run } = advance(runOf([top, inner], "ungraceful"), nothing, 1);
  const last = advance(run, nothing, 2).run;
  const states = "ready skipped; child/x skipped; child/y skipped; z running";
  assert.equal(shown(advance(last, nothing, 3).run), `running; ${states}`);
});

test("a failed step holds the run until somebody resumes, skips or rolls back", () => {
  const plan = planOf("top", ["a", "b", "c"], {
    a: { webhook: { url: "http://127.0.0.1/", onRollBack: true } },
    b: { ...hook, timeout: "5s" },
    c: hook,
  });
  const begun = advance(advance(runOf([plan]), nothing, 1).run, done(0), 2).run;
  const late = advance(begun, nothing, 5002).run;
  assert.equal(shown(late), "paused; a done; b failed; c waiting");
  assert.match(late.steps[1]?.detail ?? "", /not done in 5s/);
  const who = { actor: "op", reason: "r" };
  const ordered = (order: (typeof runOrders)[number]): RecoveryRun => {
    const result = orderRun(late, { order, ...who }, 6000);
    assert.ok("run" in result, JSON.stringify(result));
    return advance(result.run, nothing, 6000).run;
  };
  assert.equal(shown(ordered("resume")), "running; a done; b running; c waiting");
  assert.equal(shown(ordered("skip")), "running; a done; b skipped; c running");
  assert.equal(shown(ordered("cancel")), "canceled; a done; b failed; c skipped");
  const back = ordered("rollback");
  assert.equal(shown(back), "running; a undoing; b failed; c skipped");
  assert.equal(
    shown(advance(back, done(0), 6001).run),
    "rolled-back; a undone; b failed; c skipped",
  );
  const held = advance(back, failed(0), 6001).run;
  assert.equal(shown(held), "paused; a done; b failed; c skipped");
  const again = orderRun(held, { order: "resume", ...who }, 6002);
  assert.ok("run" in again);
  assert.equal(shown(advance(again.run, nothing, 6002).run), shown(back));
  const left = orderRun(held, { order: "skip", ...who }, 6003);
  assert.ok("run" in left);
  const over = advance(left.run, nothing, 6003).run;
  assert.equal(shown(over), "rolled-back; a skipped; b failed; c skipped");
});

test("stepsOfPlan() refuses plans that lead back, that are not there, and too many steps", () => {
  const child = (name: string, inner: string): RecoveryPlanDocument =>
    planOf(name, ["s"], { s: { plan: { name: inner } } });
  const known = (...plans: RecoveryPlanDocument[]) =>
    new Map(plans.map((plan) => [plan.metadata.name, plan]));
  assert.deepEqual(stepsOfPlan("a", known(child("a", "b"), child("b", "a"))), {
    problem: "its plans lead back: a → b → a",
  });
  assert.deepEqual(stepsOfPlan("a", known(child("a", "b"))), {
    problem: 'there is no RecoveryPlan "b", which a names',
  });
  const names = Array.from({ length: 99 }, (_, index) => `s${index}`);
  const wide = planOf("b", names, Object.fromEntries(names.map((name) => [name, hook])));
  const six = Array.from({ length: 6 }, (_, index) => `c${index}`);
  const top = planOf(
    "a",
    six,
    Object.fromEntries(six.map((name) => [name, { plan: { name: "b" } }])),
  );
  assert.deepEqual(stepsOfPlan("a", known(top, wide)), {
    problem: "it has more than 500 steps, those of its plans included",
  });
});

const outcome = fc.record({
  result: fc.constantFrom("done" as const, "failed" as const, "going" as const),
  detail: fc.constantFrom("x", "y"),
});
const turn = fc.record({
  outcome,
  which: fc.nat({ max: 9 }),
  order: fc.option(fc.constantFrom(...runOrders), { freq: 4 }),
  passMs: fc.nat({ max: 20_000 }),
});

test("no step begins before those it follows are settled, nothing begins twice, and a run that is stored is the same run", () => {
  const property = fc.property(
    fc.array(fc.subarray(["a", "b", "c", "d"], { minLength: 1 }), { minLength: 1, maxLength: 4 }),
    fc.array(turn, { maxLength: 60 }),
    (groups, turns) => {
      // Groups side by side, one after another.
      const named = groups.map((group, at) => group.map((each) => `${each}${at}`));
      const steps = Object.fromEntries(
        named.flatMap((group, at) => [
          ...group.map((name, index) => [name, varied(index + at)] as const),
          [`g${at}`, { parallel: { steps: group } }] as const,
        ]),
      );
      let nowMs = 0;
      let run = runOf([
        planOf(
          "top",
          named.map((_, at) => `g${at}`),
          steps,
        ),
      ]);
      for (const { outcome: found, which, order, passMs } of turns) {
        nowMs += passMs;
        if (order !== null) {
          const result = orderRun(run, { order, actor: "op", reason: "r" }, nowMs);
          run = "run" in result ? result.run : run;
        }
        const { work } = advance(run, nothing, nowMs);
        const at = work.length === 0 ? undefined : work[which % work.length];
        const next = advance(run, at === undefined ? nothing : new Map([[at, found]]), nowMs);
        check(run, next.run);
        assert.deepEqual(parseRun(JSON.stringify(next.run)), plain(next.run));
        run = next.run;
      }
      // With everything done and nobody in the way it comes to an end.
      for (let left = 0; left < 100 && !isOver(run); left++) {
        nowMs += 60_000;
        const resumed = orderRun(run, { order: "resume", actor: "op", reason: "r" }, nowMs);
        run = "run" in resumed ? resumed.run : run;
        const { work } = advance(run, nothing, nowMs - 60_000);
        run = advance(run, new Map(work.flatMap((at) => [...done(at)])), nowMs).run;
      }
      assert.ok(isOver(run), shown(run));
    },
  );
  fc.assert(property, { numRuns: 100 });
});

function varied(index: number): object {
  const webhook = { url: "http://127.0.0.1/", onRollBack: index % 2 === 0 };
  const controls = { states: { one: "On" } };
  return (
    [{ webhook }, { controls }, { wait: { for: "5s" } }, { webhook, onFailure: "continue" }][
      index % 4
    ] ?? { webhook }
  );
}

function plain(run: RecoveryRun): unknown {
  return JSON.parse(JSON.stringify(run));
}

function check(before: RecoveryRun, after: RecoveryRun): void {
  const isSettled = ({ state, what }: RecoveryRun["steps"][number]): boolean =>
    state === "done" ||
    state === "skipped" ||
    (state === "failed" && what.onFailure === "continue");
  for (const [index, step] of after.steps.entries()) {
    const was = before.steps[index];
    assert.ok(was !== undefined);
    if (was.state === step.state) continue;
    if (step.state === "running") {
      assert.equal(was.state, "waiting");
      assert.ok(step.after.every((at) => isSettled(after.steps[at] ?? step)));
    }
    if (step.state === "undoing") assert.ok(after.isRollingBack && isUndoable(step));
    if (step.state === "done") assert.ok(was.state === "running" || was.state === "undoing");
  }
  const undoing = after.steps.filter(({ state }) => state === "undoing");
  assert.ok(undoing.length <= 1);
}
