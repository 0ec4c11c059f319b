// SPDX-License-Identifier: Apache-2.0

// The store on an SQLite file and on a local etcd of three members: `node bench/store.ts [--documents N] [--rounds N] [--write]`. Each round begins with an
// empty store and applies documents in change sets of 10,000, commits single ones, lists all and watches all from the beginning. --write keeps the figures in
// bench/results.

import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { cpus, loadavg, tmpdir } from "node:os";
import { join } from "node:path";
import { monitorEventLoopDelay } from "node:perf_hooks";
import process from "node:process";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { openStore, parseStoreLocation, type Store } from "@meridian/control";

const CHANGE_SET_DOCUMENTS = 10_000;
const SINGLE_COMMITS = 200;

interface Round {
  /** Documents a second, applied in change sets of 10,000. */
  readonly appliedPerSecond: number;
  /** Longest that the thread of the caller was held up meanwhile, in milliseconds. */
  readonly heldUpMs: number;
  readonly singleCommitMs: { readonly median: number; readonly p99: number };
  readonly listedSeconds: number;
  readonly watchedSeconds: number;
  /** From nothing to a second replica that answers; etcd only. */
  readonly openedSeconds?: number;
}

const { values } = parseArgs({
  options: {
    documents: { type: "string", default: "100000" },
    rounds: { type: "string", default: "3" },
    write: { type: "boolean", default: false },
  },
});
const documents = Number(values.documents);
const rounds = Number(values.rounds);

const folder = mkdtempSync(join(tmpdir(), "meridian-bench-store-"));
const members = await startEtcd(folder);
const results: Record<string, Round[]> = { sqlite: [], etcd: [] };
try {
  for (let round = 0; round < rounds; round++) {
    results["sqlite"]?.push(await measure(`sqlite:${join(folder, `${round}.sqlite`)}`));
    results["etcd"]?.push(await measure(`etcd://${members.endpoints}/bench-${round}`));
  }
} finally {
  for (const child of members.processes) {
    child.kill("SIGKILL");
    await once(child, "exit");
  }
  rmSync(folder, { recursive: true });
}
for (const [backEnd, measured] of Object.entries(results))
  for (const round of measured) process.stdout.write(`${backEnd} ${JSON.stringify(round)}\n`);
if (values.write) keep();

async function measure(place: string): Promise<Round> {
  const location = parseStoreLocation(place);
  const store = await openStore(location, complain);
  try {
    const delay = monitorEventLoopDelay({ resolution: 1 });
    delay.enable();
    const applied = await seconds(() => apply(store));
    delay.disable();
    const singleCommitMs = await commitSingles(store);
    const listedSeconds = await seconds(() => list(store));
    const watchedSeconds = await seconds(() => watch(store));
    const round = {
      appliedPerSecond: Math.round(documents / applied),
      heldUpMs: Math.round(delay.max / 1e6),
      singleCommitMs,
      listedSeconds,
      watchedSeconds,
    };
    if (location.kind === "sqlite") return round;
    const openedSeconds = await seconds(async () => {
      const other = await openStore(location, complain);
      await other.close();
    });
    return { ...round, openedSeconds };
  } finally {
    await store.close();
  }
}

async function apply(store: Store): Promise<void> {
  for (let first = 0; first < documents; first += CHANGE_SET_DOCUMENTS) {
    const count = Math.min(CHANGE_SET_DOCUMENTS, documents - first);
    const writes = Array.from({ length: count }, (_, index) => write(first + index));
    await store.commit({ id: `bulk-${first}`, cause: "{}", writes });
  }
}

/** A record of the size that one has in the example documents. */
function write(number: number): Parameters<Store["commit"]>[0]["writes"][number] {
  const name = `record-${String(number).padStart(7, "0")}`;
  const document = {
    apiVersion: "meridian.dev/v1alpha1",
    kind: "Record",
    metadata: { name, namespace: "default", owner: "api", generation: 1, labels: { team: "web" } },
    spec: {
      name: `${name}.gtm.example.org`,
      policy: `policy-${number % 1000}`,
      ttl: { min: "5s" },
    },
  };
  return { key: { kind: "Record", namespace: "default", name }, text: JSON.stringify(document) };
}

async function commitSingles(store: Store): Promise<Round["singleCommitMs"]> {
  const times: number[] = [];
  for (let number = 0; number < SINGLE_COMMITS; number++) {
    const writes = [write(number)];
    const startMs = performance.now();
    await store.commit({ id: `single-${number}`, cause: "{}", writes });
    times.push(performance.now() - startMs);
  }
  const sorted = times.toSorted((a, b) => a - b);
  const at = (share: number): number =>
    Math.round((sorted[Math.floor(share * (sorted.length - 1))] ?? 0) * 100) / 100;
  return { median: at(0.5), p99: at(0.99) };
}

async function list(store: Store): Promise<void> {
  let seen = 0;
  let more: string | undefined;
  do {
    const page = await store.list({ kind: "Record", limit: 5000, continue: more });
    seen += page.documents.length;
    more = page.continue;
  } while (more !== undefined);
  if (seen !== documents) throw new Error(`Listed ${seen} of ${documents} documents`);
}

async function watch(store: Store): Promise<void> {
  const { revision } = await store.head();
  const stop = new AbortController();
  for await (const changeSet of store.watch(0, stop.signal))
    if (changeSet.revision === revision) stop.abort();
}

async function seconds(run: () => Promise<unknown>): Promise<number> {
  const startMs = performance.now();
  await run();
  return Math.round(performance.now() - startMs) / 1000;
}

async function startEtcd(
  root: string,
): Promise<{ endpoints: string; processes: readonly ChildProcess[] }> {
  const ports = await Promise.all(Array.from({ length: 6 }, freePort));
  const peers = [0, 1, 2].map((member) => `http://127.0.0.1:${ports[member]}`);
  const clients = [0, 1, 2].map((member) => `http://127.0.0.1:${ports[3 + member]}`);
  const cluster = peers.map((peer, member) => `m${member}=${peer}`).join(",");
  const processes = peers.map((peer, member) => {
    const client = clients[member] ?? "";
    const flags = [
      ...["--name", `m${member}`, "--data-dir", join(root, `m${member}`)],
      ...["--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer],
      ...["--listen-client-urls", client, "--advertise-client-urls", client],
      ...["--initial-cluster", cluster, "--log-level", "error"],
    ];
    return spawn("etcd", flags, { stdio: "ignore" });
  });
  const endpoints = clients.map((client) => client.slice("http://".length)).join(",");
  for (let attempt = 0; attempt < 20; attempt++) {
    try {
      await (await openStore(parseStoreLocation(`etcd://${endpoints}/ready`), complain)).close();
      break;
    } catch {
      await sleep(500);
    }
  }
  return { endpoints, processes };
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  server.close();
  await once(server, "close");
  return typeof address === "object" && address !== null ? address.port : 0;
}

function complain(message: string): void {
  process.stderr.write(`${message}\n`);
}

function keep(): void {
  const date = new Date().toISOString();
  const machine = {
    cpu: cpus()[0]?.model,
    cores: cpus().length,
    node: process.version,
    loadAverage: loadavg()[0],
  };
  const settings = { documents, rounds, changeSetDocuments: CHANGE_SET_DOCUMENTS };
  const file = new URL(`results/${date.slice(0, 10)}-store.json`, import.meta.url);
  writeFileSync(file, `${JSON.stringify({ date, machine, settings, results }, undefined, 1)}\n`);
  process.stdout.write(`${file.pathname}\n`);
}
