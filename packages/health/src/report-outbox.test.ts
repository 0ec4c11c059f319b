// SPDX-License-Identifier: Apache-2.0

import assert from "node:assert/strict";
import { test } from "node:test";
import { unpackChangeSets, type ChangeSet } from "./change-set.ts";
import { ReportOutbox } from "./report-outbox.ts";
import { TELL_AGAIN_AFTER_MS } from "./limits.ts";
import { TransitionReader } from "./transition-batch.ts";
import type { NumberedTransition } from "./transition.ts";
import type { VerdictReport } from "./verdict-messages.ts";

const transition = (sequence: number): NumberedTransition => ({
  ...{ key: "endpoint/default/web/a", endpoint: 3, verdict: "healthy", previous: "unknown" },
  ...{ reason: "ok", vantage: "here", atMs: 7, earliestChangeMs: 0, sequence },
});

test("ReportOutbox tells changes later, in order, and at once before anything else", (context) => {
  context.mock.timers.enable({ apis: ["setTimeout"] });
  const told: string[] = [];
  const outbox = new ReportOutbox((report) => told.push(report.kind));
  outbox.send({ kind: "transitions", batch: [transition(1)] });
  outbox.send({ kind: "transitions", batch: [transition(2)] });
  assert.deepEqual(told, []);
  outbox.send({ kind: "answer", id: 1, value: true });
  assert.deepEqual(told, ["changed", "answer"]);
  outbox.send({ kind: "transitions", batch: [transition(3)] });
  assert.equal(told.length, 2);
  context.mock.timers.tick(TELL_AGAIN_AFTER_MS);
  assert.deepEqual(told, ["changed", "answer", "changed"]);
});

test("change sets and the transitions that made them are told as one message", (context) => {
  context.mock.timers.enable({ apis: ["setTimeout"] });
  const told: VerdictReport[] = [];
  const outbox = new ReportOutbox((report) => told.push(report));
  const changeSet = (sequence: number): ChangeSet => ({
    ...{ sequence, revision: 1, atMs: 7, cause: { kind: "health", text: "" } },
    keys: BigUint64Array.of(BigInt(sequence)),
    values: Uint32Array.of(sequence),
  });
  const roster = { live: [], isSettled: true };
  const all = [1, 2, 3, 4, 5, 6, 7, 8];
  for (const sequence of all) {
    outbox.send({ kind: "changed", changeSet: changeSet(sequence) });
    outbox.send({ kind: "transitions", batch: [transition(sequence)] });
  }
  outbox.send({ kind: "roster", roster });
  const [changed, last] = told;
  assert.ok(changed?.kind === "changed");
  assert.deepEqual(unpackChangeSets(changed.changes), all.map(changeSet));
  const reader = new TransitionReader();
  assert.deepEqual(
    changed.transitions.flatMap((packed) => [...reader.read(packed)]),
    all.map((sequence) => {
      const { endpoint: _endpoint, ...rest } = transition(sequence);
      return rest;
    }),
  );
  assert.deepEqual([last?.kind, told.length], ["roster", 2]);
});
