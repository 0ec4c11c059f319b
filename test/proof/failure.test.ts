// SPDX-License-Identifier: Apache-2.0

// A region that dies, in five ways, leaves every answer within the bound that the design states, and comes back by its thresholds.
// "Every answer" is asked for from many source ports over IPv4 and IPv6, UDP and TCP, A and AAAA, without pause.

import assert from "node:assert/strict";
import { execFileSync, fork, spawnSync, type ChildProcess } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { Worker } from "node:worker_threads";
import {
  makeCertificates,
  opensslMissing,
} from "../../packages/health/src/testing/certificates.ts";
import { programPath } from "../needs.ts";
import { FIELDS, Field, nowMs, type PollerData } from "./poller-data.ts";
import type { RegionCommand, RegionStart } from "./region.ts";
import { System, documents, pause, until } from "./system.ts";

const INTERVAL_MS = 200;
const TIMEOUT_MS = 100;
const THRESHOLD = 2;
const JITTER = 0.05;
const SLACK_MS = 100;
/** A machine that has too much to do lets nobody answer for so long. */
const STALL_MS_MAX = 30_000;
const rounds = process.env["MERIDIAN_LONG"] === "1" ? 20 : 2;
/** The latest start of a query that may still be told of the victim, after it failed. */
const BOUND_MS = INTERVAL_MS * (1 + JITTER) * THRESHOLD + TIMEOUT_MS + SLACK_MS;
/** No sooner may it be back: two successes lie this far apart, less what the first was late on a busy machine. */
const BACK_MS_MIN = INTERVAL_MS * (1 - JITTER) * (THRESHOLD - 1) - 50;

/** Runs in a process of its own, and obeys. */
class Region {
  readonly #child: ChildProcess;
  readonly #done = new Map<number, () => void>();
  port = 0;
  #nextId = 1;

  private constructor(child: ChildProcess) {
    this.#child = child;
    child.on("message", (message: { readonly id: number; readonly port?: number }) => {
      if (message.port !== undefined) this.port = message.port;
      this.#done.get(message.id)?.();
    });
  }

  static async start(start: RegionStart): Promise<Region> {
    const path = join(import.meta.dirname, "region.ts");
    const region = new Region(fork(path, [JSON.stringify(start)], { execArgv: [] }));
    await region.#acknowledged(0);
    return region;
  }

  async command(command: RegionCommand): Promise<void> {
    const id = this.#nextId++;
    this.#child.send({ id, command });
    await this.#acknowledged(id);
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  close(): void {
    this.#child.kill("SIGKILL");
  }

  #acknowledged(id: number): Promise<void> {
    return new Promise((resolve) => {
      this.#done.set(id, resolve);
    });
  }
}

/** One way to die. `skip` says why it cannot be tried here. */
interface Death {
  readonly name: string;
  readonly skip: string | false;
  readonly isSecure: boolean;
  /** A probe that was on its way when the region came back may succeed. */
  readonly isHang: boolean;
  kill(region: Region, address: string): void | Promise<void>;
  revive(region: Region): void | Promise<void>;
}

const nftMissing: string | false =
  programPath("nft") === undefined
    ? "nft is not installed; apt-get install nftables"
    : spawnSync("nft", ["list", "tables"]).status === 0
      ? false
      : "nft may not change the rules of this host: needs root";
const table = `meridian_proof_${process.pid}`;

function nft(text: string): void {
  execFileSync("nft", [text], { stdio: "pipe" });
}

const deaths: readonly Death[] = [
  {
    name: "closed",
    skip: false,
    isSecure: false,
    isHang: false,
    kill: (region) => region.command("close"),
    revive: (region) => region.command("open"),
  },
  {
    name: "stopped",
    skip: false,
    isSecure: false,
    isHang: true,
    kill: (region) => region.signal("SIGSTOP"),
    revive: (region) => region.signal("SIGCONT"),
  },
  {
    name: "dropped",
    skip: nftMissing,
    isSecure: false,
    isHang: false,
    kill: ({ port }, address) => {
      nft(`add table inet ${table}`);
      nft(`add chain inet ${table} in { type filter hook input priority 0; }`);
      nft(`add rule inet ${table} in ip daddr ${address} tcp dport ${port} drop`);
    },
    revive: () => nft(`delete table inet ${table}`),
  },
  {
    name: "failing",
    skip: false,
    isSecure: false,
    isHang: false,
    kill: (region) => region.command("fail"),
    revive: (region) => region.command("serve"),
  },
  {
    name: "expired",
    skip: opensslMissing,
    isSecure: true,
    isHang: false,
    kill: (region) => region.command("expire"),
    revive: (region) => region.command("renew"),
  },
];

