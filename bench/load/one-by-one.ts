// SPDX-License-Identifier: Apache-2.0
import type { LoaderOptions, LoaderSummary } from "./measure/loader.ts";
import type { Options } from "./options.ts";
import { Stage, type RunningServer, type StageOptions } from "./stage.ts";
import { saturate } from "./saturate.ts";
import type { ServerAdapter } from "./servers/adapter.ts";

/** What every change has to be made under: a share of what the server answers at most. */
const LOAD_SHARE = 0.7;
/** A load that something else ends lasts no longer than this. */
const LOAD_SECONDS_MAX = 3600;

/** Starts a server and waits until its answers are right; says so and gives undefined where it cannot be. */
export async function startOrLeaveOut(
  stage: Stage,
  adapter: ServerAdapter,
): Promise<RunningServer | undefined> {
  try {
    const server = await stage.start(adapter);
    if (server === undefined) {
      console.log(`  ${adapter.name}: not installed, left out`);
      return undefined;
    }
    await stage.settle(server);
    return server;
  } catch (error) {
    complain(adapter, error);
    return undefined;
  }
}

/**
 * Measures every server with no other running: their checks ask the same endpoints, and a change that one server's check
 * sees first says nothing of another.
 */
export async function measureEach<T>(
  options: StageOptions,
  run: Options,
  measure: (stage: Stage, server: RunningServer) => Promise<T>,
): Promise<readonly T[]> {
  const stage = await Stage.open(options, run);
  const results: T[] = [];
  try {
    // The floor turns datagrams round: nothing of it can change.
    const changing = options.adapters.filter(
      (adapter) => adapter.answers(options.workload) !== undefined,
    );
    for (const adapter of changing) {
      const server = await startOrLeaveOut(stage, adapter);
      if (server === undefined) continue;
      try {
        results.push(await measure(stage, server));
      } catch (error) {
        complain(adapter, error);
      }
      await stage.stop(server);
    }
    return results;
  } finally {
    await stage.close();
  }
}

/** A load of 70 % of what a server answers at most, until it is finished. */
export interface HeavyLoad {
  /** What the server answered at most, queries a second. */
  readonly queriesPerSecondMax: number;
  readonly run: ReturnType<Stage["load"]>;
  /** Ends the load and gives what was counted. */
  finish(): Promise<LoaderSummary>;
}

/** Finds out what a server answers at most and keeps it at 70 % of that. */
export async function loadHeavily(
  stage: Stage,
  server: RunningServer,
  options: Options,
  loader: Pick<LoaderOptions, "watch" | "skipLateUs"> = {},
): Promise<HeavyLoad> {
  const { queriesPerSecond } = await saturate(stage, server, options);
  const rate = Math.floor(queriesPerSecond * LOAD_SHARE);
  const run = stage.load(server, { rate, seconds: LOAD_SECONDS_MAX, ...loader });
  return {
    queriesPerSecondMax: queriesPerSecond,
    run,
    finish: () => {
      run.finish();
      return run.summary;
    },
  };
}

function complain(adapter: ServerAdapter, error: unknown): void {
  const reason = error instanceof Error ? error.message : String(error);
  console.error(`  ${adapter.name}: left out. ${reason}`);
}
