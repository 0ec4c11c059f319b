// SPDX-License-Identifier: Apache-2.0

import assert from "node:assert/strict";
import { test } from "node:test";
import { CounterSum, FixedCounter, RCODES, SnapshotCounters } from "./counter-layout.ts";
import { WorkerCounters } from "./counters.ts";

test("gather() sums what several workers counted since the last call", () => {
  const workers = [new WorkerCounters(), new WorkerCounters()];
  const totals = new Float64Array(FixedCounter.firstRcode + RCODES);
  const sums = workers.map((worker) => new CounterSum(worker.fixedBuffer, totals));
  for (let round = 0; round < 3; round++) {
    for (const worker of workers) worker.add(FixedCounter.udpQueries);
    workers[0]?.rcode(3);
    for (const sum of sums) sum.gather();
  }
  assert.equal(totals[FixedCounter.udpQueries], 6);
  assert.equal(totals[FixedCounter.firstRcode + 3], 3);
});

test("gather() goes on where a word wraps", () => {
  const worker = new WorkerCounters();
  const words = new Uint32Array(worker.fixedBuffer);
  const totals = new Float64Array(words.length);
  const sum = new CounterSum(worker.fixedBuffer, totals);
  words[0] = 0xffff_ffff;
  sum.gather();
  worker.add(0);
  worker.add(0);
  sum.gather();
  assert.equal(totals[0], 0xffff_ffff + 2);
});

test("zones, policies, pools and endpoints have words of their own", () => {
  const shape = { zones: 2, policies: 3, pools: 4, endpoints: 5 };
  const worker = new WorkerCounters();
  worker.reshape(shape);
  worker.zone(1);
  worker.target(0, 2);
  worker.target(1, 3);
  worker.endpoint(4);
  const layout = new SnapshotCounters(shape);
  const words = new Uint32Array(worker.snapshotBuffer);
  const counted = [...words.keys()].filter((index) => words[index] !== 0);
  assert.deepEqual(counted, [
    1,
    layout.policyBase + 2,
    layout.poolBase + 3,
    layout.endpointBase + 4,
  ]);
  assert.equal(words.length, 14);
});

test("nodes, branches and audiences lie behind the endpoints", () => {
  const shape = {
    zones: 2,
    policies: 3,
    pools: 4,
    endpoints: 5,
    nodes: 6,
    branches: 7,
    audiences: 8,
  };
  const { nodeBase, branchBase, audienceBase, bytes } = new SnapshotCounters(shape);
  assert.deepEqual([nodeBase, branchBase, audienceBase, bytes], [14, 20, 27, 35 * 4]);
});
