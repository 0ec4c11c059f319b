// SPDX-License-Identifier: Apache-2.0

// Shifts of a store that several controls share, at one of them that is cut off from it.

import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { ManualClock } from "@meridian/core";
import { slotState } from "@meridian/snapshot/surface";
import { Embedded } from "./embedded.ts";
import type { Shift } from "./shift-effects.ts";
import { MemoryPersistence, silent } from "./testing/control-fixture.ts";

const documents = `apiVersion: meridian.dev/v1alpha1
kind: Zone
metadata: { name: example.org }
spec: { origin: example.org, nameServers: [{ name: ns1.example.net }] }
---
apiVersion: meridian.dev/v1alpha1
kind: Pool
metadata: { name: web }
spec: { members: { a: { address: 192.0.2.1 }, b: { address: 192.0.2.2 } } }
---
apiVersion: meridian.dev/v1alpha1
kind: Record
metadata: { name: www }
spec: { name: www.example.org, pool: web }
`;

test("a shift that expires while the store is out of reach is over, and no other one begins", async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "meridian-shifts-"));
  t.after(() => rmSync(folder, { recursive: true }));
  const path = join(folder, "documents.yaml");
  writeFileSync(path, documents);
  // What was last seen of the store.
  const seen: Shift[] = [];
  const away = (): Promise<never> => Promise.reject(new Error("the store has no quorum"));
  const clock = new ManualClock();
  const embedded = new Embedded({
    ...{ files: [path], edge: { publish: () => {} }, logger: silent, vantage: "test" },
    ...{ persistence: new MemoryPersistence(), probing: false, allowEmpty: false, clock },
    shared: {
      ...{ contentRevision: () => 1, serials: () => [], hosts: () => new Map() },
      ...{ hostsChanged: () => {}, latchesMoved: () => {}, failback: away },
      latch: () => ({ recorded: undefined, isDownOnly: false }),
      agree: () => Promise.resolve(true),
      ...{ shifts: () => seen, putShifts: away, endShifts: away, expireShifts: () => {} },
    },
  });
  t.after(() => embedded.close());
  await embedded.start();
  const drained = (): string[] => {
    const { world, overlay } = embedded;
    if (world === undefined) return [];
    return Array.from({ length: world.pools.endpointCount }, (_, index) => index)
      .filter((index) => slotState(overlay.read(index)).admin !== "active")
      .map((index) => world.endpointName(index));
  };
  const shift = { target: "endpoint/default/web/a", percent: 100, reason: "r", actor: "ann" };
  seen.push({ ...shift, id: "one", createdAtMs: 0, expiresAtMs: 60_000 });
  await embedded.followShifts("a shift");
  assert.deepEqual(drained(), ["endpoint/default/web/a"]);
  clock.advance(60_000);
  await embedded.followShifts("its time is over");
  assert.deepEqual(drained(), []);
  // The store still has it: it stays over.
  await embedded.followShifts("once more");
  assert.deepEqual(drained(), []);
  const other = { ...shift, target: "endpoint/default/web/b", expiresAtMs: 120_000 };
  await assert.rejects(embedded.addShift(other), /no quorum/);
  assert.deepEqual(drained(), []);
});
