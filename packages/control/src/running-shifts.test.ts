// SPDX-License-Identifier: Apache-2.0

// Shifts of a store that several controls share, at one of them that is cut off from it.

import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { ManualClock } from "@meridian/core";
import { slotState } from "@meridian/snapshot/surface";
import { setTimeout as sleep } from "node:timers/promises";
import { Embedded } from "./embedded.ts";
import { RunningShifts, type ShiftedSnapshot } from "./running-shifts.ts";
import type { Shift } from "./shift-effects.ts";
import { MemoryPersistence, silent } from "./testing/control-fixture.ts";
import { OverriddenWeights } from "./weights/overridden-weights.ts";

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

test("shifts and weights are brought into an overlay that was not to be had for a while", async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "meridian-shifts-"));
  t.after(() => rmSync(folder, { recursive: true }));
  const path = join(folder, "documents.yaml");
  writeFileSync(path, documents);
  const clock = new ManualClock();
  const embedded = new Embedded({
    ...{ files: [path], edge: { publish: () => {} }, logger: silent, vantage: "test" },
    ...{ persistence: new MemoryPersistence(), probing: false, allowEmpty: false, clock },
  });
  t.after(() => embedded.close());
  await embedded.start();
  const { model, world } = embedded;
  assert.ok(model !== undefined && world !== undefined);
  let isDead = false;
  const overlay: ShiftedSnapshot["overlay"] = {
    read: (slot) => embedded.overlay.read(slot),
    apply: (changes, cause) =>
      isDead
        ? Promise.reject(new Error("the verdict thread has died"))
        : embedded.overlay.apply(changes, cause),
  };
  const shifts = new RunningShifts(
    { persistence: new MemoryPersistence(), logger: silent },
    clock,
    () => ({
      ...{ model, world, overlay },
    }),
  );
  t.after(() => shifts.close());
  const adminOf = (): string => slotState(overlay.read(0)).admin;
  const until = async (wanted: string): Promise<void> => {
    while (adminOf() !== wanted) await sleep(10, undefined, { signal: t.signal });
  };
  const target = "endpoint/default/web/a";
  const common = { target, percent: 100, reason: "r", actor: "ann", expiresAtMs: 60_000 };
  isDead = true;
  await assert.rejects(shifts.add(common), /has died/);
  assert.equal(adminOf(), "active");
  isDead = false;
  await until("drained");
  // Without any that run, too: it is not taken to be in line yet.
  isDead = true;
  clock.advance(60_000);
  assert.equal(await shifts.follow("its time is over"), false);
  isDead = false;
  await until("active");

  isDead = true;
  const causes: string[] = [];
  const weighed = { ...overlay, apply: track };
  function track(...[changes, cause]: Parameters<typeof overlay.apply>): Promise<void> {
    causes.push(cause.kind);
    return overlay.apply(changes, cause);
  }
  const weights = new OverriddenWeights(
    () => ({ world, overlay: weighed }),
    () => [],
    silent,
  );
  t.after(() => weights.close());
  await weights.follow("weights");
  isDead = false;
  while (causes.length < 2) await sleep(10, undefined, { signal: t.signal });
  assert.deepEqual(causes, ["weights", "weights"]);
});

test("shifts that are over are cleared away from a store that was not to be had for a while", async (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const clock = new ManualClock();
  const over = { id: "one", target: "site/eu", percent: 100, reason: "r", actor: "ann" };
  const seen: Shift[] = [{ ...over, createdAtMs: 0, expiresAtMs: 1000 }];
  const away = (): Promise<never> => Promise.reject(new Error("the store has no quorum"));
  let attempts = 0;
  const expireShifts = (): void => {
    attempts += 1;
    if (attempts === 3) seen.length = 0;
  };
  const shared = { shifts: () => seen, putShifts: away, endShifts: away, expireShifts };
  const places = { persistence: new MemoryPersistence(), logger: silent, shared };
  const shifts = new RunningShifts(places, clock, () => undefined);
  t.after(() => shifts.close());
  clock.advance(1000);
  await shifts.follow("its time is over");
  for (const wanted of [2, 3, 3]) {
    clock.advance(60_000);
    t.mock.timers.tick(60_000);
    await Promise.resolve();
    assert.equal(attempts, wanted);
  }
});

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
