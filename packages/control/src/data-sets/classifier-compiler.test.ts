// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { type Model, loadModel } from "@meridian/model";
import { Classifier, LocationMap, openSection, type Section } from "@meridian/snapshot";
import type { WrittenSection } from "@meridian/snapshot/writer";
import { clientOf, orderOf } from "../policies/classify-sample.ts";
import { classifierCompiler } from "./classifier-compiler.ts";
import { DataSets } from "./data-sets.ts";

const documents = (latency: string): string => `
apiVersion: meridian.dev/v1alpha1
kind: Site
metadata: {name: eu}
spec: {coordinates: {latitude: 50.1, longitude: 8.7}}
---
apiVersion: meridian.dev/v1alpha1
kind: Site
metadata: {name: us}
spec: {coordinates: {latitude: 39.0, longitude: -77.5}}
---
apiVersion: meridian.dev/v1alpha1
kind: DataSet
metadata: {name: rtt}
spec: {latency: {path: ${latency}}}
---
apiVersion: meridian.dev/v1alpha1
kind: Pool
metadata: {name: a}
spec: {members: {one: {address: 192.0.2.1}}}
---
apiVersion: meridian.dev/v1alpha1
kind: TrafficPolicy
metadata: {name: p}
spec:
  root: where
  nodes:
    where:
      geo: {branches: [{node: near, continents: [EU]}, {node: quick, default: true}]}
    near:
      proximity: {branches: [{pool: a, site: us}, {pool: a, site: eu, bias: 10}]}
    quick:
      latency: {dataSet: rtt, branches: [{pool: a, site: us}, {node: office, site: eu}]}
    office:
      subnet: {branches: [{pool: a, prefixes: [198.51.100.0/24]}, {node: carrier, default: true}]}
    carrier:
      asn: {dataSet: carriers, branches: [{pool: a, asns: [64500]}, {pool: a, default: true}]}
---
apiVersion: meridian.dev/v1alpha1
kind: DataSet
metadata: {name: carriers}
spec: {asn: {path: carriers.csv}}
`;

function open(written: WrittenSection): Section {
  const section = openSection(written.buffer);
  assert.ok(!("error" in section), "the section opens");
  return section;
}

/** Best-first branches of each node of the policy, for the client given. */
function decide(
  model: Model,
  addresses: Readonly<Record<string, string>>,
): Record<string, number[]> {
  const compile = classifierCompiler(new DataSets());
  const nodes = model.policy("default", "p")?.spec.nodes ?? {};
  const decided: Record<string, number[]> = {};
  for (const [name, address] of Object.entries(addresses)) {
    const node = nodes[name];
    assert.ok(node !== undefined, name);
    const { classifier, maps } = compile(model, node);
    const opened = new Map(
      maps.map((map): [bigint, LocationMap] => [map.key, LocationMap.open(open(map))]),
    );
    const reader = Classifier.open(open(classifier), (key) => opened.get(key));
    assert.equal(reader.missingMap, undefined);
    decided[name] = orderOf(reader, clientOf(address));
  }
  return decided;
}

describe("classifierCompiler()", () => {
  it("compiles each kind of node from a model and its data sets", () => {
    const folder = mkdtempSync(join(tmpdir(), "meridian-data-"));
    try {
      writeFileSync(join(folder, "rtt.csv"), "203.0.113.0/24,us,10\n203.0.113.0/24,eu,90\n");
      writeFileSync(join(folder, "carriers.csv"), "203.0.113.0/24,64500\n");
      const file = { path: join(folder, "all.yaml"), bytes: Buffer.from(documents("rtt.csv")) };
      const { model, problems } = loadModel([file], { now: 0 });
      assert.ok(model !== undefined, JSON.stringify(problems));
      // 8.8.8.8 is in the United States in any country database.
      const addresses = {
        where: "8.8.8.8",
        near: "8.8.8.8",
        quick: "203.0.113.9",
        office: "198.51.100.7",
        carrier: "203.0.113.9",
      };
      const wanted = { where: [1], near: [0, 1], quick: [0, 1], office: [0, 1], carrier: [0, 1] };
      assert.deepEqual(decide(model, addresses), wanted);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});
