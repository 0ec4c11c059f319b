// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import { formatProblem, loadModel } from "../index.ts";

function problemsOf(spec: object): string {
  const text = JSON.stringify({
    apiVersion: "meridian.dev/v1alpha1",
    kind: "HealthCheck",
    metadata: { name: "web" },
    spec,
  });
  const { problems } = loadModel([{ path: "a.json", bytes: Buffer.from(text) }], {
    now: 0,
    readFile: () => undefined,
  });
  return problems
    .filter(({ severity }) => severity === "error")
    .map(formatProblem)
    .join("\n");
}

test("a time-out as long as the interval, and a path of what has none, are refused (reference vector 20)", () => {
  const tcp = { interval: "10s", tcp: {} };
  assert.equal(problemsOf({ ...tcp, timeout: "9s" }), "");
  assert.match(problemsOf({ ...tcp, timeout: "10s" }), /timeout is .*expected less than interval/);
  assert.match(problemsOf({ ...tcp, tcp: { path: "/" } }), /path/);
  assert.match(problemsOf({ ...tcp, http: { path: "/" } }), /exactly one of/);
});
