// SPDX-License-Identifier: Apache-2.0

// Clients against real stores in real processes, while those processes and the members of the cluster die, stand still and come back. Everything that
// clients did and saw goes to a file.
//
// The run goes in rounds: all clients end one before the next begins, so that a contradiction can be looked at from the last quiet moment on.

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { Pcg32 } from "@meridian/core";
import { EtcdCluster } from "../../packages/control/src/testing/store-parts.ts";
import { HistoryFile, Recorder } from "./recorder.ts";
import { StoreProcess } from "./store-processes.ts";
import { Client, recordWatch } from "./workload.ts";

const CLIENTS = 8;
const WATCHES_OF_A_PROCESS = 1;
const ACTIONS_OF_A_ROUND = 20;
const MEMBERS = 3;
const FAULT_MS_MAX = 2500;

export type StoreKind = "sqlite" | "etcd";

export interface RealRunOptions {
  readonly kind: StoreKind;
  readonly seconds: number;
  /** Of what clients do and which faults happen; not of their timing. */
  readonly seed: number;
  readonly historyPath: string;
  /** Longest pause of a client before each action, in milliseconds. */
  readonly pauseMs: number;
  /** Longest time between two faults, in milliseconds. */
  readonly quietMs: number;
}

export interface RealRunFigures {
  readonly operations: number;
  readonly faults: Record<string, number>;
}

/** Where the run takes place, and what can happen to it. */
interface Scene {
  readonly processes: readonly StoreProcess[];
  readonly faults: Readonly<Record<string, () => Promise<void>>>;
  close(): Promise<void>;
}

export async function realRun(options: RealRunOptions): Promise<RealRunFigures> {
  const { kind, seconds, seed, historyPath, pauseMs, quietMs } = options;
  const random = new Pcg32(seed);
  const scene = kind === "sqlite" ? await sqliteScene() : await etcdScene(random);
  const file = new HistoryFile(historyPath, `${kind}, seed ${seed}`);
  let ticks = 0;
  const recorder = new Recorder(() => ++ticks, file);
  const common = { recorder, from: 0, sleep: (ms: number) => sleep(ms) };
  const ports = scene.processes.map((process) => process.port());
  const stop = new AbortController();
  try {
    const watched = new Map<string, number>();
    const watches = ports.flatMap((port, at) =>
      Array.from({ length: WATCHES_OF_A_PROCESS }, (_, index) => {
        const name = `w${at}-${index}`;
        watched.set(name, 0);
        const onRevision = (revision: number): void => void watched.set(name, revision);
        const more = { port, name, onRevision, random: new Pcg32(random.next32()) };
        return recordWatch({ ...common, ...more }, stop.signal);
      }),
    );
    const clients = Array.from({ length: CLIENTS }, (_, index) => {
      const port = ports[index % ports.length]!;
      return new Client({ ...common, port, name: `c${index}`, random: new Pcg32(random.next32()) });
    });
    const untilMs = performance.now() + seconds * 1000;
    const ended = new AbortController();
    const faults = happen(scene.faults, random, quietMs, ended.signal);
    while (performance.now() < untilMs)
      await Promise.race([
        Promise.all(clients.map((client) => client.run(ACTIONS_OF_A_ROUND, pauseMs))),
        // They end only by an error before they are told to.
        Promise.all([faults, ...watches]),
      ]);
    ended.abort();
    const counts = await faults;
    await calm(clients[0]!, ports[0]!, watched);
    stop.abort();
    await Promise.all(watches);
    return { operations: file.count, faults: counts };
  } finally {
    stop.abort();
    recorder.close();
    await scene.close();
  }
}

/** Everything is well again: what is there now is read, and the watches are told of it. */
async function calm(
  client: Client,
  port: { head(): Promise<number> },
  watched: ReadonlyMap<string, number>,
): Promise<void> {
  const untilMs = performance.now() + 60_000;
  let head: number | undefined;
  while (head === undefined) head = await port.head().catch(() => undefined);
  await client.list();
  while ([...watched.values()].some((revision) => revision < head)) {
    if (performance.now() > untilMs) throw new Error(`A watch was not told of revision ${head}`);
    await sleep(50);
  }
}

async function happen(
  faults: Scene["faults"],
  random: Pcg32,
  quietMs: number,
  ended: AbortSignal,
): Promise<Record<string, number>> {
  const counts: Record<string, number> = {};
  const names = Object.keys(faults);
  while (!ended.aborted) {
    await sleep(random.next32() % quietMs, undefined, { signal: ended }).catch(() => undefined);
    if (ended.aborted) break;
    const name = names[random.next32() % names.length]!;
    await faults[name]!();
    counts[name] = (counts[name] ?? 0) + 1;
  }
  return counts;
}

async function sqliteScene(): Promise<Scene> {
  const folder = mkdtempSync(join(tmpdir(), "meridian-consistency-"));
  const store = new StoreProcess(`sqlite:${join(folder, "store.sqlite")}`);
  await store.start();
  return {
    processes: [store],
    faults: { "store process killed": () => restarted(store) },
    close: async () => {
      await store.kill();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

async function etcdScene(random: Pcg32): Promise<Scene> {
  const cluster = await EtcdCluster.start({ members: MEMBERS });
  const processes = [0, 1].map((first) => {
    const endpoints = cluster.endpoints(...(first === 0 ? [0, 1, 2] : [2, 1, 0]));
    return new StoreProcess(`etcd://${endpoints}/consistency`);
  });
  await Promise.all(processes.map((process) => process.start()));
  const member = (): number => random.next32() % MEMBERS;
  const lasts = (): Promise<void> => sleep(random.next32() % FAULT_MS_MAX);
  return {
    processes,
    faults: {
      "store process killed": () => restarted(processes[random.next32() % processes.length]!),
      "member killed": async () => {
        const index = member();
        await cluster.kill(index);
        await lasts();
        cluster.startMember(index);
      },
      "member stopped": async () => {
        const index = member();
        cluster.pause(index);
        await lasts();
        cluster.resume(index);
      },
      "quorum lost": async () => {
        const [one, other] = [member(), member()];
        cluster.pause(one);
        cluster.pause(other);
        await lasts();
        cluster.resume(one);
        cluster.resume(other);
      },
    },
    close: async () => {
      await Promise.all(processes.map((process) => process.kill()));
      await cluster.close();
    },
  };
}

async function restarted(process: StoreProcess): Promise<void> {
  await process.kill();
  await process.start();
}
