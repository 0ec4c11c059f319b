// SPDX-License-Identifier: Apache-2.0
import { cpuBetween, readBusy, readCpu } from "./measure/cpu.ts";
import { runDnsperf } from "./measure/dnsperf.ts";
import type { Options } from "./options.ts";
import type { SaturatedTurn } from "./output/results.ts";
import type { RunningServer, Stage } from "./stage.ts";

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
