// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { ManualClock, key64 } from "@meridian/core";
import { Rcode } from "@meridian/dns";
import { formatAddress } from "@meridian/model";
import type { World } from "@meridian/snapshot";
import type { Publication } from "./embedded-options.ts";
import { Embedded } from "./embedded.ts";
import { HostResolver, hostNamesOf } from "./host-resolver.ts";
import {
  MemoryPersistence,
  changedSections,
  compileModel,
  modelOf,
  silent,
} from "./testing/control-fixture.ts";
import { NameServer } from "./testing/name-server.ts";

const documents = `
apiVersion: meridian.dev/v1alpha1
kind: Zone
metadata: {name: example}
spec: {origin: example.org, nameServers: [{name: ns.example.org, addresses: [192.0.2.53]}]}
---
apiVersion: meridian.dev/v1alpha1
kind: Pool
metadata: {name: resolved}
spec: {members: {one: {address: one.example.net, resolve: true}, two: {address: 192.0.2.9}}}
---
apiVersion: meridian.dev/v1alpha1
kind: Pool
metadata: {name: alias}
spec: {members: {one: {address: two.example.net}}}
---
apiVersion: meridian.dev/v1alpha1
kind: Pool
metadata: {name: apex}
spec: {members: {one: {address: three.example.net}}}
---
apiVersion: meridian.dev/v1alpha1
kind: TrafficPolicy
metadata: {name: apex}
spec: {root: all, nodes: {all: {failover: {tiers: [{branches: [{pool: apex}]}, {branches: [{name: FOUR.example.net}]}]}}}}
---
apiVersion: meridian.dev/v1alpha1
kind: Record
metadata: {name: www}
spec: {name: www.example.org, pool: resolved}
---
apiVersion: meridian.dev/v1alpha1
kind: Record
metadata: {name: alias}
spec: {name: alias.example.org, pool: alias}
---
apiVersion: meridian.dev/v1alpha1
kind: Record
metadata: {name: apex}
spec: {name: example.org, policy: apex}
`;

async function nameServer(context: TestContext): Promise<{ server: NameServer; at: string }> {
  const server = new NameServer();
  context.after(() => server.close());
  return { server, at: await server.start() };
}

/** Addresses of an endpoint in a world, as text. */
function resolvedOf(world: World | undefined, name: string): string[] {
  const endpoint = world?.pools.endpointIndexOf(key64(`endpoint/default/${name}`)) ?? -1;
  if (world === undefined || endpoint < 0) return [];
  return ([4, 6] as const).flatMap((family) =>
    Array.from({ length: world.resolvedCount(endpoint, family) }, (_, index) => {
      const bytes = new Uint8Array(family === 4 ? 4 : 16);
      world.copyResolved(endpoint, family, index, bytes, 0);
      return formatAddress(bytes);
    }),
  );
}

/** IPv4 addresses of the name that a branch at the apex points at. */
function aliasOf(world: World | undefined): string[] {
  const table = world?.policies.resolved;
  const at = table?.offsetOf(key64("host/four.example.net.")) ?? -1;
  if (table === undefined || at < 0) return [];
  return Array.from({ length: table.count(at, 4) }, (_, index) => {
    const bytes = new Uint8Array(4);
    table.copy(at, 4, index, bytes, 0);
    return formatAddress(bytes);
  });
}

test("a name is asked again when its TTL ends, and its last addresses outlive its name server", async (context) => {
  const { server, at } = await nameServer(context);
  const clock = new ManualClock();
  let changes = 0;
  const resolver = new HostResolver({ clock, servers: [at], onChange: () => changes++ });
  context.after(() => resolver.close());
  server.names.set("one.example.net.", { addresses: ["192.0.2.7", "2001:db8::7"], ttl: 30 });
  server.names.set("two.example.net.", { addresses: ["192.0.2.8"], ttl: 600 });
  server.names.set("three.example.net.", { addresses: ["192.0.2.3"], ttl: 600 });
  resolver.want(hostNamesOf(modelOf(documents)));
  await resolver.refresh();
  assert.equal(changes, 1);
  assert.deepEqual(
    [...resolver.probeAddresses()].toSorted(([a], [b]) => (a < b ? -1 : 1)),
    [
      ["one.example.net", "192.0.2.7"],
      ["three.example.net", "192.0.2.3"],
      ["two.example.net", "192.0.2.8"],
    ],
  );
  const asked = server.queries;
  clock.advance(29_000);
  await resolver.refresh();
  assert.equal(server.queries, asked);
  clock.advance(1000);
  await resolver.refresh();
  assert.equal(server.queries, asked + 2);
  assert.equal(changes, 1);
  server.names.set("one.example.net.", { rcode: Rcode.REFUSED });
  clock.advance(30_000);
  await resolver.refresh();
  assert.equal(changes, 1);
  assert.match(
    resolver
      .conditions()
      .map(({ message }) => message)
      .join(),
    /^Cannot resolve "one.example.net": EREFUSED; answered by 192.0.2.7, 2001:db8::7 of 30 s ago/,
  );
  clock.advance(24 * 3_600_000);
  await resolver.refresh();
  assert.equal(changes, 2);
  assert.deepEqual(resolver.addresses().get("one.example.net"), { ipv4: [], ipv6: [] });
});

