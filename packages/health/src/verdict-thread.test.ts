// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { createServer, type Server } from "node:http";
import { test, type TestContext } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { key64 } from "@meridian/core";
import { Admin, CAPACITY_SHIFT, KeyedSlots, Verdict, adminOf } from "@meridian/snapshot";
import { defaultHttpFields, defaultTiming, type ProbeTarget } from "./check.ts";
import { defaultCapacityRule } from "./load/capacity-factor.ts";
import { changesIn, type ChangeSet } from "./change-set.ts";
import type { SharedOverlay } from "./shared-overlay.ts";
import { worldOf } from "./testing/pool-world.ts";
import { listen } from "./testing/probe-run.ts";
import { VerdictThread, type VerdictThreadOptions } from "./verdict-thread.ts";

const timing = {
  ...defaultTiming,
  intervalMs: 100,
  timeoutMs: 90,
  unhealthyThreshold: 2,
  healthyThreshold: 2,
};
const first = { revision: 1, lastSequence: 0 };
const DRAIN = { mask: 3 << 2, value: Admin.drained << 2 };

function httpTarget(name: string, port: number): ProbeTarget {
  const check = { ...timing, ...defaultHttpFields, kind: "http" } as const;
  const key = `endpoint/default/web/${name}`;
  return { key, checkName: "default/web", check, address: "127.0.0.1", port };
}

function pushTarget(name: string, pool = "web"): ProbeTarget {
  const check = { ...timing, kind: "push", staleAfterMs: 60_000, onStale: "unknown" } as const;
  const key = `endpoint/default/${pool}/${name}`;
  return { key, checkName: "default/push", check, address: "127.0.0.1", port: 1 };
}

interface Running {
  readonly thread: VerdictThread;
  readonly sets: ChangeSet[];
  readonly deaths: string[];
}

function makeThread(
  context: TestContext,
  more: Pick<VerdictThreadOptions, "program" | "beatMs"> = {},
): Running {
  const sets: ChangeSet[] = [];
  const deaths: string[] = [];
  const recorded = new Map<bigint, number>();
  const thread = new VerdictThread({
    vantage: "test",
    wallMs: () => Date.now(),
    onChangeSet: (set) => {
      sets.push(set);
      for (const { key, value } of changesIn(set)) recorded.set(key, value);
    },
    onTransitions: () => {},
    recorded: () => KeyedSlots.of(recorded),
    onDeath: (reason) => deaths.push(reason),
    ...more,
  });
  context.after(() => thread.close());
  return { thread, sets, deaths };
}

async function until(isSo: () => boolean, what: string): Promise<void> {
  const deadline = performance.now() + 60_000;
  while (!isSo()) {
    assert.ok(performance.now() < deadline, `${what}, within a minute`);
    await delay(2);
  }
}

const verdictOf = (overlay: SharedOverlay, slot: number): number => overlay.read(slot) & 3;

async function startServer(context: TestContext): Promise<{ server: Server; port: number }> {
  const server = createServer((_, response) => response.end("ok"));
  context.after(() => server.close());
  return { server, port: await listen(server) };
}

test("verdicts of real probes reach the shared bank, and every change set is told in order", async (context) => {
  const { server, port } = await startServer(context);
  const { thread, sets } = makeThread(context);
  const world = worldOf(2);
  const overlay = await thread.adopt(world, first);
  assert.deepEqual([overlay.sequence, sets.length], [1, 1]);
  thread.setPlan({ targets: [httpTarget("m0", port), httpTarget("m1", port)], rules: [] });
  thread.start();
  await thread.whenFirstRound();
  for (const slot of [0, 1])
    await until(() => verdictOf(overlay, slot) === Verdict.healthy, `m${slot} is healthy`);
  server.close();
  server.closeAllConnections();
  await until(() => verdictOf(overlay, 1) === Verdict.unhealthy, "m1 is unhealthy");
  const states = await thread.states([...thread.targets.keys()]);
  assert.deepEqual(states.map(({ key }) => key).toSorted(), [
    "endpoint/default/web/m0",
    "endpoint/default/web/m1",
  ]);
  await until(() => sets.at(-1)?.sequence === overlay.sequence, "all change sets are told");
  assert.deepEqual(
    sets.map(({ sequence }) => sequence),
    sets.map((_, at) => at + 1),
  );
  assert.deepEqual(
    [...thread.verdicts()].map(({ key }) => key),
    ["endpoint/default/web/m0", "endpoint/default/web/m1"],
  );
  assert.ok((await thread.figures()).counters.probesPassed > 1);
});

test("changes of some bits leave the others, are read at once, and are published when they resolve", async (context) => {
  const { thread } = makeThread(context);
  const overlay = await thread.adopt(worldOf(3), first);
  thread.setPlan({ targets: [pushTarget("m1")], rules: [] });
  assert.equal(
    await thread.push({
      check: "default/push",
      key: "endpoint/default/web/m1",
      status: "healthy",
      reason: "",
    }),
    true,
  );
  const drained = overlay.apply([{ slot: 1, ...DRAIN }], { kind: "shift", text: "" });
  const undrained = overlay.apply([{ slot: 1, mask: DRAIN.mask, value: 0 }], {
    kind: "shift",
    text: "",
  });
  const again = overlay.apply([{ slot: 1, ...DRAIN }], { kind: "shift", text: "" });
  assert.equal(adminOf(overlay.read(1)), Admin.drained);
  await Promise.all([drained, undrained, again]);
  const slot = overlay.moment().slots[1] ?? 0;
  assert.deepEqual([slot & 3, adminOf(slot)], [Verdict.healthy, Admin.drained]);
  const next = await thread.adopt(worldOf(2), { revision: 2, lastSequence: 0 });
  assert.ok(next.sequence > overlay.sequence);
  assert.equal(adminOf(next.read(1)), Admin.drained, "carried over");
  await overlay.apply([{ slot: 1, mask: DRAIN.mask, value: 0 }], { kind: "shift", text: "" });
  assert.equal(adminOf(next.read(1)), Admin.drained, "slots of an old revision are others");
});

