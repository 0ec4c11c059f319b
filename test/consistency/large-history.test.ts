// SPDX-License-Identifier: Apache-2.0

import assert from "node:assert/strict";
import { test } from "node:test";
import { Pcg32 } from "@meridian/core";
import { checkers } from "./checkers.ts";
import { checkLinearizableMap, searchLinearizable } from "./linearizable.ts";
import type { History, Operation, Write } from "./operation.ts";
import { largeHistory } from "./large-history.ts";

const OPERATIONS = process.env["MERIDIAN_LONG"] === "1" ? 1_000_000 : 20_000;

function historyOf(seed: number, operations: number, clients = 12, keys = 40): Operation[] {
  return [...largeHistory(new Pcg32(seed), { operations, clients, keys })];
}

/** What the store said of revisions is gone, so that only a search can explain the history. */
const withoutRevisions = (history: History): History =>
  history.map((each) => {
    if (each.kind === "read") return { ...each, versions: undefined };
    return each.kind === "write" ? { ...each, revision: undefined } : each;
  });

test(`${OPERATIONS} operations of 12 clients keep every model`, (context) => {
  const history = historyOf(1, OPERATIONS);
  for (const [model, check] of Object.entries(checkers)) {
    const before = process.cpuUsage();
    const verdict = check(history);
    const { user, system } = process.cpuUsage(before);
    context.diagnostic(`${model}: ${((user + system) / 1e6).toFixed(1)} s of CPU`);
    assert.equal(verdict.kind, "ok", model);
  }
});

test("a stale read among thousands of operations is shown by a handful", () => {
  for (let seed = 1; seed <= 4; seed++) {
    const history = historyOf(seed, 3000);
    const at = 1500 + seed * 100 + history.slice(1500 + seed * 100).findIndex(isSingleRead);
    const read = history[at]!;
    assert.ok(read.kind === "read");
    const [[key, value]] = read.values as [[string, string]];
    const older = history
      .slice(0, at)
      .filter((each): each is Write => each.kind === "write" && each.outcome === "ok")
      .filter(({ completed, values }) => completed < read.invoked - 100 && has(values, key))
      .at(-2);
    const stale = older!.values.find(([name]) => name === key)!;
    assert.notEqual(stale[1], value);
    const verdict = checkLinearizableMap(history.with(at, { ...read, values: [stale] }));
    assert.equal(verdict.kind, "violation");
    assert.ok("operations" in verdict);
    assert.ok(verdict.operations.length <= 4, verdict.text);
  }
});

test("parts of a history that only a search explains never show a violation that the whole has not", () => {
  for (let seed = 1; seed <= 40; seed++) {
    const history = withoutRevisions(historyOf(seed, 30 + seed, 4, 3));
    assert.ok(searchLinearizable(history), `seed ${seed}`);
    assert.equal(checkLinearizableMap(history).kind, "ok", `seed ${seed}`);
  }
});

function isSingleRead(operation: Operation): boolean {
  return operation.kind === "read" && operation.values.length === 1;
}

const has = (values: readonly (readonly [string, unknown])[], key: string): boolean =>
  values.some(([name]) => name === key);