test("compile() keeps addresses for members that are resolved or stand at an apex, in one section", () => {
  const model = modelOf(documents);
  const address = (last: number): { ipv4: Uint8Array[]; ipv6: Uint8Array[] } => ({
    ipv4: [new Uint8Array([192, 0, 2, last])],
    ipv6: [],
  });
  const hosts = (last: number): Map<string, ReturnType<typeof address>> =>
    new Map(["one", "two", "three"].map((name) => [`${name}.example.net`, address(last)]));
  const none = compileModel(model).sections;
  const first = compileModel(model, { hosts: hosts(1) }).sections;
  const second = compileModel(model, { hosts: hosts(2) }).sections;
  assert.deepEqual([none.length + 1, first.length], [first.length, second.length]);
  assert.equal(changedSections(none, first), 1);
  assert.equal(changedSections(first, second), 1);
});

test("a change of addresses publishes a revision in which that section alone differs; a restart keeps them", async (context) => {
  const { server, at } = await nameServer(context);
  const folder = mkdtempSync(join(tmpdir(), "meridian-hosts-"));
  context.after(() => rmSync(folder, { recursive: true }));
  writeFileSync(join(folder, "model.yaml"), documents);
  const persistence = new MemoryPersistence();
  const start = async (): Promise<{ embedded: Embedded; published: Publication[] }> => {
    const published: Publication[] = [];
    const embedded = new Embedded({
      files: [folder],
      edge: { publish: (publication) => published.push(publication) },
      logger: silent,
      persistence,
      nameServers: [at],
      probing: false,
      allowEmpty: false,
      vantage: "test",
    });
    context.after(() => embedded.close());
    await embedded.start();
    return { embedded, published };
  };
  server.names.set("one.example.net.", { addresses: ["192.0.2.7"], ttl: 5 });
  server.names.set("three.example.net.", { addresses: ["192.0.2.3", "2001:db8::3"], ttl: 600 });
  server.names.set("four.example.net.", { addresses: ["192.0.2.4"], ttl: 600 });
  const first = await start();
  await until(() => resolvedOf(first.embedded.world, "resolved/one").length > 0);
  assert.deepEqual(resolvedOf(first.embedded.world, "resolved/one"), ["192.0.2.7"]);
  assert.deepEqual(resolvedOf(first.embedded.world, "apex/one"), ["192.0.2.3", "2001:db8::3"]);
  assert.deepEqual(resolvedOf(first.embedded.world, "alias/one"), []);
  assert.deepEqual(aliasOf(first.embedded.world), ["192.0.2.4"]);
  const [before, after] = persistence.revisions;
  assert.ok(before !== undefined && after !== undefined);
  assert.equal(persistence.revisions.length, 2);
  assert.equal(changedSections(before.sections, after.sections), 1);
  assert.equal(after.sections.length, before.sections.length + 1);
  assert.equal(first.published.at(-1)?.revision, after.revision);
  assert.match(first.embedded.conditions()[0]?.message ?? "", /"two.example.net": ENOTFOUND/);
  await first.embedded.close();
  server.names.clear();
  const second = await start();
  assert.deepEqual(resolvedOf(second.embedded.world, "resolved/one"), ["192.0.2.7"]);
  await until(() => second.embedded.conditions().length === 4);
  assert.deepEqual(aliasOf(second.embedded.world), ["192.0.2.4"]);
  assert.deepEqual(resolvedOf(second.embedded.world, "apex/one"), ["192.0.2.3", "2001:db8::3"]);
  assert.equal(persistence.revisions.length, 2);
});

async function until(isDone: () => boolean): Promise<void> {
  const deadline = performance.now() + 60_000;
  while (!isDone()) {
    assert.ok(performance.now() < deadline, "it happens within a minute");
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
