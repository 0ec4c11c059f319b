// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import { judge, type JudgeRule } from "./judge.ts";

test("judge() by more than 18 %: three of 16 vantages, two of 8 (reference vector 15)", () => {
  const rule: JudgeRule = { freshForMs: 1000, minVantages: 1, quorum: 18, inverted: false };
  for (const [vantages, good, wanted] of [
    [16, 3, "healthy"],
    [16, 2, "unhealthy"],
    [8, 2, "healthy"],
    [8, 1, "unhealthy"],
  ] as const) {
    const reports = Array.from({ length: vantages }, (_, at) => ({
      ...{ vantage: `v${at}`, atMs: 0, reason: "" },
      verdict: at < good ? ("healthy" as const) : ("unhealthy" as const),
    }));
    const { verdict } = judge(rule, "unknown", reports, 0);
    assert.equal(verdict, wanted, `${good} of ${vantages}`);
  }
});
