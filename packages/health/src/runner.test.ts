// SPDX-License-Identifier: Apache-2.0

import { ManualClock, Pcg32, systemClock } from "@meridian/core";
import assert from "node:assert/strict";
import { fork, type ChildProcess } from "node:child_process";
import { createServer, type Server } from "node:http";
import { test, type TestContext } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import {
  defaultHttpFields,
  defaultTiming,
  detectionBoundMs,
  type CheckSpec,
  type HttpCheck,
  type ProbeTarget,
  type Verdict,
} from "./check.ts";
import { DETECTION_SLACK_MS } from "./limits.ts";
import type { ProbeResult } from "./probe.ts";
import type { HealthRunnerOptions } from "./runner-options.ts";
import { HealthRunner } from "./runner.ts";
import type { Transition } from "./transition.ts";
import { closedPort, listen, listenTcp } from "./testing/probe-run.ts";

function httpCheck(fields: Partial<HttpCheck> = {}): HttpCheck {
  const cadence = { intervalMs: 100, timeoutMs: 80, unhealthyThreshold: 2, healthyThreshold: 2 };
  return { ...defaultTiming, ...defaultHttpFields, kind: "http", ...cadence, ...fields };
}

function target(name: string, port: number, check: CheckSpec = httpCheck()): ProbeTarget {
  const key = `endpoint/default/web/${name}`;
  return { key, checkName: "web", check, address: "127.0.0.1", port, site: name.slice(0, 2) };
}

const serverFile = fileURLToPath(new URL("./testing/http-server-worker.ts", import.meta.url));

interface Watched {
  readonly runner: HealthRunner;
  readonly transitions: Transition[];
  /** Resolves when `key` has `verdict`, with the time it took. */
  readonly until: (key: string, verdict: Verdict) => Promise<number>;
}

function watch(context: TestContext, options: Partial<HealthRunnerOptions> = {}): Watched {
  const transitions: Transition[] = [];
  const waiting: { key: string; verdict: Verdict; resolve: () => void }[] = [];
  const runner = new HealthRunner({
    clock: systemClock,
    random: new Pcg32(1),
    vantage: "test",
    onTransitions: (batch) => {
      transitions.push(...batch);
      for (const { key, verdict } of batch) {
        for (const each of waiting)
          if (each.key === key && each.verdict === verdict) each.resolve();
      }
    },
    ...options,
  });
  context.after(() => runner.close());
  const until = async (key: string, verdict: Verdict): Promise<number> => {
    const startMs = performance.now();
    if (runner.state(key)?.verdict !== verdict) {
      const { promise, resolve } = Promise.withResolvers<void>();
      waiting.push({ key, verdict, resolve });
      await promise;
    }
    return performance.now() - startMs;
  };
  return { runner, transitions, until };
}

const boundMs = detectionBoundMs(httpCheck(), DETECTION_SLACK_MS);
/** These machines are shared: a test may find its own process not scheduled for a while. The bound itself is that of the simulation. */
const machineSlackMs = 400;
const ATTEMPTS_MAX = 20;

/** The first that takes at most `msMax`: a machine that stands still makes one late, or several, and a fault all of them. */
async function leastMs(msMax: number, attempt: () => Promise<number>): Promise<number> {
  let least = Infinity;
  for (let count = 0; count < ATTEMPTS_MAX && least > msMax; count++)
    least = Math.min(least, await attempt());
  return least;
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
}

async function serveHttp(
  context: TestContext,
): Promise<{ port: number; answer: { status: number }; requests: () => number; server: Server }> {
  const answer = { status: 200 };
  let count = 0;
  const server = createServer((_request, response) => {
    count++;
    response.writeHead(answer.status);
    response.end("ok");
  });
  const port = await listen(server);
  context.after(() => server.close());
  return { port, answer, requests: () => count, server };
}

