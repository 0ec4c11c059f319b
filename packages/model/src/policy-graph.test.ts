// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { parse } from "yaml";
import {
  backoutOf,
  branchesOf,
  loadModel,
  parseDocument,
  reachableNodes,
  reachablePools,
} from "./index.ts";
import { findCycle } from "./policy-graph.ts";

const { documents } = parseDocument(
  parse(`
apiVersion: meridian.dev/v1alpha1
kind: TrafficPolicy
metadata: { name: web }
spec:
  root: a
  nodes:
    a: { failover: { tiers: [{ branches: [{ pool: p }, { node: b }] }, { branches: [{ node: b }] }] } }
    b: { weighted: { branches: [{ pool: q, weight: 1 }] }, onAllUnhealthy: fallback, fallback: { pool: r } }
    c: { roundRobin: { branches: [{ pool: s }] } }
`),
  { file: "a", line: 1 },
);
const [policy] = documents;
assert.ok(policy?.kind === "TrafficPolicy");
const { spec } = policy;

test("branchesOf() numbers the branches of all tiers in one order", () => {
  const node = spec.nodes["a"];
  assert.ok(node !== undefined);
  assert.deepEqual(
    branchesOf(node).map(({ index, tier, path }) => `${index} ${tier} ${path.join(".")}`),
    [
      "0 0 failover.tiers.0.branches.0",
      "1 0 failover.tiers.0.branches.1",
      "2 1 failover.tiers.1.branches.0",
    ],
  );
});

test("what is reached from the root, fallbacks included", () => {
  assert.deepEqual([...reachableNodes(spec)].toSorted(), ["a", "b"]);
  assert.deepEqual([...reachablePools(spec)].toSorted(), ["p", "q", "r"]);
});

test("backoutOf() is open at the root and parent below unless a node says", () => {
  assert.deepEqual(
    ["a", "b", "c"].map((name) => backoutOf(spec, name)),
    ["open", "fallback", "parent"],
  );
});

test("findCycle() finds a way back exactly where there is one", () => {
  const graph = fc.array(fc.array(fc.nat(7), { maxLength: 3 }), { minLength: 8, maxLength: 8 });
  fc.assert(
    fc.property(graph, (edges) => {
      const next = (name: string): string[] => (edges[Number(name)] ?? []).map(String);
      const names = edges.map((_, index) => String(index));
      const cycle = findCycle(names, next);
      assert.equal(
        cycle !== undefined,
        names.some((name) => reaches(name, name, next)),
      );
      if (cycle === undefined) return;
      assert.equal(cycle[0], cycle.at(-1));
      for (const [at, name] of cycle.slice(0, -1).entries()) {
        assert.ok(next(name).includes(cycle[at + 1] ?? ""));
      }
    }),
  );
});

/** The slow way: every node that can be walked to. */
function reaches(from: string, to: string, next: (name: string) => string[]): boolean {
  const seen = new Set<string>();
  const waiting = next(from);
  for (let name = waiting.pop(); name !== undefined; name = waiting.pop()) {
    if (name === to) return true;
    if (!seen.has(name)) waiting.push(...next(name));
    seen.add(name);
  }
  return false;
}

test("a policy whose shared children multiply is refused", () => {
  const nodes = Array.from({ length: 15 }, (_, level) => {
    const target = level === 14 ? "{ pool: p }" : `{ node: n${level + 1} }`;
    return `    n${level}: { roundRobin: { branches: [${target}, ${target}] } }`;
  });
  const text = `apiVersion: meridian.dev/v1alpha1
kind: TrafficPolicy
metadata: { name: wide }
spec:
  root: n0
  nodes:
${nodes.join("\n")}
---
apiVersion: meridian.dev/v1alpha1
kind: Pool
metadata: { name: p }
spec: { members: { a: { address: 192.0.2.1 } } }
`;
  const { problems } = loadModel([{ path: "a.yaml", bytes: Buffer.from(text) }], { now: 0 });
  const error = problems.find(({ severity }) => severity === "error");
  assert.equal(error?.code, "policy-too-wide");
  assert.match(error?.message ?? "", /32768 ways to a leaf.*at most 16384/);
});
