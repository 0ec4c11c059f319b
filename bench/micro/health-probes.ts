// SPDX-License-Identifier: Apache-2.0

// How many HTTP probes a second one core of a prober does, with a new connection for each and with kept connections, against
// servers in another process, through the add-on or with --sockets over sockets of node. Two figures for each mode: the CPU time of the prober a probe (from which the most that one core can do follows),
// and whether a whole HealthRunner keeps its cadence at the demanded rate. The third mode judges every answer a failure: work should be the same.
//
//   node bench/micro/health-probes.ts [--targets 5000] [--seconds 5] [--interval 1000] [--server-core N] [--sockets]

import { Pcg32, systemClock } from "@meridian/core";
import {
  defaultHttpFields,
  defaultTiming,
  HealthRunner,
  NativeDialer,
  type ProbeTarget,
} from "@meridian/health";
import { loadNative, type Native } from "@meridian/native";
import { execFileSync, fork, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:net";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

/** How probes connect, and whether the answers pass. */
export type ProbeBenchMode =
  | "new connections"
  | "kept connections"
  | "new connections, all failing";

/** One measured run. */
export interface ProbeBenchResult {
  readonly mode: ProbeBenchMode;
  readonly targets: number;
  readonly demandedPerSecond: number;
  readonly probesPerSecond: number;
  readonly failed: number;
  readonly timedOut: number;
  readonly delayed: number;
  readonly userMicrosPerProbe: number;
  readonly systemMicrosPerProbe: number;
  readonly corePercent: number;
}

const serverMode = "serve";
const answer = Buffer.from(
  "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 3\r\nConnection: keep-alive\r\n\r\nok\n",
);

/** Measures one mode for `seconds`, after a first round and one second of warming up. */
export async function benchProbes(options: {
  readonly mode: ProbeBenchMode;
  readonly targets: number;
  readonly intervalMs: number;
  readonly seconds: number;
  /** Core that the servers are pinned to; where the prober runs if undefined. */
  readonly serverCore: string | undefined;
  /** The add-on, which connects; sockets of node where absent. */
  readonly native: Native | undefined;
}): Promise<ProbeBenchResult> {
  const { child, ports } = await startServer();
  if (options.serverCore !== undefined) {
    execFileSync("taskset", ["-a", "-c", "-p", options.serverCore, String(child.pid)]);
  }
  const dialer = options.native === undefined ? undefined : new NativeDialer(options.native);
  const runner = new HealthRunner({
    clock: systemClock,
    random: new Pcg32(1),
    vantage: "bench",
    ...(dialer === undefined ? {} : { dialer }),
    onTransitions: () => undefined,
  });
  runner.setTargets(makeTargets(options, ports));
  runner.start();
  await runner.whenFirstRound();
  await sleep(1000);
  const before = { ...runner.counters };
  const cpuBefore = process.cpuUsage();
  const startMs = performance.now();
  await sleep(options.seconds * 1000);
  const cpu = process.cpuUsage(cpuBefore);
  const elapsedMs = performance.now() - startMs;
  const { probesPassed, probesFailed, probesDelayed, probesTimedOut } = runner.counters;
  const done = probesPassed + probesFailed - before.probesPassed - before.probesFailed;
  await runner.close();
  dialer?.close();
  const gone = once(child, "exit");
  child.kill();
  await gone;
  return {
    mode: options.mode,
    targets: options.targets,
    demandedPerSecond: Math.round((options.targets * 1000) / options.intervalMs),
    probesPerSecond: Math.round((done * 1000) / elapsedMs),
    failed: probesFailed - before.probesFailed,
    timedOut: probesTimedOut - before.probesTimedOut,
    delayed: probesDelayed - before.probesDelayed,
    userMicrosPerProbe: round(cpu.user / done),
    systemMicrosPerProbe: round(cpu.system / done),
    corePercent: round((cpu.user + cpu.system) / elapsedMs / 10),
  };
}

function makeTargets(
  options: { readonly mode: ProbeBenchMode; readonly targets: number; readonly intervalMs: number },
  ports: readonly number[],
): ProbeTarget[] {
  const check = {
    ...defaultTiming,
    ...defaultHttpFields,
    kind: "http",
    keepAlive: options.mode === "kept connections",
    ...(options.mode === "new connections, all failing"
      ? { statusRanges: [{ from: 204, to: 204 }] }
      : {}),
    intervalMs: options.intervalMs,
    timeoutMs: Math.min(1000, options.intervalMs),
  } as const;
  return Array.from({ length: options.targets }, (_, index) => ({
    key: `endpoint/default/bench/${index}`,
    checkName: "bench",
    check,
    // Different loopback addresses and ports, so that ports in TIME_WAIT do not run out.
    address: `127.0.0.${1 + (index % 250)}`,
    port: ports[index % ports.length] ?? 0,
  }));
}

async function startServer(): Promise<{ child: ChildProcess; ports: readonly number[] }> {
  const child = fork(fileURLToPath(import.meta.url), [serverMode], { stdio: "inherit" });
  const { promise, resolve } = Promise.withResolvers<readonly number[]>();
  child.once("message", (ports) => {
    resolve(Array.isArray(ports) ? ports.map(Number) : []);
  });
  return { child, ports: await promise };
}

/** Answers whatever arrives, as cheaply as it can. */
function serve(): void {
  // Never outlive the prober.
  process.on("disconnect", () => process.exit());
  const ports: number[] = [];
  const serverCount = 8;
  for (let index = 0; index < serverCount; index++) {
    const server = createServer({ noDelay: true }, (socket) => {
      socket.on("data", () => socket.write(answer));
      socket.on("error", () => socket.destroy());
    });
    server.listen({ port: 0, host: "0.0.0.0", backlog: 4096 }, () => {
      const address = server.address();
      if (typeof address === "object" && address !== null) ports.push(address.port);
      if (ports.length === serverCount) process.send?.(ports);
    });
  }
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      targets: { type: "string", default: "5000" },
      seconds: { type: "string", default: "5" },
      interval: { type: "string", default: "1000" },
      "server-core": { type: "string" },
      sockets: { type: "boolean", default: false },
    },
  });
  // A smoke run shows only that it still works.
  const isSmoke = process.env["MERIDIAN_BENCH_SMOKE"] === "1";
  const modes: ProbeBenchMode[] = [
    "new connections",
    "new connections, all failing",
    "kept connections",
  ];
  const load = loadNative();
  const native = load.kind === "loaded" && !values.sockets ? load.native : undefined;
  for (const mode of modes) {
    const result = await benchProbes({
      mode,
      targets: isSmoke ? 100 : Number(values.targets),
      intervalMs: Number(values.interval),
      seconds: isSmoke ? 0.3 : Number(values.seconds),
      serverCore: values["server-core"],
      native,
    });
    console.log(JSON.stringify(result));
  }
}

if (process.argv[2] === serverMode) serve();
else if (process.argv[1] === fileURLToPath(import.meta.url)) await main();
