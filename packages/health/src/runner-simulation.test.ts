// SPDX-License-Identifier: Apache-2.0

// The runner with a simulated clock and network: thousands of seconds of endpoints that die and come back, any seed again.

import { ManualClock, Pcg32 } from "@meridian/core";
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import {
  defaultHttpFields,
  defaultTiming,
  detectionBoundMs,
  type HttpCheck,
  type ProbeTarget,
} from "./check.ts";
import { DETECTION_SLACK_MS } from "./limits.ts";
import type { Probe, ProbeResult } from "./probe.ts";
import { HealthRunner } from "./runner.ts";
import type { Transition } from "./transition.ts";

/** How a simulated endpoint behaves. */
type Behaviour = "answers" | "refuses" | "hangs";

const stepMs = 5;

/** Probes that answer, refuse at once or hang, as the map says when they start. */
class SimulatedNetwork {
  readonly behaviours = new Map<string, Behaviour>();
  readonly counts = new Map<string, number>();

  createProbe(target: ProbeTarget): Probe {
    return {
      run: (done: (result: ProbeResult) => void) => {
        this.counts.set(target.key, (this.counts.get(target.key) ?? 0) + 1);
        const behaviour = this.behaviours.get(target.key) ?? "answers";
        if (behaviour === "answers") done({ outcome: "pass", reason: "answered" });
        else if (behaviour === "refuses") done({ outcome: "fail", reason: "connection refused" });
      },
      cancel: () => undefined,
      close: () => undefined,
    };
  }
}

interface World {
  readonly clock: ManualClock;
  readonly network: SimulatedNetwork;
  readonly runner: HealthRunner;
  readonly transitions: Transition[];
  /** Lets time pass in small steps. */
  pass(ms: number): Promise<void>;
}

function makeWorld(seed: number, targets: readonly ProbeTarget[]): World {
  const clock = new ManualClock(1_000_000);
  const network = new SimulatedNetwork();
  const transitions: Transition[] = [];
  const runner = new HealthRunner({
    clock,
    random: new Pcg32(seed),
    vantage: "simulation",
    timers: "manual",
    createProbe: (target) => network.createProbe(target),
    onTransitions: (batch) => transitions.push(...batch),
  });
  runner.setTargets(targets);
  runner.start();
  const pass = async (ms: number): Promise<void> => {
    for (let passed = 0; passed < ms; passed += stepMs) {
      clock.advance(stepMs);
      runner.advance();
    }
    await Promise.resolve();
  };
  return { clock, network, runner, transitions, pass };
}

function targetsOf(count: number, check: HttpCheck): ProbeTarget[] {
  return Array.from({ length: count }, (_, index) => ({
    key: `endpoint/default/web/${index}`,
    checkName: "web",
    check,
    address: "192.0.2.1",
    port: 80,
    site: `site-${index % 3}`,
  }));
}

const checkArbitrary: fc.Arbitrary<HttpCheck> = fc
  .record({
    intervalMs: fc.integer({ min: 200, max: 5000 }),
    timeoutPart: fc.double({ min: 0.1, max: 1, noNaN: true }),
    unhealthyThreshold: fc.integer({ min: 1, max: 5 }),
    healthyThreshold: fc.integer({ min: 1, max: 5 }),
    failFast: fc.boolean(),
    jitter: fc.double({ min: 0, max: 0.05, noNaN: true }),
  })
  .map(({ timeoutPart, ...fields }) => ({
    ...defaultTiming,
    ...defaultHttpFields,
    ...fields,
    kind: "http",
    timeoutMs: Math.floor(fields.intervalMs * timeoutPart),
  }));

test("an endpoint that dies is unhealthy within the detection bound", async () => {
  await fc.assert(
    fc.asyncProperty(
      checkArbitrary,
      fc.nat(),
      fc.nat(10_000),
      fc.constantFrom<Behaviour>("refuses", "hangs"),
      async (check, seed, deathMs, behaviour) => {
        const targets = targetsOf(4, check);
        const world = makeWorld(seed, targets);
        const dying = targets[0]?.key ?? "";
        await world.pass(1100 + deathMs);
        assert.equal(world.runner.state(dying)?.verdict, "healthy");
        world.network.behaviours.set(dying, behaviour);
        await world.pass(detectionBoundMs(check, DETECTION_SLACK_MS));
        assert.equal(world.runner.state(dying)?.verdict, "unhealthy");
        const others = [...world.runner.states()].filter((state) => state.key !== dying);
        assert.ok(others.every((state) => state.verdict === "healthy"));
        await world.runner.close();
      },
    ),
    { numRuns: 60 },
  );
});

test("work is the same with all endpoints living and with all of them dead", async () => {
  const check: HttpCheck = {
    ...defaultTiming,
    ...defaultHttpFields,
    kind: "http",
    intervalMs: 1000,
    timeoutMs: 500,
  };
  const probesIn = async (behaviour: Behaviour): Promise<number> => {
    const targets = targetsOf(50, check);
    const world = makeWorld(3, targets);
    for (const { key } of targets) world.network.behaviours.set(key, behaviour);
    await world.pass(60_000);
    await world.runner.close();
    return [...world.network.counts.values()].reduce((sum, count) => sum + count, 0);
  };
  const [answers, refuses, hangs] = [
    await probesIn("answers"),
    await probesIn("refuses"),
    await probesIn("hangs"),
  ];
  assert.ok(answers >= 50 * 58 && answers <= 50 * 61, String(answers));
  assert.ok(Math.abs(refuses - answers) <= answers * 0.02, `${refuses} against ${answers}`);
  assert.ok(Math.abs(hangs - answers) <= answers * 0.02, `${hangs} against ${answers}`);
});

test("all endpoints dying at once are held for three intervals, then believed", async () => {
  const check: HttpCheck = {
    ...defaultTiming,
    ...defaultHttpFields,
    kind: "http",
    intervalMs: 1000,
    timeoutMs: 500,
  };
  const targets = targetsOf(20, check);
  const world = makeWorld(5, targets);
  await world.pass(5000);
  for (const { key } of targets) world.network.behaviours.set(key, "refuses");
  await world.pass(1200);
  assert.equal(world.runner.suspicion.kind, "frozen");
  await world.pass(2500);
  assert.ok([...world.runner.states()].every((state) => state.verdict === "healthy"));
  await world.pass(1000);
  assert.ok([...world.runner.states()].every((state) => state.verdict === "unhealthy"));
  // One that answers again ends it all; the next total failure is doubted anew.
  for (const { key } of targets) world.network.behaviours.set(key, "answers");
  await world.pass(4000);
  assert.ok([...world.runner.states()].every((state) => state.verdict === "healthy"));
  assert.equal(world.runner.suspicion.kind, "trusting");
  await world.runner.close();
});

test("the same seed gives the same transitions", async () => {
  const run = async (): Promise<Transition[]> => {
    const check: HttpCheck = {
      ...defaultTiming,
      ...defaultHttpFields,
      kind: "http",
      intervalMs: 500,
    };
    const targets = targetsOf(10, check);
    const world = makeWorld(11, targets);
    const random = new Pcg32(12);
    const behaviours: readonly Behaviour[] = ["answers", "refuses", "hangs"];
    for (let turn = 0; turn < 40; turn++) {
      const key = targets[random.next32() % 10]?.key ?? "";
      world.network.behaviours.set(key, behaviours[random.next32() % 3] ?? "answers");
      await world.pass(700);
    }
    await world.runner.close();
    return world.transitions;
  };
  const first = await run();
  assert.ok(first.length > 15);
  assert.deepEqual(await run(), first);
});
