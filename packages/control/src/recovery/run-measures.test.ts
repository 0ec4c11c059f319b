// SPDX-License-Identifier: Apache-2.0

// What controls make of what edges say of a move, whoever leads, with a store that all of them see.

import assert from "node:assert/strict";
import { test } from "node:test";
import type { StateWrite } from "../state/state-documents.ts";
import { silent } from "../testing/control-fixture.ts";
import { ITSELF, RunMeasures, type AnsweringEdges } from "./run-measures.ts";
import type { RecoveryRun } from "./run-state.ts";

const movedAtMs = 1_000_000;
const run: RecoveryRun = {
  ...{ id: "aa", namespace: "default", plan: "away", mode: "graceful", state: "completed" },
  ...{ isRollingBack: false, actor: "ann", reason: "x", createdAtMs: movedAtMs - 900 },
  ...{ sinceMs: movedAtMs - 1000, detectedAtMs: movedAtMs - 900, endedAtMs: movedAtMs },
  ...{ movedAtMs, isMeasured: false, names: ["www.example.org"], touches: [], steps: [] },
  events: [],
};

/** What all controls see. */
class SharedMarks {
  readonly #marks = new Map<string, string>();

  get(
    _kind: string,
    name: string,
  ): { readonly text: string; readonly revision: number } | undefined {
    const text = this.#marks.get(name);
    return text === undefined ? undefined : { text, revision: 1 };
  }

  *all(): Generator<{ readonly name: string; readonly text: string }> {
    for (const [name, text] of this.#marks) yield { name, text };
  }

  async write(writes: readonly StateWrite[]): Promise<boolean> {
    for (const { name, text = "" } of writes) this.#marks.set(name, text);
    return true;
  }
}

/** A control with its edges. */
class Control {
  readonly measures: RunMeasures;
  nowMs = movedAtMs;
  edges: AnsweringEdges = new Map();
  isGreen: boolean | undefined = true;
  isServed = true;
  expected: readonly string[] | undefined = [];
  marks = 0;

  constructor(state: SharedMarks, name: string) {
    const isServed = (): boolean => this.isServed;
    this.measures = new RunMeasures({
      ...{ state, name, logger: silent },
      traffic: {
        ttlMs: () => 3000,
        isGreen: () => this.isGreen,
        get isServed() {
          return isServed();
        },
      },
      expected: () => this.expected,
      propagated: async () => this.edges,
      onMark: () => this.marks++,
      nowMs: () => this.nowMs,
    });
  }

  /** Looks, and waits until it has said what there is to say. */
  async look(nowMs: number, edges: AnsweringEdges): Promise<void> {
    this.nowMs = nowMs;
    this.edges = edges;
    assert.ok(this.measures.look([run]));
    await new Promise((resolve) => {
      setImmediate(resolve);
    });
  }
}

const at = (ms: number): number => movedAtMs + ms;

test("propagation ends when the last edge had a move, whoever heard of it, and when", async () => {
  const state = new SharedMarks();
  const [a, b] = [new Control(state, "a"), new Control(state, "b")];
  assert.equal(a.measures.propagatedAtMs(run), undefined);
  await a.look(at(50), new Map([["e0", 10]]));
  assert.equal(a.measures.propagatedAtMs(run), at(40));
  // An edge of a control that died has had it for a while, and comes to another one.
  await b.look(
    at(1900),
    new Map([
      ["e1", 1800],
      ["e2", 1750],
    ]),
  );
  assert.equal(a.measures.propagatedAtMs(run), at(150));
  // One control began anew: it hears of nothing that it has not said.
  const again = new Control(state, "b");
  await again.look(at(2500), new Map([["e1", 2400]]));
  assert.equal(again.marks, 0);
  assert.equal(again.measures.propagatedAtMs(run), at(150));
  // One more comes that was cut off, and had it later.
  await again.look(
    at(4000),
    new Map([
      ["e1", 200],
      ["e3", 1000],
    ]),
  );
  assert.equal(a.measures.propagatedAtMs(run), at(3000));
});

test("no edge had a move before it was there, nor later than now", async () => {
  const state = new SharedMarks();
  const control = new Control(state, "a");
  await control.look(
    at(100),
    new Map([
      ["old", Infinity],
      ["nonsense", 4_000_000_000],
      ["fast", -50],
    ]),
  );
  assert.equal(control.measures.propagatedAtMs(run), at(100));
  const other = new Control(state, "b");
  await other.look(at(100), new Map([["old", Infinity]]));
  const mark = state.get("RecoveryMark", "default/away/aa/b")?.text;
  assert.deepEqual(JSON.parse(mark ?? ""), { movedAtMs, atMs: movedAtMs, edges: ["old"] });
});

test("a server that answers itself and was started anew is not late by that", async () => {
  const state = new SharedMarks();
  await new Control(state, "a").look(at(20), new Map([[ITSELF, 0]]));
  const again = new Control(state, "a");
  await again.look(at(3000), new Map([[ITSELF, 0]]));
  assert.equal(again.measures.propagatedAtMs(run), at(20));
});

test("who leads next takes over what was known of TTLs and health", async () => {
  const state = new SharedMarks();
  const [led, leads] = [new Control(state, "a"), new Control(state, "b")];
  leads.isGreen = false;
  await leads.look(at(10), new Map());
  leads.isGreen = true;
  await leads.look(at(900), new Map());
  // It has not looked, and led until now.
  await led.look(at(30), new Map([["e0", 0]]));
  leads.expected = ["e0", "e1"];
  const taken = leads.measures.measured(run, at(5000));
  assert.deepEqual(
    { drainMs: taken.drainMs, greenAtMs: taken.greenAtMs, isMeasured: taken.isMeasured },
    { drainMs: 3000, greenAtMs: at(900), isMeasured: false },
  );
  // Not yet judged is not bad; nothing served is no TTL.
  leads.isGreen = undefined;
  assert.equal(leads.measures.measured(taken, at(5500)), taken);
  const fresh = new Control(state, "c");
  fresh.isServed = false;
  fresh.isGreen = undefined;
  const unknown = fresh.measures.measured(run, at(8000));
  assert.deepEqual(
    [unknown.drainMs, unknown.greenAtMs, unknown.isMeasured],
    [undefined, undefined, false],
  );
  // An edge that nobody has heard of may answer as before: it is waited for, though not for ever.
  assert.equal(leads.measures.measured(taken, at(29_999)).isMeasured, false);
  assert.equal(leads.measures.measured(taken, at(30_000)).isMeasured, true);
  leads.expected = undefined;
  assert.equal(leads.measures.measured(taken, at(7000)).isMeasured, false);
  leads.expected = ["e0"];
  assert.equal(leads.measures.measured(taken, at(3029)).isMeasured, false);
  assert.equal(leads.measures.measured(taken, at(3030)).isMeasured, true);
  leads.isGreen = false;
  assert.equal(leads.measures.measured(taken, at(7000)).greenAtMs, undefined);
});