test("HealthRunner finds living and dead endpoints in one first round", async (context) => {
  const { port } = await serveHttp(context);
  const { runner, transitions } = watch(context);
  runner.setTargets([target("eu-1", port), target("us-1", await closedPort())]);
  assert.equal(runner.state("endpoint/default/web/eu-1")?.verdict, "unknown");
  runner.start();
  await runner.whenFirstRound();
  await Promise.resolve();
  assert.equal(runner.state("endpoint/default/web/eu-1")?.verdict, "healthy");
  const dead = runner.state("endpoint/default/web/us-1");
  assert.equal(dead?.verdict, "unhealthy");
  assert.equal(dead?.reason, "connection refused");
  const told = transitions.map(({ key, verdict, previous, reason }) => ({
    key,
    verdict,
    previous,
    reason,
  }));
  assert.deepEqual(
    told.toSorted((a, b) => (a.key < b.key ? -1 : 1)),
    [
      {
        key: "endpoint/default/web/eu-1",
        verdict: "healthy",
        previous: "unknown",
        reason: "HTTP status 200",
      },
      {
        key: "endpoint/default/web/us-1",
        verdict: "unhealthy",
        previous: "unknown",
        reason: "connection refused",
      },
    ],
  );
  assert.deepEqual(
    transitions.map((each) => each.sequence),
    [1, 2],
  );
  assert.ok(transitions.every((each) => each.vantage === "test" && each.atMs > 1.7e12));
});

test("HealthRunner sees HTTP 500 within the bound, and the way back", async (context) => {
  const { port, answer } = await serveHttp(context);
  const { runner, until, transitions } = watch(context);
  const { key } = target("eu-1", port);
  runner.setTargets([target("eu-1", port)]);
  runner.start();
  const msMax = boundMs + machineSlackMs;
  const tookMs = await leastMs(msMax, async () => {
    answer.status = 200;
    await until(key, "healthy");
    answer.status = 500;
    return until(key, "unhealthy");
  });
  assert.ok(tookMs <= msMax, `${tookMs} ms`);
  assert.equal(transitions.at(-1)?.reason, "HTTP status 500, wanted 200-299");
  answer.status = 200;
  await until(key, "healthy");
  assert.equal(runner.counters.transitions, transitions.length);
});

test("HealthRunner sees a stopped process (SIGSTOP) and a killed one within the bound", async (context) => {
  const msMax = boundMs + machineSlackMs;
  const { runner, until, transitions } = watch(context);
  const { key } = target("eu-1", 0);
  runner.start();
  const killedMs = await leastMs(msMax, async () => {
    const child = fork(serverFile, { execArgv: [] });
    context.after(() => child.kill("SIGKILL"));
    runner.setTargets([target("eu-1", await portFrom(child))]);
    const stoppedMs = await leastMs(msMax, async () => {
      child.kill("SIGCONT");
      await until(key, "healthy");
      child.kill("SIGSTOP");
      return until(key, "unhealthy");
    });
    assert.ok(stoppedMs <= msMax, `${stoppedMs} ms`);
    assert.equal(transitions.at(-1)?.reason, "no answer in 80 ms");
    child.kill("SIGCONT");
    await until(key, "healthy");
    child.kill("SIGKILL");
    return until(key, "unhealthy");
  });
  assert.ok(killedMs <= msMax, `${killedMs} ms`);
  assert.match(transitions.at(-1)?.reason ?? "", /^connection (refused|reset)$/);
});

test("HealthRunner with failFast is done in one interval", async (context) => {
  const check = httpCheck({ intervalMs: 1000, unhealthyThreshold: 5, failFast: true });
  const { runner, until } = watch(context);
  const { key } = target("eu-1", 0);
  runner.start();
  const msMax = 1050 + 5 * 20 + machineSlackMs;
  const tookMs = await leastMs(msMax, async () => {
    const { port, server } = await serveHttp(context);
    runner.setTargets([target("eu-1", port, check)]);
    await until(key, "healthy");
    server.close();
    return until(key, "unhealthy");
  });
  assert.ok(tookMs <= msMax, `${tookMs} ms`);
  const startMs = performance.now();
  const started = runner.counters.probesStarted;
  await sleep(500);
  const intervals = Math.ceil((performance.now() - startMs) / (1000 * (1 - check.jitter)));
  const count = runner.counters.probesStarted - started;
  assert.ok(count <= intervals, `a dead endpoint is not retried at once: ${count} probes`);
});

