// SPDX-License-Identifier: Apache-2.0

import assert from "node:assert/strict";
import { test } from "node:test";
import { compile, worldOf } from "@meridian/control";
import { FixedCounter, TOP_NAMES_BYTES, WorkerCounters } from "@meridian/edge";
import { loadModel } from "@meridian/model";
import { World } from "@meridian/snapshot";
import { EdgeGatherer } from "./edge-gatherer.ts";

test("figures() adds up the workers, and a worker that was replaced counts on", () => {
  const gatherer = new EdgeGatherer();
  gatherer.published(1, worldWith("a", "b"));
  const [first, second] = [begin(gatherer, 0, 1), begin(gatherer, 1, 1)];
  first.add(FixedCounter.udpQueries);
  first.endpoint(0);
  second.add(FixedCounter.udpQueries);
  second.endpoint(0);
  second.endpoint(1);
  // What the first counted since it was last read must not be lost with it.
  const replaced = begin(gatherer, 0, 1);
  replaced.add(FixedCounter.udpQueries);
  replaced.endpoint(1);
  const figures = gatherer.figures();
  assert.equal(figures.totals["udp_queries"], 3);
  assert.deepEqual([...figures.endpoints], [2, 2]);
});

test("figures() goes on by name across revisions", () => {
  const gatherer = new EdgeGatherer();
  gatherer.published(1, worldWith("b", "c"));
  const worker = begin(gatherer, 0, 1);
  for (const endpoint of [0, 0, 1]) worker.endpoint(endpoint);
  worker.zone(0);
  gatherer.published(2, worldWith("a", "b"));
  const [zone] = gatherer.figures().zones;
  assert.equal(zone, 1);
  assert.deepEqual([...gatherer.figures().endpoints], [0, 2]);
});

test("figures() loses nothing of revisions that came between two looks at the counters", () => {
  const gatherer = new EdgeGatherer();
  gatherer.published(1, worldWith("a", "b"));
  const worker = begin(gatherer, 0, 1);
  worker.endpoint(0);
  gatherer.figures();
  for (const revision of [2, 3, 4]) {
    gatherer.published(revision, worldWith("a", "b"));
    serve(gatherer, worker, revision);
    worker.endpoint(1);
  }
  assert.deepEqual([...gatherer.figures().endpoints], [1, 3]);
  // In memory of the first ones.
  gatherer.published(5, worldWith("a", "b"));
  serve(gatherer, worker, 5);
  assert.deepEqual([...gatherer.figures().endpoints], [1, 3]);
});

/** What a worker does when it begins to serve a revision of one zone, one pool and two endpoints. */
function begin(gatherer: EdgeGatherer, worker: number, revision: number): WorkerCounters {
  const counters = new WorkerCounters();
  const topNames = new SharedArrayBuffer(TOP_NAMES_BYTES);
  gatherer.take({
    kind: "buffers",
    worker,
    counters: counters.fixedBuffer,
    topNames,
    log: undefined,
  });
  serve(gatherer, counters, revision, worker);
  return counters;
}

/** What it does when it serves another one. */
function serve(
  gatherer: EdgeGatherer,
  counters: WorkerCounters,
  revision: number,
  worker: number = 0,
): void {
  counters.reshape({ zones: 1, policies: 0, pools: 1, endpoints: 2 });
  gatherer.take({
    kind: "serving",
    worker,
    revision,
    counters: counters.snapshotBuffer,
    countedBefore: [0, 0, 0],
  });
}

/** A world with one pool of the members named. */
function worldWith(...members: readonly string[]): World {
  const spec = Object.fromEntries(
    members.map((name, index) => [name, { address: `192.0.2.${index + 1}` }]),
  );
  const documents = [
    ["Zone", "example.org", { origin: "example.org", nameServers: [{ name: "ns.example.net" }] }],
    ["Pool", "web", { members: spec }],
    ["Record", "www.example.org", { name: "www.example.org", pool: "web" }],
  ].map(([kind, name, body]) => ({
    apiVersion: "meridian.dev/v1alpha1",
    kind,
    metadata: { name },
    spec: body,
  }));
  const text = documents.map((document) => JSON.stringify(document)).join("\n");
  const bytes = new TextEncoder().encode(text);
  const { model } = loadModel([{ path: "test.jsonl", bytes }], { now: 0 });
  assert.ok(model !== undefined);
  const classify = (): never => assert.fail("nothing looks at where a client is");
  const { sections } = compile(model, { seed: 1, classify });
  const world = worldOf(sections, 1);
  assert.ok(world instanceof World);
  return world;
}