const UDP_SOURCES = 24;
const SOURCES = UDP_SOURCES + 4;

/** What the poller's thread saw. */
class Poller {
  readonly #facts: Float64Array;
  readonly #thread: Worker;

  private constructor(facts: Float64Array, thread: Worker) {
    this.#facts = facts;
    this.#thread = thread;
  }

  static async start(system: System, names: PollerData["names"]): Promise<Poller> {
    const facts = new SharedArrayBuffer(names.length * SOURCES * FIELDS * 8);
    const workerData: PollerData = {
      portIpv4: system.port(4),
      portIpv6: system.port(6),
      sources: SOURCES,
      udpSources: UDP_SOURCES,
      periodMs: 30,
      names,
      facts,
    };
    const thread = new Worker(new URL("./poller.ts", import.meta.url), { workerData });
    await new Promise((resolve, reject) => {
      thread.once("message", resolve);
      thread.once("error", reject);
    });
    return new Poller(new Float64Array(facts), thread);
  }

  /** One fact of a name, by source. */
  read(name: number, field: number): number[] {
    return Array.from(
      { length: SOURCES },
      (_, source) => this.#facts[(name * SOURCES + source) * FIELDS + field] ?? 0,
    );
  }

  /** The next time that each source is told of the victim is its first one again. */
  restart(name: number): void {
    for (let source = 0; source < SOURCES; source++)
      this.#facts[(name * SOURCES + source) * FIELDS + Field.firstVictim] = 0;
  }

  async close(): Promise<void> {
    await this.#thread.terminate();
  }
}

/** How long this process was kept from running: a busy machine delays probes, regions and answers alike, which is no fault of theirs. */
class Stalls {
  readonly #gaps: { readonly atMs: number; readonly ms: number }[] = [];
  readonly #timer: NodeJS.Timeout;

  constructor() {
    let beforeMs = nowMs();
    this.#timer = setInterval(() => {
      const atMs = nowMs();
      if (atMs - beforeMs > 15) this.#gaps.push({ atMs, ms: atMs - beforeMs });
      beforeMs = atMs;
    }, 5);
  }

  /** Twice the longest gap since a moment: a probe and what it asks may each meet one. */
  allowance(sinceMs: number): number {
    const gaps = this.#gaps.filter(({ atMs }) => atMs >= sinceMs).map(({ ms }) => ms);
    return 2 * Math.max(0, ...gaps);
  }

  close(): void {
    clearInterval(this.#timer);
  }
}

interface Timing {
  /**
   * When the last query was sent that was told of the victim, after its death; when the first such answer came after its revival, to
   * any source and to the last one. A worker may be held up by the machine between a query and its answer, so each bound is compared
   * with the end that cannot be late for that reason.
   */
  readonly gone: number;
  readonly back: number;
  readonly backEverywhere: number;
  /** What the machine may have added to each of them. */
  readonly allowance: number;
}

async function round(
  death: Death,
  name: number,
  region: Region,
  poller: Poller,
  stalls: Stalls,
): Promise<Timing> {
  const address = addressOf(name);
  // Anywhere in the interval, so that the worst case is met sooner or later.
  await pause(Math.random() * INTERVAL_MS);
  const answersBefore = poller.read(name, Field.answers);
  const killedMs = nowMs();
  await death.kill(region, address);
  await pause(BOUND_MS + 500);
  const isAnswered = (answers: number, source: number): boolean =>
    answers > (answersBefore[source] ?? 0) + 5;
  await until(
    () => poller.read(name, Field.answers).every(isAnswered),
    STALL_MS_MAX,
    `answers to every source while ${death.name}`,
  );
  const gone = Math.max(...poller.read(name, Field.lastVictim)) - killedMs;
  poller.restart(name);
  await pause(40);
  assert.equal(Math.max(...poller.read(name, Field.firstVictim)), 0, `${death.name} stays away`);
  const revivedMs = nowMs();
  await death.revive(region);
  await pause(BOUND_MS + 500);
  await until(
    () => Math.min(...poller.read(name, Field.firstVictim)) > 0,
    STALL_MS_MAX,
    `${death.name} is back for every source`,
  );
  const first = poller.read(name, Field.firstVictim);
  return {
    gone,
    back: Math.min(...first) - revivedMs,
    backEverywhere: Math.max(...first) - revivedMs,
    // A probe that was under way when the region died counts, too.
    allowance: stalls.allowance(killedMs - INTERVAL_MS),
  };
}