test("HealthRunner costs a dead endpoint as many probes as a living one", async (context) => {
  const { port } = await serveHttp(context);
  const seen = new Map<string, number>();
  const counting = watch(context, {
    onReport: ({ key }) => seen.set(key, (seen.get(key) ?? 0) + 1),
  });
  counting.runner.setTargets([target("eu-1", port), target("us-1", await closedPort())]);
  counting.runner.start();
  const counts = (): readonly number[] => [...seen.values()];
  while (counts().reduce((sum, count) => sum + count, 0) < 16) await sleep(10);
  const [living = 0, dead = 0] = counts();
  assert.ok(Math.abs(living - dead) <= 2, `${living} and ${dead}`);
});

test("setTargets() keeps equal targets, restarts moved ones, forgets removed ones", async (context) => {
  const { port } = await serveHttp(context);
  const other = await closedPort();
  const { runner, until, transitions } = watch(context);
  const { key } = target("eu-1", port);
  runner.setTargets([target("eu-1", port), target("us-1", port)]);
  runner.start();
  await until(key, "healthy");
  await until("endpoint/default/web/us-1", "healthy");
  const count = transitions.length;
  runner.setTargets([target("eu-1", port)]);
  assert.equal(runner.state(key)?.verdict, "healthy");
  assert.equal(runner.state("endpoint/default/web/us-1"), undefined);
  runner.setTargets([target("eu-1", port, httpCheck({ unhealthyThreshold: 7 }))]);
  assert.equal(runner.state(key)?.verdict, "healthy");
  assert.equal(transitions.length, count);
  runner.setTargets([target("eu-1", other)]);
  assert.equal(runner.state(key)?.verdict, "unknown");
  await until(key, "unhealthy");
});

test("many targets that begin together, at the start or later, are no burst of probes", async (context) => {
  const clock = new ManualClock(0);
  let probes = 0;
  const { runner } = watch(context, {
    clock,
    timers: "manual",
    probesInFlightMax: 10_000,
    createProbe: () => ({ run: () => probes++, cancel: () => {}, close: () => {} }),
  });
  const check = httpCheck({ intervalMs: 10_000, timeoutMs: 5000 });
  const targets = (from: number): ProbeTarget[] =>
    Array.from({ length: 5000 }, (_, at) => target(`e${from + at}`, 80, check));
  const mostIn100ms = (): number => {
    let most = 0;
    for (let window = 0; window < 6; window++) {
      const before = probes;
      clock.advance(100);
      runner.advance();
      most = Math.max(most, probes - before);
    }
    return most;
  };
  runner.changeTargets(targets(0), [], () => undefined);
  runner.start();
  assert.ok(mostIn100ms() <= 1250, "at the start");
  assert.equal(probes, 5000);
  runner.changeTargets(targets(5000), [], () => undefined);
  assert.ok(mostIn100ms() <= 1250, "later");
  assert.equal(probes, 10_000);
});

test("setTargets() starts from restored verdicts", async (context) => {
  const { runner, transitions } = watch(context);
  const silent = await listenTcp(context, () => undefined);
  const { key } = target("eu-1", silent);
  runner.setTargets([target("eu-1", silent)], new Map([[key, "healthy" as const]]));
  assert.equal(runner.state(key)?.verdict, "healthy");
  runner.start();
  await runner.whenFirstRound();
  assert.equal(runner.state(key)?.verdict, "healthy");
  assert.equal(runner.state(key)?.failures, 1);
  assert.deepEqual(transitions, []);
});

