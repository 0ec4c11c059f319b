// SPDX-License-Identifier: Apache-2.0

import assert from "node:assert/strict";
import { test } from "node:test";
import { EdgeAnswers } from "./edge-answers.ts";

test("take() sums by revision, and what the revision before came to stays", () => {
  const answers = new EdgeAnswers();
  assert.equal(answers.rate, undefined);
  const said = { epoch: 1, elapsedMs: 500, servfail: 0, empty: 2 };
  for (const queries of [10, 20]) answers.take({ ...said, revision: 4, queries });
  answers.take({ ...said, revision: 5, queries: 8, servfail: 4 });
  assert.deepEqual(answers.before, { epoch: 1, revision: 4, queries: 30, servfail: 0, empty: 4 });
  assert.deepEqual(answers.current, { epoch: 1, revision: 5, queries: 8, servfail: 4, empty: 2 });
  assert.deepEqual(answers.rate, { queriesPerSecond: 16, servfailShare: 0.5, emptyShare: 0.25 });
});

test("an edge that is asked nothing has shares of none", () => {
  const answers = new EdgeAnswers();
  answers.take({ epoch: 1, revision: 4, elapsedMs: 0, queries: 0, servfail: 0, empty: 0 });
  assert.deepEqual(answers.rate, { queriesPerSecond: 0, servfailShare: 0, emptyShare: 0 });
});