function check(context: TestContext, death: Death, timings: readonly Timing[]): void {
  const most = (of: (timing: Timing) => number): number => Math.max(...timings.map(of));
  const [gone, soonest, latest, added] = [
    most((timing) => timing.gone),
    -most((timing) => -timing.back),
    most((timing) => timing.backEverywhere),
    most((timing) => timing.allowance),
  ].map((ms) => ms.toFixed(0));
  context.diagnostic(
    `${rounds} rounds: gone after ≤ ${gone} ms, back after ${soonest} to ${latest} ms; the machine added up to ${added} ms`,
  );
  const backMs = death.isHang ? BACK_MS_MIN - TIMEOUT_MS : BACK_MS_MIN;
  for (const { gone: goneMs, back, backEverywhere, allowance } of timings) {
    const boundMs = BOUND_MS + allowance;
    assert.ok(goneMs <= boundMs, `gone after ${goneMs} ms, expected ≤ ${boundMs} ms`);
    assert.ok(back >= backMs - allowance, `back after ${back} ms, expected ≥ ${backMs} ms`);
    assert.ok(
      backEverywhere <= boundMs,
      `back after ${backEverywhere} ms, expected ≤ ${boundMs} ms`,
    );
  }
}

function addressOf(name: number): string {
  return `127.0.1.${name + 1}`;
}

function proofDocuments(regions: readonly Region[], ca: string): string {
  const timing = `interval: ${INTERVAL_MS}ms, timeout: ${TIMEOUT_MS}ms, unhealthyThreshold: ${THRESHOLD}, healthyThreshold: ${THRESHOLD}`;
  return documents(
    "Zone proof.test {origin: proof.test, nameServers: [{name: ns.proof.test, addresses: [127.0.0.1]}]}",
    `HealthCheck plain {http: {}, ${timing}}`,
    `HealthCheck secure {https: {ca: ${JSON.stringify(ca)}, serverName: svc.example.org, host: svc.example.org}, ${timing}}`,
    'Pool rest {members: {r: {address: 192.0.2.1, alsoAddress: "2001:db8::ff"}}}',
    ...deaths.flatMap(({ name, isSecure }, index) => {
      const port = regions[index]?.port ?? 1;
      return [
        `Pool ${name} {healthCheck: ${isSecure ? "secure" : "plain"}, members: {m: {address: ${addressOf(index)}, port: ${port}, alsoAddress: "2001:db8::${index + 1}"}}}`,
        `TrafficPolicy ${name} {root: f, nodes: {f: {failover: {tiers: [{branches: [{pool: ${name}}]}, {branches: [{pool: rest}]}]}}}}`,
        `Record ${name}.proof.test {name: ${name}.proof.test, types: [A, AAAA], policy: ${name}, ttl: {min: 1s, max: 5s}}`,
      ];
    }),
  );
}

async function startRegions(context: TestContext): Promise<{ regions: Region[]; ca: string }> {
  const folder = mkdtempSync(join(tmpdir(), "meridian-regions-"));
  context.after(() => rmSync(folder, { recursive: true, force: true }));
  const certificates = opensslMissing === false ? makeCertificates() : undefined;
  const ca = join(folder, "ca.pem");
  writeFileSync(ca, certificates?.caPem ?? "");
  const regions: Region[] = [];
  for (const [index, { isSecure }] of deaths.entries()) {
    const tls =
      isSecure && certificates !== undefined
        ? { tls: { good: certificates.good, expired: certificates.expired } }
        : {};
    const region = await Region.start({ address: addressOf(index), ...tls });
    context.after(() => region.close());
    regions.push(region);
  }
  return { regions, ca };
}

test(
  `a region that dies leaves every answer within ${BOUND_MS} ms and comes back by its thresholds`,
  { concurrency: deaths.length },
  async (context) => {
    const { regions, ca } = await startRegions(context);
    const system = await System.start({ documents: proofDocuments(regions, ca), probing: true });
    context.after(() => system.close());
    const poller = await Poller.start(
      system,
      deaths.map(({ name }, index) => ({
        name: `${name}.proof.test.`,
        victims: [addressOf(index), `20010db8${"0".repeat(22)}0${index + 1}`],
      })),
    );
    context.after(() => poller.close());
    const stalls = new Stalls();
    context.after(() => stalls.close());
    const before = system.queriesByWorker();
    await Promise.all(
      deaths.map((death, index) =>
        context.test(death.name, { skip: death.skip }, async (own) => {
          const region = regions[index];
          assert.ok(region !== undefined);
          const timings: Timing[] = [];
          for (let count = 0; count < rounds; count++)
            timings.push(await round(death, index, region, poller, stalls));
          check(own, death, timings);
        }),
      ),
    );
    for (const [worker, queries] of system.queriesByWorker().entries())
      assert.ok(queries > (before[worker] ?? 0) + 100, `worker ${worker} was asked`);
  },
);