test("HealthRunner doubts itself when everything fails at once, then believes", async (context) => {
  const { port, server } = await serveHttp(context);
  const names = ["eu-1", "eu-2", "eu-3", "us-1", "us-2"];
  const { runner, until, transitions } = watch(context);
  runner.setTargets(names.map((name) => target(name, port, httpCheck({ unhealthyThreshold: 3 }))));
  runner.start();
  for (const name of names) await until(`endpoint/default/web/${name}`, "healthy");
  const count = transitions.length;
  server.close();
  server.closeAllConnections();
  const startMs = performance.now();
  while (runner.suspicion.kind !== "frozen") await sleep(5);
  const frozen = [...runner.states()];
  assert.ok(frozen.every((state) => state.verdict === "healthy" && state.condition === "suspect"));
  assert.equal(frozen[0]?.conditionReason, "all 5 probed endpoints failed at once");
  assert.equal(transitions.length, count);
  for (const name of names) await until(`endpoint/default/web/${name}`, "unhealthy");
  const tookMs = performance.now() - startMs;
  // That it believes after three intervals is shown where time is simulated, in runner-simulation.test.ts.
  assert.ok(tookMs >= 300, `${tookMs} ms`);
  assert.equal(runner.counters.freezes, 1);
});

test("HealthRunner takes pushed statuses, and lets them go stale", async (context) => {
  const check = { ...defaultTiming, kind: "push", staleAfterMs: 150, onStale: "unknown" } as const;
  const { runner, until, transitions } = watch(context);
  const { key } = target("eu-1", 1);
  runner.setTargets([{ ...target("eu-1", 1, check), checkName: "deploy" }]);
  runner.start();
  await runner.whenFirstRound();
  const status = { status: "healthy", reason: "deployed" } as const;
  assert.equal(runner.push("other", key, status), false);
  assert.equal(runner.push("deploy", "endpoint/none", status), false);
  assert.equal(runner.push("deploy", key, status), true);
  assert.equal(runner.state(key)?.verdict, "healthy");
  assert.equal(runner.state(key)?.earliestChangeMs, 0);
  await until(key, "unknown");
  assert.deepEqual(
    transitions.map((each) => each.reason),
    ["deployed", "nothing pushed for 150 ms"],
  );
  assert.equal(runner.state(key)?.condition, "stale");
});

test("HealthRunner calculates over children: disabled counts healthy, inversion comes last (vector 18)", async (context) => {
  const clock = new ManualClock(0);
  const { runner } = watch(context, { clock, timers: "manual" });
  const push = { ...defaultTiming, kind: "push", staleAfterMs: 1000, onStale: "unknown" } as const;
  const children = ["c-1", "c-2", "c-3"].map((name) => `endpoint/default/web/${name}`);
  const calculated = (threshold: number, inverted = false): CheckSpec => ({
    ...defaultTiming,
    kind: "calculated",
    children,
    threshold,
    inverted,
  });
  runner.setTargets([
    target("c-1", 1, push),
    target("c-2", 1, { ...push, disabled: true }),
    target("c-3", 1, push),
    target("none", 1, calculated(0)),
    target("one", 1, calculated(1)),
    target("two", 1, calculated(2)),
    target("two-inverted", 1, calculated(2, true)),
    target("four", 1, calculated(4)),
    target("above", 1, {
      ...calculated(1),
      kind: "calculated",
      children: ["endpoint/default/web/two"],
      threshold: 1,
    }),
  ]);
  runner.start();
  const verdicts = (): string[] =>
    ["none", "one", "two", "two-inverted", "four", "above"].map(
      (name) => runner.state(`endpoint/default/web/${name}`)?.verdict ?? "",
    );
  assert.deepEqual(verdicts(), [
    "healthy",
    "healthy",
    "unknown",
    "unknown",
    "unhealthy",
    "unknown",
  ]);
  runner.push("web", "endpoint/default/web/c-1", { status: "healthy", reason: "up" });
  assert.deepEqual(verdicts(), [
    "healthy",
    "healthy",
    "healthy",
    "unhealthy",
    "unhealthy",
    "healthy",
  ]);
  runner.push("web", "endpoint/default/web/c-1", { status: "unhealthy", reason: "down" });
  runner.push("web", "endpoint/default/web/c-3", { status: "unhealthy", reason: "down" });
  assert.deepEqual(verdicts(), [
    "healthy",
    "healthy",
    "unhealthy",
    "healthy",
    "unhealthy",
    "unhealthy",
  ]);
  assert.equal(
    runner.state("endpoint/default/web/two")?.reason,
    "1 of 3 children healthy, wanted 2",
  );
});

