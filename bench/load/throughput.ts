// SPDX-License-Identifier: Apache-2.0
import { setTimeout as sleep } from "node:timers/promises";
import { cpuBetween, readBusy, readCpu, residentBytes } from "./measure/cpu.ts";
import { runDnsperf } from "./measure/dnsperf.ts";
import { turns } from "./measure/statistics.ts";
import type { Options } from "./options.ts";
import type { SaturatedTurn, ServerResult, Turn } from "./output/results.ts";
import { Stage, type RunningServer, type StageOptions } from "./stage.ts";

const IDLE_SECONDS = 2;
const CHECK_ONE_IN = 1000;

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
    const servers = await startAll(stage);
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
      const bytes = residentBytes(server.pids());
      const warm = await stage.restart(server);
      results.push({
        name: server.adapter.name,
        label: server.adapter.label(stageOptions.workload),
        version: server.version,
        loadMs: server.loadMs,
        warmLoadMs: warm.loadMs,
        residentBytes: bytes,
        idleCores: idle.get(server.adapter.name) ?? 0,
        turns: taken.get(server.adapter.name) ?? [],
      });
      await stage.stop(warm);
    }
    return results;
  } finally {
    await stage.close();
  }
}

/** Starts every server of a stage that is installed and waits until its answers are right. */
export async function startAll(stage: Stage): Promise<readonly RunningServer[]> {
  const servers: RunningServer[] = [];
  for (const adapter of stage.options.adapters) {
    try {
      const server = await stage.start(adapter);
      if (server === undefined) {
        console.log(`  ${adapter.name}: not installed, left out`);
        continue;
      }
      await stage.settle(server);
      servers.push(server);
    } catch (error) {
      console.error(
        `  ${adapter.name}: left out. ${error instanceof Error ? error.message : String(error)}`,
      );
    }
  }
  return servers;
}

/** Drives a server as fast as it goes and charges its CPU time to the queries that it completed. */
export async function saturate(
  stage: Stage,
  server: RunningServer,
  run: Options,
): Promise<SaturatedTurn> {
  const { cores } = server.serving;
  const start = performance.now();
  const busy = readBusy(cores);
  const before = readCpu(server.pids());
  const found = await runDnsperf({
    port: server.serving.port,
    queryFile: stage.file("queries"),
    seconds: run.seconds,
    core: run.clientCore,
  });
  const spent = cpuBetween(before, readCpu(server.pids()));
  const others = Math.max(0, readBusy(cores) - busy - spent.total);
  const answered = Math.max(1, found.completed);
  return {
    queriesPerSecond: found.queriesPerSecond,
    completed: found.completed,
    lost: found.lost,
    cpu: spent.total / answered,
    cpuUser: spent.user / answered,
    cpuSystem: spent.system / answered,
    cpuBusiest: spent.busiest.total / answered,
    busiest: spent.busiest.name,
    rcodes: found.rcodes,
    others: others / ((performance.now() - start) * 1000),
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
