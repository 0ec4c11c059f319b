// SPDX-License-Identifier: Apache-2.0

// Each checker says of small random histories what its definition says.

import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import fc from "fast-check";
import { checkCausal } from "./causal.ts";
import { searchLinearization, type Step } from "./linearization-search.ts";
import { checkLinearizableMap, searchLinearizable } from "./linearizable.ts";
import { checkMonotonicReads } from "./monotonic-reads.ts";
import { checkMonotonicWrites } from "./monotonic-writes.ts";
import type { History, Operation, Verdict } from "./operation.ts";
import { checkReadYourWrites } from "./read-your-writes.ts";
import { contradictionOf } from "./revision-witness.ts";
import {
  isCausal,
  isExplainedByRevisions,
  isLinearizable,
  readsItsWrites,
  readsMonotonically,
  writesMonotonically,
} from "./twins/brute-force.ts";
import { smallHistory, type SmallHistoryOptions } from "./twins/small-history.ts";

const RUNS = process.env["MERIDIAN_LONG"] === "1" ? 50_000 : 1500;

const strong: SmallHistoryOptions = {
  operationsMax: 6,
  cells: ["x"],
  keys: ["a", "b"],
  processes: 3,
  level: "strong",
};
const session: SmallHistoryOptions = {
  ...strong,
  operationsMax: 8,
  processes: 2,
  level: "session",
};
const cells: SmallHistoryOptions = { ...session, cells: ["x", "y"], keys: ["a"], processes: 3 };

/** Says how many histories were right and wrong: a property over only one kind proves little. */
function agree(
  context: TestContext,
  options: SmallHistoryOptions,
  found: (history: History) => boolean,
  wanted: (history: History) => boolean,
  isPossible: (history: History) => boolean = () => true,
): void {
  const counts = { right: 0, wrong: 0 };
  fc.assert(
    fc.property(smallHistory(options).filter(isPossible), (history) => {
      const isRight = wanted(history);
      counts[isRight ? "right" : "wrong"]++;
      assert.equal(found(history), isRight);
    }),
    { numRuns: RUNS },
  );
  context.diagnostic(`${counts.right} right, ${counts.wrong} wrong histories`);
  assert.ok(counts.right > RUNS / 20 && counts.wrong > RUNS / 150);
}

const isOk = (verdict: Verdict): boolean => {
  assert.notEqual(verdict.kind, "undecided");
  return verdict.kind === "ok";
};

test("linearizable: revisions, parts and search together say what every order says", (context) => {
  agree(context, strong, (history) => isOk(checkLinearizableMap(history)), isLinearizable);
});

test("linearizable: the search alone says what every order says", (context) => {
  agree(context, strong, searchLinearizable, isLinearizable);
});

test("linearizable: the revisions explain a history iff some order that keeps theirs does", (context) => {
  const stepsOf = (history: History): Step[] =>
    history.filter((each) => each.kind === "read" || each.kind === "write");
  agree(
    context,
    strong,
    (history) => contradictionOf(stepsOf(history)) === undefined,
    (history) => isExplainedByRevisions(stepsOf(history)),
  );
});

test("linearizable: what a violation shows is impossible by itself", () => {
  fc.assert(
    fc.property(smallHistory({ ...strong, operationsMax: 9 }), (history) => {
      const verdict = checkLinearizableMap(history);
      if (verdict.kind !== "violation") return;
      const steps = verdict.operations.filter(
        (each): each is Step => each.kind === "read" || each.kind === "write",
      );
      const start = verdict.text.includes("whatever stood there before") ? "any" : "empty";
      const result = searchLinearization(steps, { start, configurationsMax: 100_000 });
      assert.equal(result.kind, "none");
    }),
    { numRuns: RUNS },
  );
});

test("read your writes: as the definition", (context) => {
  agree(context, session, (history) => isOk(checkReadYourWrites(history)), readsItsWrites);
});

test("monotonic reads: as the definition", (context) => {
  agree(context, session, (history) => isOk(checkMonotonicReads(history)), readsMonotonically);
});

test("monotonic writes: as the definition", (context) => {
  agree(context, session, (history) => isOk(checkMonotonicWrites(history)), writesMonotonically);
});

test("causal: as the definition, over two cells", (context) => {
  // The checker goes through a history in time; what no clock can record, a read that ends before its write begins, is not for it.
  agree(context, cells, (history) => isOk(checkCausal(history)), isCausal, isRecordable);
});

function isRecordable(history: History): boolean {
  return history.every(
    (read) =>
      read.kind !== "read" ||
      read.values.every(([key, value]) => value === null || isBegun(history, read, key, value)),
  );
}

function isBegun(history: History, read: Operation, key: string, value: string): boolean {
  return history.some(
    (write) =>
      write.kind === "write" &&
      write.cell === read.cell &&
      write.invoked < read.completed &&
      write.values.some(([name, written]) => name === key && written === value),
  );
}
