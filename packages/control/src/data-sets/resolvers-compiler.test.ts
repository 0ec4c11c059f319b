// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { MeridianError } from "@meridian/core";
import { worldOf } from "@meridian/snapshot";
import { explain, parseClient } from "@meridian/snapshot/surface";
import { compileModel, modelOf } from "../testing/control-fixture.ts";
import { DataSets } from "./data-sets.ts";
import { resolversCompiler } from "./resolvers-compiler.ts";

function documents(folder: string): string {
  return `
apiVersion: meridian.dev/v1alpha1
kind: DataSet
metadata: {name: zz}
spec: {resolvers: {path: ${join(folder, "zz.csv")}}}
---
apiVersion: meridian.dev/v1alpha1
kind: DataSet
metadata: {name: aa}
spec: {resolvers: {path: ${join(folder, "aa.csv")}}}
---
apiVersion: meridian.dev/v1alpha1
kind: Zone
metadata: {name: example}
spec: {origin: example.org, nameServers: [{name: ns.example.net}]}
---
apiVersion: meridian.dev/v1alpha1
kind: Pool
metadata: {name: near}
spec: {members: {one: {address: one.example.net}}}
---
apiVersion: meridian.dev/v1alpha1
kind: Pool
metadata: {name: far}
spec: {members: {two: {address: two.example.net, resolve: true}}}
---
apiVersion: meridian.dev/v1alpha1
kind: TrafficPolicy
metadata: {name: p}
spec: {root: r, nodes: {r: {subnet: {branches: [{pool: near, prefixes: [203.0.113.0/24]}, {pool: far, default: true}]}}}}
---
apiVersion: meridian.dev/v1alpha1
kind: Record
metadata: {name: apex}
spec: {name: example.org, policy: p}
---
apiVersion: meridian.dev/v1alpha1
kind: Record
metadata: {name: www}
spec: {name: www.example.org, policy: p}
`;
}

function folderWith(context: TestContext, files: Readonly<Record<string, string>>): string {
  const folder = mkdtempSync(join(tmpdir(), "meridian-resolvers-"));
  context.after(() => rmSync(folder, { recursive: true }));
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text);
  return folder;
}

test("explain() says that a data set put a resolver's clients somewhere, and what host names resolved to", (context) => {
  const folder = folderWith(context, {
    "aa.csv": "resolver-prefix,client-prefix\n192.0.2.0/24,198.51.100.0/24\n",
    // Data sets are taken in the order of their names: the last one counts.
    "zz.csv": "192.0.2.0/24,203.0.113.0/24\n",
  });
  const model = modelOf(documents(folder));
  const hosts = new Map([
    ["one.example.net", { ipv4: [new Uint8Array([192, 0, 2, 7])], ipv6: [] }],
    ["two.example.net", { ipv4: [new Uint8Array([192, 0, 2, 8])], ipv6: [] }],
  ]);
  const { sections } = compileModel(model, { hosts, resolvers: resolversCompiler(new DataSets()) });
  const world = worldOf(sections, 1);
  assert.ok(typeof world !== "string");
  const ask = (name: string, from: string): unknown[] => {
    const resolver = parseClient(from);
    assert.ok(resolver !== undefined);
    const view = {
      world,
      slots: world.initialSlots(),
      model: undefined,
      revision: 1,
      sequence: 1,
    };
    const explained = explain(view, { name, type: "A", resolver, nowSeconds: 1 });
    return [
      explained?.client?.from,
      explained?.answer.map((line) => line.replace(/ [0-9]+ /, " ")),
    ];
  };
  const placed = "where a data set puts the clients of the resolver";
  assert.deepEqual(ask("www.example.org", "192.0.2.53"), [
    placed,
    ["www.example.org. CNAME one.example.net."],
  ]);
  assert.deepEqual(ask("example.org", "192.0.2.53"), [
    placed,
    ["example.org. A 192.0.2.7 (endpoint/default/near/one)"],
  ]);
  assert.deepEqual(ask("www.example.org", "192.0.3.53"), [
    "the resolver's address",
    ["www.example.org. A 192.0.2.8 (endpoint/default/far/two)"],
  ]);
});

test("compile() refuses a data set of resolvers that cannot be read", (context) => {
  const folder = folderWith(context, { "aa.csv": "", "zz.csv": "192.0.2.0/24,nowhere\n" });
  const model = modelOf(documents(folder));
  assert.throws(
    () => compileModel(model, { resolvers: resolversCompiler(new DataSets()) }),
    (error: unknown) =>
      error instanceof MeridianError &&
      error.message.includes('line 1 is "192.0.2.0/24,nowhere", expected'),
  );
});
