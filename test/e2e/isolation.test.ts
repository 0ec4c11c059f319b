// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import { key64 } from "@meridian/core";
import {
  ISOLATION_AFTER_MS,
  Isolation,
  OverlayMirror,
  SILENT_LOGGER,
  type IsolationMode,
} from "@meridian/edge";
import type { SuspicionState, Transition } from "@meridian/health";
import { Verdict } from "@meridian/snapshot";
import { loadWorld, member, pool } from "@meridian/snapshot/testing";

const A = "endpoint/default/web/a";
const B = "endpoint/default/web/b";
const control = "https://control.example.org:8054";

class Scene {
  nowMs = 100_000;
  suspicion: SuspicionState = { kind: "trusting" };
  readonly world = loadWorld([pool("default/web", [member("a", 1), member("b", 2)])], []);
  readonly mirror: OverlayMirror;
  readonly isolation: Isolation;
  sequence = 1;

  constructor(mode: IsolationMode = "local") {
    this.mirror = this.mirrorOf("healthy", "healthy");
    this.isolation = new Isolation({
      mode,
      nowMs: () => this.nowMs,
      logger: SILENT_LOGGER,
      suspicion: () => this.suspicion,
      onChange: () => {},
    });
    this.isolation.served(this.world, this.mirror);
    this.isolation.heard(control);
  }

  slots(a: keyof typeof Verdict, b: keyof typeof Verdict): Uint32Array {
    const slots = this.world.initialSlots();
    for (const [key, verdict] of [
      [A, a],
      [B, b],
    ] as const) {
      const slot = this.world.slotOfKey(key64(key));
      slots[slot] = ((slots[slot] ?? 0) & ~3) | Verdict[verdict];
    }
    return slots;
  }

  mirrorOf(a: keyof typeof Verdict, b: keyof typeof Verdict): OverlayMirror {
    const start = { epoch: 1, revision: 1, sequence: this.sequence, slots: this.slots(a, b) };
    return new OverlayMirror(this.world, start, () => {});
  }

  /** A and B as workers read them. */
  served(mirror = this.mirror): number[] {
    return [A, B].map((key) => mirror.read(this.world.slotOfKey(key64(key))) & 3);
  }

  find(key: string, verdict: "healthy" | "unhealthy"): void {
    const transition: Transition = {
      key,
      verdict,
      previous: verdict === "healthy" ? "unhealthy" : "healthy",
      reason: "",
      vantage: "eu-1",
      atMs: 0,
      earliestChangeMs: 1000,
      sequence: 1,
    };
    this.isolation.transitions([transition]);
  }

  pass(ms: number): void {
    this.nowMs += ms;
    this.isolation.tick();
  }
}

test("Isolation leaves verdicts to control as long as it is heard of", () => {
  const scene = new Scene();
  scene.find(A, "unhealthy");
  scene.pass(ISOLATION_AFTER_MS - 1);
  assert.deepEqual([scene.served(), scene.isolation.isIsolated], [[1, 1], false]);
});

test("Isolation judges by what has changed since control was last heard of, and just before", () => {
  const scene = new Scene();
  // What this edge alone saw long ago stays as the others had it.
  scene.find(B, "unhealthy");
  for (let word = 0; word < 3; word++) {
    scene.pass(ISOLATION_AFTER_MS - 1);
    scene.isolation.heard(control);
  }
  scene.pass(2);
  scene.find(A, "unhealthy");
  scene.pass(ISOLATION_AFTER_MS);
  assert.deepEqual(scene.served(), [2, 1]);
  scene.find(A, "healthy");
  scene.find(B, "unhealthy");
  assert.deepEqual(scene.served(), [1, 2]);
});

test("Isolation keeps what it found until the control that is followed has heard enough", () => {
  const scene = new Scene();
  scene.pass(ISOLATION_AFTER_MS);
  scene.find(A, "unhealthy");
  // Control is back with what it remembers.
  scene.isolation.heard(control);
  scene.mirror.takeTable(2, scene.slots("healthy", "unhealthy"));
  assert.deepEqual(scene.served(), [2, 2]);
  // With another revision, too.
  const next = scene.mirrorOf("healthy", "healthy");
  scene.isolation.served(scene.world, next);
  assert.deepEqual(scene.served(next), [2, 1]);
  scene.isolation.settled("https://another.example.org:8054");
  assert.deepEqual(scene.served(next), [2, 1]);
  scene.isolation.told(control);
  assert.deepEqual(scene.served(next), [2, 1]);
  // What it judged by that comes with its next table, and never with what another connection said.
  scene.isolation.settled(control);
  assert.deepEqual(scene.served(next), [2, 1]);
  scene.isolation.opened();
  scene.isolation.told(control);
  assert.deepEqual(scene.served(next), [2, 1]);
  scene.isolation.settled(control);
  scene.isolation.told(control);
  assert.deepEqual([scene.served(next), scene.isolation.isIsolated], [[1, 1], false]);
});

test("Isolation moves nothing while everything that it probes fails, and nothing at all in freeze", () => {
  const scene = new Scene();
  scene.pass(ISOLATION_AFTER_MS);
  scene.suspicion = { kind: "believing" };
  scene.find(A, "unhealthy");
  scene.find(B, "unhealthy");
  scene.pass(60_000);
  assert.deepEqual(scene.served(), [1, 1]);
  // One of them answers again: it was the endpoint, not the network.
  scene.suspicion = { kind: "trusting" };
  scene.find(B, "healthy");
  assert.deepEqual(scene.served(), [2, 1]);

  const frozen = new Scene("freeze");
  frozen.pass(ISOLATION_AFTER_MS);
  frozen.find(A, "unhealthy");
  frozen.pass(1000);
  assert.deepEqual([frozen.served(), frozen.isolation.isIsolated], [[1, 1], true]);
});
