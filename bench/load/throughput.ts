// SPDX-License-Identifier: Apache-2.0
import { setTimeout as sleep } from "node:timers/promises";
import { cpuBetween, readCpu } from "./measure/cpu.ts";
import { readMemory } from "./measure/memory.ts";
import { turns } from "./measure/statistics.ts";
import type { Options } from "./options.ts";
import type { Loading, ServerResult, Turn } from "./output/results.ts";
import { Stage, type RunningServer, type StageOptions } from "./stage.ts";
import { startOrLeaveOut } from "./one-by-one.ts";
import { saturate } from "./saturate.ts";

const IDLE_SECONDS = 2;
const CHECK_ONE_IN = 1000;
/** After a start, until memory is read. */
const STEADY_MS = 10_000;
const QUICK_STEADY_MS = 1000;

/**
 * All servers run at once, one is driven at a time, in an order that alternates: as fast as it goes, for CPU time a
 * query, then at a rate equal for all, for latency and loss.
 */
export async function measureThroughput(
  stageOptions: StageOptions,
  run: Options,
): Promise<readonly ServerResult[]> {
  const stage = await Stage.open(stageOptions, run);
  try {
    const servers: RunningServer[] = [];
    for (const adapter of stage.options.adapters) {
      const server = await startOrLeaveOut(stage, adapter);
      if (server !== undefined) servers.push(server);
    }
    const idle = new Map<string, number>();
    for (const server of servers) idle.set(server.adapter.name, await idleCores(server));
    const taken = new Map<string, Turn[]>(servers.map((server) => [server.adapter.name, []]));
    for (let round = 0; round < run.rounds; round += 1) {
      for (const [place, server] of turns(servers, round).entries()) {
        const turn = await takeTurn(stage, server, run, round, place);
        taken.get(server.adapter.name)?.push(turn);
        console.log(describeTurn(server, turn));
      }
    }
    const results: ServerResult[] = [];
    for (const server of servers) {
      results.push({
        name: server.adapter.name,
        label: server.adapter.label(stageOptions.workload),
        version: server.version,
        loadings: await loadingsOf(stage, server, run),
        idleCores: idle.get(server.adapter.name) ?? 0,
        turns: taken.get(server.adapter.name) ?? [],
      });
    }
    return results;
  } finally {
    await stage.close();
  }
}

/** How it came up at first, how it comes up again, and from what it kept on disk alone; it is stopped afterwards. */
async function loadingsOf(
  stage: Stage,
  server: RunningServer,
  run: Options,
): Promise<readonly Loading[]> {
  const loadings = [loadingOf("first", server)];
  const next = async (way: Loading["way"], started: RunningServer | undefined): Promise<void> => {
    if (started === undefined) return;
    await sleep(run.isQuick ? QUICK_STEADY_MS : STEADY_MS);
    loadings.push(loadingOf(way, started));
    await stage.stop(started);
  };
  await stage.stop(server);
  await next("again", await stage.startAgain(server));
  await next("stored", await stage.startStored(server));
  return loadings;
}

function loadingOf(way: Loading["way"], server: RunningServer): Loading {
  const snapshotBytes = server.adapter.snapshotBytes?.(server.serving);
  return {
    way,
    readyMs: server.loadMs,
    ...(server.saidMs === undefined ? {} : { saidMs: server.saidMs }),
    ...(server.compiledMs === undefined ? {} : { compiledMs: server.compiledMs }),
    memory: readMemory(server.pids()),
    ...(snapshotBytes === undefined ? {} : { snapshotBytes }),
  };
}

async function takeTurn(
  stage: Stage,
  server: RunningServer,
  run: Options,
  round: number,
  place: number,
): Promise<Turn> {
  const saturated = await saturate(stage, server, run);
  const load = {
    rate: run.rate,
    seconds: run.seconds,
    check: CHECK_ONE_IN,
    seed: run.seed + round,
  };
  const fixed = await stage.load(server, load).summary;
  return { round, place, saturated, fixed };
}

async function idleCores(server: RunningServer): Promise<number> {
  const before = readCpu(server.pids());
  await sleep(IDLE_SECONDS * 1000);
  return cpuBetween(before, readCpu(server.pids())).total / (IDLE_SECONDS * 1e6);
}

function describeTurn(server: RunningServer, { round, saturated, fixed }: Turn): string {
  return [
    `  round ${round + 1} ${server.adapter.name.padEnd(13)}`,
    `${Math.round(saturated.queriesPerSecond)} q/s`,
    `${saturated.cpu.toFixed(2)} µs (${saturated.cpuUser.toFixed(2)} + ${saturated.cpuSystem.toFixed(2)})`,
    `p50 ${fixed.p50} p99 ${fixed.p99} µs`,
    `lost ${fixed.lost}`,
    `wrong ${fixed.wrong}/${fixed.checked}`,
    `others ${Math.round(saturated.others * 100)} %`,
  ].join("  ");
}