test("HealthRunner keeps probes on their way below its limit", async (context) => {
  const silent = await listenTcp(context, () => undefined);
  const { runner } = watch(context, { probesInFlightMax: 2 });
  const names = Array.from({ length: 10 }, (_, index) => `n-${index}`);
  const check = httpCheck({ intervalMs: 200, timeoutMs: 100 });
  runner.setTargets(names.map((name) => target(name, silent, check)));
  runner.start();
  await runner.whenFirstRound();
  assert.ok(runner.counters.probesQueued > 0);
  assert.ok([...runner.states()].every((state) => state.reason === "no answer in 100 ms"));
});

test("HealthRunner does not take a stall of its own process for failures", async (context) => {
  // The server is another process: it answers while this one stands still.
  const child = fork(serverFile, { execArgv: [] });
  context.after(() => child.kill("SIGKILL"));
  const { runner, transitions } = watch(context);
  // The stall is longer than the time-out, which is long enough for a server that waits for a busy machine.
  const check = httpCheck({ intervalMs: 300, timeoutMs: 250, unhealthyThreshold: 1 });
  runner.setTargets([target("a", await portFrom(child), check)]);
  runner.start();
  await runner.whenFirstRound();
  // The server may be held up, too, and that is a failure: one time in some goes without.
  const failuresIn = async (): Promise<number> => {
    transitions.length = 0;
    for (let round = 0; round < 5; round++) {
      const untilMs = performance.now() + 500;
      while (performance.now() < untilMs);
      await delay(320);
    }
    return transitions.filter(({ verdict }) => verdict === "unhealthy").length;
  };
  assert.equal(await leastMs(0, failuresIn), 0);
  assert.ok(runner.counters.stalls > 0);
});

test("HealthRunner leaves no connection and no timer after close", async (context) => {
  let open = 0;
  const silent = await listenTcp(context, (socket) => {
    open++;
    socket.on("close", () => open--);
  });
  const { runner } = watch(context);
  runner.setTargets([target("eu-1", silent, httpCheck({ timeoutMs: 5000, intervalMs: 5000 }))]);
  runner.start();
  while (open === 0) await sleep(10);
  await runner.close();
  await runner.close();
  await sleep(50);
  assert.equal(open, 0);
  const started = runner.counters.probesStarted;
  assert.equal([...runner.states()].length, 0);
  runner.advance();
  assert.equal(runner.counters.probesStarted, started);
});

async function portFrom(child: ChildProcess): Promise<number> {
  const { promise, resolve } = Promise.withResolvers<number>();
  child.once("message", (port) => {
    resolve(Number(port));
  });
  return promise;
}

test("what waits to be told with others is told before targets are others", async (context) => {
  context.mock.timers.enable({ apis: ["setTimeout"] });
  const clock = new ManualClock(0);
  const probes = new Map<string, (result: ProbeResult) => void>();
  const { runner, transitions } = watch(context, {
    clock,
    createProbe: ({ key }) => ({
      run: (done) => void probes.set(key, done),
      cancel() {},
      close() {},
    }),
  });
  const check = httpCheck({ unhealthyThreshold: 1, intervalMs: 60_000, timeoutMs: 30_000 });
  const [a, b] = [target("a", 1, check), target("b", 1, check)];
  runner.setTargets([a, b]);
  runner.start();
  for (let ms = 0; ms < 500 && probes.size < 2; ms += 10) {
    clock.advance(10);
    context.mock.timers.tick(10);
  }
  probes.get(a.key)?.({ outcome: "fail", reason: "refused" });
  await Promise.resolve();
  probes.get(b.key)?.({ outcome: "fail", reason: "refused" });
  await Promise.resolve();
  const told = (): string[] => transitions.map(({ key, verdict }) => `${key} ${verdict}`);
  assert.deepEqual(told(), [`${a.key} unhealthy`], "the other one waits");
  runner.setTargets([a, { ...b, port: 2 }]);
  assert.deepEqual(told(), [`${a.key} unhealthy`, `${b.key} unhealthy`]);
  assert.equal(runner.state(b.key)?.verdict, "unknown");
});
