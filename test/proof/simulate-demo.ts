// SPDX-License-Identifier: Apache-2.0

// What `meridian simulate` says of the demo against the demo itself: `meridian quickstart` with its real regions, probes and server, asked by
// clients of the whole world through real Unbound instances while a region breaks, is repaired, another is drained and comes back. By hand, as
// root (it makes a network namespace of its own): node test/proof/simulate-demo.ts [ROUNDS] [FILE]

import { spawn, spawnSync, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { request, type IncomingMessage } from "node:http";
import { cpus, loadavg, tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { buffer } from "node:stream/consumers";
import { setTimeout as sleep } from "node:timers/promises";
import { RRType } from "@meridian/dns";
import { addressesOf, askDns } from "../../apps/meridian/src/dns-question.ts";
import { REGION_PORT, regions } from "../../apps/meridian/src/quickstart/regions.ts";
import { DemoClients, drawUp, groups, writeConfiguration, type Seen } from "./demo-resolvers.ts";

const SERVER = "127.0.0.1:5300";
const names = ["geo.example.org", "canary.example.org"] as const;
/** Look-ups a second of each name at each cache. */
const RATE = 4;
const STEP_SECONDS = 25;
const WARM_SECONDS = 25;
/** Rounds begin at moments that are spread evenly over the second in which a probe comes, and anywhere in the caches' periods. */
const PROBE_MS = 1000;
const PAUSE_SECONDS_MAX = 6;
const rounds = Number(process.argv[2] ?? 8);
const output = process.argv[3];

if (process.env["MERIDIAN_DEMO_NAMESPACE"] === undefined) {
  const inside = 'ip link set lo up && ip route add local 0.0.0.0/0 dev lo && exec "$@"';
  const { status } = spawnSync(
    "unshare",
    ["-n", "sh", "-c", inside, "sh", process.execPath, ...process.argv.slice(1)],
    { stdio: "inherit", env: { ...process.env, MERIDIAN_DEMO_NAMESPACE: "1" } },
  );
  process.exit(status ?? 1);
}

const folder = mkdtempSync(join(tmpdir(), "meridian-simulate-demo-"));
const stateDir = join(folder, "state");
const children: ChildProcess[] = [];

function start(command: string, words: readonly string[]): void {
  children.push(spawn(command, words, { stdio: "ignore" }));
}

async function ask(options: object, body?: unknown): Promise<void> {
  const headers = body === undefined ? {} : { "content-type": "application/json" };
  const asked = request({ ...options, headers });
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
  asked.once("response", resolve).once("error", reject);
  asked.end(body === undefined ? undefined : JSON.stringify(body));
  const response = await promise;
  const text = (await buffer(response)).toString();
  if ((response.statusCode ?? 500) >= 300) throw new Error(`${response.statusCode} ${text}`);
}

const socketPath = join(stateDir, "meridian.sock");
const region = (path: string): Promise<void> =>
  ask({ host: regions[0]?.address, port: REGION_PORT, path, method: "POST", agent: false });
const drain = (): Promise<void> =>
  ask(
    { socketPath, path: "/v1/shifts", method: "POST" },
    { target: "site/us", reason: "the proof", expiresIn: "1h", percent: 100 },
  );
const undrain = (): Promise<void> =>
  ask({ socketPath, path: "/v1/shifts?target=site/us", method: "DELETE" });

/** What is done in a round, one step after the other. */
const steps = [
  { what: "eu fails", act: () => region("/break") },
  { what: "eu heals", act: () => region("/repair") },
  { what: "us is drained", act: drain },
  { what: "us comes back", act: undrain },
] as const;
const roundSeconds = steps.length * STEP_SECONDS;

/** Shares of one round, second by second: by name, then by region. */
type RoundShares = readonly (readonly (readonly number[])[])[];

function sharesOf(
  seen: readonly Seen[],
  cachesCount: number,
  startsMs: readonly number[],
): RoundShares {
  return names.map((_name, name) => {
    const ofName = seen.filter((each) => each.name === name);
    const bins = Array.from({ length: roundSeconds }, () => new Map<number, number[]>());
    for (const { atMs, cache, address } of ofName) {
      const step = startsMs.findLastIndex((startMs) => startMs <= atMs);
      const second = Math.floor((atMs - (startsMs[step] ?? 0)) / 1000);
      if (step < 0 || second >= STEP_SECONDS) continue;
      const bin = bins[step * STEP_SECONDS + second];
      const at = regions.findIndex((each) => each.address === address);
      const counts = bin?.get(cache) ?? regions.map(() => 0);
      counts[at] = (counts[at] ?? 0) + 1;
      bin?.set(cache, counts);
    }
    // Each cache counts as much as another, however often it was asked in this second.
    return regions.map((_region, at) =>
      bins.map((bin) => {
        let sum = 0;
        for (const counts of bin.values())
          sum += (counts[at] ?? 0) / counts.reduce((total, count) => total + count, 0);
        return bin.size === 0 ? Number.NaN : sum / Math.min(bin.size, cachesCount);
      }),
    );
  });
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

/** Half-width of the 95 % interval of a mean of rounds. */
function halfWidth(values: readonly number[]): number {
  const centre = mean(values);
  const variance =
    values.reduce((sum, value) => sum + (value - centre) ** 2, 0) / (values.length - 1);
  return 1.96 * Math.sqrt(variance / values.length);
}

async function untilItAnswers(): Promise<void> {
  for (let attempt = 0; attempt < 400; attempt++) {
    const question = { server: SERVER, name: "gpu.example.org", type: RRType.A, timeoutMs: 500 };
    const answer = await askDns(question).catch(() => undefined);
    if (answer !== undefined && addressesOf(answer).length > 0) return;
    await sleep(100);
  }
  throw new Error("the demo does not come up");
}

async function run(): Promise<void> {
  start(join(import.meta.dirname, "../../bin/meridian"), [
    ...["quickstart", "--state", stateDir, "--traffic", "0", "--http", "none"],
  ]);
  await untilItAnswers();
  const regionOf = new Map(regions.map(({ name, address }) => [address, name]));
  const { caches, resolvers } = await drawUp(SERVER, regionOf);
  for (const resolver of resolvers)
    start("unbound", ["-d", "-c", writeConfiguration(folder, SERVER, resolver)]);
  let seen: Seen[] = [];
  const clients = await DemoClients.start(caches, names, RATE, (each) => seen.push(each));
  await sleep(WARM_SECONDS * 1000);
  const measured: RoundShares[] = [];
  let answers = 0;
  for (let round = 0; round < rounds; round++) {
    const phaseMs = (round / rounds) * PROBE_MS;
    const earliestMs = Date.now() + 500 + Math.random() * PAUSE_SECONDS_MAX * 1000;
    const beginMs = Math.ceil((earliestMs - phaseMs) / PROBE_MS) * PROBE_MS + phaseMs;
    await sleep(beginMs - Date.now());
    seen = [];
    const startsMs: number[] = [];
    for (const [step, { act }] of steps.entries()) {
      await act();
      startsMs.push(performance.now());
      await sleep(beginMs + (step + 1) * STEP_SECONDS * 1000 - Date.now());
    }
    answers += seen.length;
    measured.push(sharesOf(seen, caches.length, startsMs));
    process.stderr.write(`round ${round + 1} of ${rounds}: ${seen.length} answers\n`);
  }
  const asked = clients.asked;
  clients.close();
  const result = {
    date: new Date().toISOString(),
    machine: `${cpus().length} × ${cpus()[0]?.model ?? "?"}`,
    load: loadavg(),
    rounds,
    stepSeconds: STEP_SECONDS,
    steps: steps.map(({ what }) => what),
    resolvers: resolvers.length,
    groups,
    caches: caches.length,
    ratePerCache: RATE,
    asked,
    answers,
    names: names.map((name, index) => ({
      name,
      regions: regions.map(({ name: regionName }, at) => {
        const series = measured.map((round) => round[index]?.[at] ?? []);
        const bins = Array.from({ length: roundSeconds }, (_, bin) =>
          series.map((each) => each[bin] ?? Number.NaN),
        );
        return { region: regionName, share: bins.map(mean), error: bins.map(halfWidth) };
      }),
    })),
  };
  const text = `${JSON.stringify(result)}\n`;
  if (output === undefined) process.stdout.write(text);
  else writeFileSync(output, text);
}

try {
  await run();
} finally {
  for (const child of children) child.kill();
  await Promise.all(
    children.map(async (child) => {
      if (child.exitCode === null && child.signalCode === null)
        await Promise.race([once(child, "exit"), sleep(5000)]);
    }),
  );
  rmSync(folder, { recursive: true, force: true });
}
process.exit(0);
