// SPDX-License-Identifier: Apache-2.0

import assert from "node:assert/strict";
import { test } from "node:test";
import { unpackChangeSets, type ChangeSet } from "./change-set.ts";
import { PACKED_MIN } from "./limits.ts";
import { ReportOutbox } from "./report-outbox.ts";
import { SentTransitions } from "./transition-batch.ts";
import type { Transition } from "./transition.ts";
import type { VerdictReport } from "./verdict-messages.ts";

test("ReportOutbox tells changes later, in order, and at once before anything else", (context) => {
  context.mock.timers.enable({ apis: ["setTimeout"] });
  const told: string[] = [];
  const outbox = new ReportOutbox((report) => told.push(report.kind));
  outbox.send({ kind: "transitions", batch: [] });
  outbox.send({ kind: "transitions", batch: [] });
  assert.deepEqual(told, []);
  outbox.send({ kind: "answer", id: 1, value: true });
  assert.deepEqual(told, ["transitions", "transitions", "answer"]);
  outbox.send({ kind: "transitions", batch: [] });
  assert.equal(told.length, 3);
  context.mock.timers.tick(5);
  assert.deepEqual(told, ["transitions", "transitions", "answer", "transitions"]);
});

test("many transitions are told as one batch, after the change sets that they made", (context) => {
  context.mock.timers.enable({ apis: ["setTimeout"] });
  const told: VerdictReport[] = [];
  const outbox = new ReportOutbox((report) => told.push(report));
  const transition = (sequence: number): Transition => ({
    ...{ key: "endpoint/default/web/a", verdict: "healthy", previous: "unknown", reason: "ok" },
    ...{ vantage: "here", atMs: 7, earliestChangeMs: 0, sequence },
  });
  const changeSet = (sequence: number): ChangeSet => ({
    ...{ sequence, revision: 1, atMs: 7, cause: { kind: "health", text: "" } },
    keys: BigUint64Array.of(BigInt(sequence)),
    values: Uint32Array.of(sequence),
  });
  const roster = { live: [], isSettled: true };
  const all = Array.from({ length: PACKED_MIN }, (_, at) => at + 1);
  for (const sequence of all) {
    outbox.send({ kind: "changed", changeSet: changeSet(sequence) });
    outbox.send({ kind: "transitions", batch: [transition(sequence)] });
  }
  outbox.send({ kind: "roster", roster });
  const [changes, transitions, last] = told;
  assert.ok(changes?.kind === "packed changes" && transitions?.kind === "packed transitions");
  assert.deepEqual(unpackChangeSets(changes.packed), all.map(changeSet));
  assert.deepEqual([...new SentTransitions(transitions.batch)], all.map(transition));
  assert.deepEqual([last?.kind, told.length], ["roster", 3]);
});