test("a thread that dies is started anew and goes on with the overlay as it is", async (context) => {
  const { server, port } = await startServer(context);
  const { thread, sets, deaths } = makeThread(context);
  const world = worldOf(2);
  const overlay = await thread.adopt(world, first);
  thread.setPlan({ targets: [httpTarget("m0", port), pushTarget("m1")], rules: [] });
  thread.start();
  await until(() => verdictOf(overlay, 0) === Verdict.healthy, "m0 is healthy");
  await overlay.apply([{ slot: 1, ...DRAIN }], { kind: "shift", text: "" });
  const seen = new Set<number>();
  const watch = setInterval(() => seen.add(verdictOf(overlay, 0)), 1);
  // A slot that does not exist is a programmer's error there.
  const fatal = overlay.apply([{ slot: 99, mask: 1, value: 1 }], { kind: "test", text: "" });
  await assert.rejects(fatal, { code: "VERDICTS_DIED" });
  assert.equal(thread.restarts, 2);
  assert.match(deaths[0] ?? "", /slot exists/);
  const probed = async (): Promise<number> => (await thread.figures()).counters.probesPassed;
  let passed = await probed();
  while (passed < 3) {
    await delay(20);
    passed = await probed();
  }
  clearInterval(watch);
  assert.deepEqual([...seen], [Verdict.healthy], "no verdict was forgotten");
  assert.equal(adminOf(overlay.read(1)), Admin.drained);
  server.close();
  server.closeAllConnections();
  await until(() => verdictOf(overlay, 0) === Verdict.unhealthy, "m0 is unhealthy");
  await until(() => sets.at(-1)?.sequence === overlay.sequence, "all change sets are told");
});

test("a thread that hangs is ended and started anew, and what was asked meanwhile is answered", async (context) => {
  const program = new URL("./testing/hanging-verdict-worker.ts", import.meta.url);
  const { thread, deaths } = makeThread(context, { program, beatMs: 100 });
  const overlay = await thread.adopt(worldOf(1), first);
  thread.setPlan({ targets: [pushTarget("m0")], rules: [] });
  const key = "endpoint/default/web/m0";
  const status = { check: "default/push", key, status: "healthy", reason: "" } as const;
  assert.equal(await thread.push(status), true);
  await until(() => verdictOf(overlay, 0) === Verdict.healthy, "m0 is healthy");
  await thread.failback("hang");
  assert.equal(await thread.failback("another"), false);
  assert.ok(deaths.includes("it hung, and was ended"));
  assert.ok(thread.restarts >= 1);
  assert.equal(verdictOf(overlay, 0), Verdict.healthy);
});

test("5,000 targets are adopted, and an equal plan costs nothing", async (context) => {
  const { thread } = makeThread(context);
  const world = worldOf(1000, 5);
  const overlay = await thread.adopt(world, first);
  const targets = (): ProbeTarget[] =>
    Array.from({ length: 5000 }, (_, at) => {
      const pool = Math.floor(at / 1000);
      return pushTarget(`m${at % 1000}`, pool === 0 ? "web" : `web${pool}`);
    });
  thread.setPlan({ targets: targets(), rules: [] });
  assert.equal((await thread.figures()).targetCount, 5000);
  const key = "endpoint/default/web4/m999";
  await thread.push({ check: "default/push", key, status: "unhealthy", reason: "by hand" });
  assert.equal(verdictOf(overlay, world.slotOfKey(key64(key))), Verdict.unhealthy);
  thread.setPlan({ targets: targets(), rules: [] });
  const states = await thread.states([...thread.targets.keys()]);
  assert.equal(states.length, 5000);
  assert.equal(states.find((state) => state.key === key)?.verdict, "unhealthy");
});

test("loads that were read elsewhere move the capacity factors of endpoints with a rule", async (context) => {
  const { thread } = makeThread(context);
  const overlay = await thread.adopt(worldOf(2), first);
  thread.setPlan({ targets: [], rules: [["endpoint/default/web/m0", defaultCapacityRule]] });
  thread.start();
  const factorOf = (slot: number): number => (overlay.read(slot) >>> CAPACITY_SHIFT) & 0x3ff;
  // What comes before the thread is up is lost.
  const readUntil = (load: number, isSo: () => boolean, what: string): Promise<void> => {
    const names = ["m0", "m1", "none"].map((name) => `endpoint/default/web/${name}`);
    const read = (): void => thread.read(names.map((key) => [key, load]));
    return until(() => {
      read();
      return isSo();
    }, what);
  };
  await readUntil(0.75, () => factorOf(0) < 1000, "m0 has less");
  assert.equal(factorOf(1), 1000);
  await overlay.apply([{ slot: 0, ...DRAIN }], { kind: "shift", text: "maintenance" });
  await readUntil(0, () => factorOf(0) === 10, "one that is out begins with little");
});

test("what is asked of a closed thread is refused, and closing twice is closing once", async (context) => {
  const { thread } = makeThread(context);
  const world = worldOf(1);
  await thread.adopt(world, first);
  await Promise.all([thread.close(), thread.close()]);
  await assert.rejects(thread.states([...thread.targets.keys()]), { code: "VERDICTS_CLOSED" });
});
