// SPDX-License-Identifier: Apache-2.0

import assert from "node:assert/strict";
import { test } from "node:test";
import { ReportOutbox } from "./report-outbox.ts";

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
