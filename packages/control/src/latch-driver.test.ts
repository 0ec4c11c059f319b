// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import { Admin, PER_MILLE, Verdict, endpointSlot } from "@meridian/snapshot";
import { declaredLatches } from "./declared-latches.ts";
import { worldOf } from "@meridian/snapshot";
import { LatchDriver } from "@meridian/health";
import { OverlayDriver } from "@meridian/health";
import { compileModel, modelOf } from "./testing/control-fixture.ts";

const header = "apiVersion: meridian.dev/v1alpha1\nkind:";
const GOOD = endpointSlot(Verdict.healthy, Admin.active, PER_MILLE, PER_MILLE, 5);
const BAD = endpointSlot(Verdict.unhealthy, Admin.active, PER_MILLE, PER_MILLE, 4);

const documents = (holdFor: string, members: string): string =>
  [
    `${header} HealthCheck\nmetadata: {name: c}\nspec: {tcp: {port: 80}}\n`,
    `${header} Pool\nmetadata: {name: one}\nspec: {healthCheck: c, members: {m: {address: 192.0.2.1}}}\n`,
    `${header} Pool\nmetadata: {name: two}\nspec: {healthCheck: c, members: {${members}}}\n`,
    `${header} TrafficPolicy\nmetadata: {name: p}\nspec: {root: f, nodes: {f: {failover: {failback: hold, holdFor: ${holdFor}, tiers: [{branches: [{pool: one}]}, {branches: [{pool: two}]}]}}}}\n`,
  ].join("---\n");

test("a hold goes on over a reload of something else, and starts anew where the node is another", () => {
  let nowMs = 0;
  const overlay = new OverlayDriver({
    wallMs: () => 0,
    onChangeSet: ({ cause }) => {
      if (cause.kind === "health") latches.step();
    },
  });
  const latches = new LatchDriver(overlay, () => nowMs);
  let revision = 0;
  const load = (holdFor: string, members: string): void => {
    const model = modelOf(documents(holdFor, members));
    const world = worldOf(compileModel(model).sections, 1);
    assert.ok(typeof world === "object");
    latches.pause();
    overlay.adopt(world, ++revision);
    latches.adopt(world, declaredLatches(model));
  };
  const set = (slot: number, value: number): void => {
    overlay.apply([{ slot, value }], { kind: "health", text: "" });
  };
  const tier = (): number | undefined => latches.latches()[0]?.tier;
  load("60s", "m: {address: 192.0.2.2}");
  set(0, GOOD);
  set(1, GOOD);
  set(0, BAD);
  assert.equal(tier(), 2);
  set(0, GOOD);
  nowMs = 59_000;
  load("60s", "m: {address: 192.0.2.2}, n: {address: 192.0.2.3}");
  latches.step();
  assert.equal(tier(), 2);
  nowMs = 60_000;
  latches.step();
  assert.equal(tier(), 1);

  set(0, BAD);
  assert.equal(tier(), 2);
  set(0, GOOD);
  nowMs = 100_000;
  load("61s", "m: {address: 192.0.2.2}");
  nowMs = 130_000;
  latches.step();
  assert.equal(tier(), 2);
  latches.close();
  overlay.close();
});

test("a latch that another control decides on goes down at once, and back only as recorded", () => {
  let nowMs = 0;
  const overlay = new OverlayDriver({
    wallMs: () => 0,
    onChangeSet: ({ cause }) => {
      if (cause.kind === "health") latches.step();
    },
  });
  const latches = new LatchDriver(overlay, () => nowMs);
  const model = modelOf(documents("60s", "m: {address: 192.0.2.2}"));
  const world = worldOf(compileModel(model).sections, 1);
  assert.ok(typeof world === "object");
  const record = (tier: number, revision: number): void => {
    const declared = [...declaredLatches(model)].map(
      ([name, latch]) =>
        [name, { ...latch, isDownOnly: true, recorded: { tier, revision } }] as const,
    );
    latches.adopt(world, new Map(declared));
  };
  const set = (slot: number, value: number): void => {
    overlay.apply([{ slot, value }], { kind: "health", text: "" });
  };
  const tier = (): number => overlay.read(world.failoverNodes()[0]?.slot ?? -1);
  overlay.adopt(world, 1);
  // What was recorded before this one started counts.
  record(2, 7);
  set(0, GOOD);
  set(1, GOOD);
  assert.equal(tier(), 2);
  nowMs = 120_000;
  latches.step();
  assert.equal(tier(), 2, "only the leader ends a hold");
  record(1, 8);
  assert.equal(tier(), 0);
  set(0, BAD);
  assert.equal(tier(), 2, "a failure is not waited with");
  // No news: what was recorded before the failure does not count again.
  record(1, 8);
  assert.equal(tier(), 2);
  latches.close();
  overlay.close();
});
