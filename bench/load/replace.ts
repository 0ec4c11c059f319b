// SPDX-License-Identifier: Apache-2.0
import { setTimeout as sleep } from "node:timers/promises";
import { loadHeavily, measureEach } from "./one-by-one.ts";
import type { Options } from "./options.ts";
import type { DisturbanceResult } from "./output/results.ts";
import type { Stage, RunningServer, StageOptions } from "./stage.ts";

const GAP_MS = 500;

/** Replaces the process that answers, again and again, under load; counts lost queries and times each replacement. */
export function measureReplaces(
  { adapters, ...stageOptions }: StageOptions,
  run: Options,
  replaces: number,
): Promise<readonly DisturbanceResult[]> {
  const able = adapters.filter((adapter) => adapter.replace !== undefined);
  return measureEach({ ...stageOptions, adapters: able }, run, (stage, server) =>
    replaceServer(stage, server, run, replaces),
  );
}

async function replaceServer(
  stage: Stage,
  server: RunningServer,
  run: Options,
  replaces: number,
): Promise<DisturbanceResult> {
  const load = await loadHeavily(stage, server, run);
  const tookMs: number[] = [];
  let running = server;
  try {
    for (let index = 0; index < replaces; index += 1) {
      await sleep(GAP_MS);
      running = await stage.replace(running);
      tookMs.push(running.loadMs);
    }
  } catch (error) {
    // Whichever process answers now, the next replacement would not be like the ones before.
    console.error(
      `  ${server.adapter.name}: ${error instanceof Error ? error.message : String(error)}`,
    );
  }
  const summary = await load.finish();
  console.log(
    `  ${server.adapter.name}: ${tookMs.length} replacements at ${summary.rate} q/s, lost ${summary.lost + summary.late} of ${summary.sent}`,
  );
  await stage.stop(running);
  return {
    name: server.adapter.name,
    label: server.adapter.label(stage.options.workload),
    version: server.version,
    queriesPerSecondMax: load.queriesPerSecondMax,
    load: summary,
    tookMs,
    missed: replaces - tookMs.length,
  };
}
