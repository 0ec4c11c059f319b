// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { formatProblem, loadModel } from "@meridian/model";
import { largePlan, smallPlan, type ServicePlan } from "../data/plan.ts";
import { regionNets } from "../data/regions.ts";
import { changePlan } from "../reload.ts";
import type { ServerAdapter, Serving, Workload } from "./adapter.ts";
import { adapters } from "./index.ts";
import { applyChange, changeKinds, initialState, writeChangeFile } from "./meridian-changes.ts";
import { meridian, meridianFile } from "./meridian.ts";

const size = { names: 300, policies: 33, endpoints: 330, zones: 3, wildcards: 0.1 };
const plans: Readonly<Record<Workload, ServicePlan>> = {
  weighted: smallPlan("weighted", 1),
  geo: smallPlan("geo", 1),
  failover: smallPlan("failover", 1),
  static: smallPlan("weighted", 1),
  mixed: largePlan(size, 1),
};
const workloads = ["weighted", "geo", "failover", "static", "mixed"] as const;

let root = "";
before(() => (root = mkdtempSync(join(tmpdir(), "bench-servers-"))));
after(() => rmSync(root, { recursive: true, force: true }));

for (const adapter of [meridian, meridianFile]) {
  for (const workload of workloads.filter((each) => adapter.serves(each))) {
    test(`documents of ${adapter.name} for ${workload} load without a complaint`, () => {
      const loaded = load(configure(adapter, workload));
      assert.deepEqual(loaded.problems.map(formatProblem), []);
      assert.equal(loaded.model?.zones.size, plans[workload].origins.length);
    });
  }
}

test("every adapter that is no floor writes something for what it says it serves", () => {
  for (const adapter of adapters.filter((each) => each.name !== "echo")) {
    for (const workload of workloads.filter((each) => adapter.serves(each))) {
      assert.ok(readdirSync(configure(adapter, workload).folder).length > 0);
    }
  }
});

test("changePlan() rebinds one name in a hundred and changes the addresses of one pool", () => {
  const { plan, changed } = changePlan(plans.mixed, 5);
  const rebound = plan.policyOf.reduce(
    (count, policy, owner) => count + Number(policy !== plans.mixed.policyOf[owner]),
    0,
  );
  assert.ok(rebound >= 1 && rebound <= 3, `${rebound} names`);
  assert.notEqual(plan.policyOf[changed], plans.mixed.policyOf[changed]);
  const differing = plan.policies.filter((policy, at) => policy !== plans.mixed.policies[at]);
  assert.equal(differing.length, 1);
});

test("each small change leaves documents that load, and says which name it concerns", () => {
  const serving = configure(meridian, "weighted");
  const origin = serving.plan.origins[0] ?? "";
  let state = initialState;
  for (const kind of changeKinds) {
    const next = applyChange(state, kind, origin);
    assert.notDeepEqual(next.state, state, kind);
    ({ state } = next);
    const before = Number(process.hrtime.bigint());
    assert.ok(writeChangeFile(serving, state) >= before);
    const { problems, model } = load(serving);
    const errors = problems.filter(({ severity }) => severity === "error");
    assert.deepEqual(errors.map(formatProblem), [], kind);
    const names = [...(model?.records ?? [])].map((record) => record.spec.name);
    assert.equal(names.includes(next.name), next.address !== undefined, kind);
  }
});

function load({ folder }: Serving): ReturnType<typeof loadModel> {
  const documents = join(folder, "documents");
  const files = readdirSync(documents)
    .filter((name) => name.endsWith(".jsonl"))
    .map((name) => join(documents, name))
    .map((path) => ({ path, bytes: readFileSync(path) }));
  const readFile = (path: string): Uint8Array => readFileSync(path);
  return loadModel(files, { now: Date.parse("2026-01-02"), readFile });
}

function configure(adapter: ServerAdapter, workload: Workload): Serving {
  const folder = join(root, `${adapter.name}-${workload}`);
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder);
  const serving: Serving = {
    workload,
    plan: plans[workload],
    nets: regionNets(1),
    check: { port: 8080, intervalSeconds: 2, threshold: 2 },
    folder,
    port: 5353,
    controlPort: 8081,
    cores: "0",
  };
  adapter.configure(serving);
  return serving;
}
