// SPDX-License-Identifier: Apache-2.0
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { LoaderSummary } from "../measure/loader.ts";
import type { ProbeBenchResult } from "../../micro/health-probes.ts";
import type { Machine } from "../measure/machine.ts";
import type { Memory } from "../measure/memory.ts";

// What a run leaves behind: one JSON file a scenario with every round in it, so that tables and plots can be made again
// and a reader can see the spread.

/** A server driven with as much as it answers. CPU times are microseconds a query, of all its threads together. */
export interface SaturatedTurn {
  readonly queriesPerSecond: number;
  readonly completed: number;
  readonly lost: number;
  readonly cpu: number;
  readonly cpuUser: number;
  readonly cpuSystem: number;
  /** The busiest thread alone, so that answering can be told from probing. */
  readonly cpuBusiest: number;
  readonly busiest: string;
  /** Answers by rcode. */
  readonly rcodes: Readonly<Record<string, number>>;
  /** What others used of the server's cores meanwhile, in cores: above 0.1 the rate says little. */
  readonly others: number;
}

/** One server's turn in one round. */
export interface Turn {
  readonly round: number;
  /** Place in the order of the round, from 0. */
  readonly place: number;
  readonly saturated: SaturatedTurn;
  readonly fixed: LoaderSummary;
}

/** How a server came up and what it held then. */
export interface Loading {
  /** From its configuration for the first time, once more with what it kept on disk besides, or from what it kept alone. */
  readonly way: "first" | "again" | "stored";
  /** From starting the process to its first answer. */
  readonly readyMs: number;
  /** From starting the process until it said itself that it is ready, where it does. */
  readonly saidMs?: number;
  /** From starting the process until it had compiled its configuration, where it does and says so. */
  readonly compiledMs?: number;
  /** `first`: after all rounds; the others: some seconds after they were ready. */
  readonly memory: Memory;
  /** Its newest snapshot on disk, where it keeps one. */
  readonly snapshotBytes?: number;
}

/** One server in a throughput scenario. */
export interface ServerResult {
  readonly name: string;
  readonly label: string;
  readonly version: string;
  /** How it came up, each way. */
  readonly loadings: readonly Loading[];
  /** Share of a core that it uses while nobody asks: its health checks. */
  readonly idleCores: number;
  readonly turns: readonly Turn[];
}

/** One flip as a client saw it, in milliseconds. */
export interface Flip {
  readonly name: string;
  readonly to: "down" | "up";
  /** From the order to change an endpoint until its check first got the new result. */
  readonly detectMs: number;
  /** From that result until a client got another answer. */
  readonly answerMs: number;
}

/** One server under flips. */
export interface FlipResult {
  readonly name: string;
  readonly label: string;
  readonly version: string;
  readonly checkIntervalSeconds: number;
  /** Queries a second that it answered at most, of which the load is a share. */
  readonly queriesPerSecondMax: number;
  readonly flips: readonly Flip[];
  /** Flips that no client saw in time. */
  readonly missed: number;
  /** Changed answers that no flip asked for. */
  readonly unasked: number;
  readonly load: LoaderSummary;
}

/** One server that was reloaded, or whose process was replaced, again and again under load. */
export interface DisturbanceResult {
  readonly name: string;
  readonly label: string;
  readonly version: string;
  /** Queries a second that it answered at most, of which the load is a share. */
  readonly queriesPerSecondMax: number;
  readonly load: LoaderSummary;
  /** One for each: from changed files to the changed answer, or from the order to replace until the new process answers alone. */
  readonly tookMs: readonly number[];
  /** Reloads whose change was never answered; replacements that were not made. */
  readonly missed: number;
}

/** One changed file, in milliseconds until a client got the answer that it asks for. */
export interface AppliedChange {
  readonly kind: string;
  readonly ms: number;
}

/** One server whose files were changed, one small thing at a time. */
export interface ChangeResult {
  readonly name: string;
  readonly label: string;
  readonly version: string;
  readonly changes: readonly AppliedChange[];
  /** Changes that no client saw in time. */
  readonly missed: number;
  /** How much of the cores that server and clients share was used, from 0 to 1. */
  readonly busy?: number;
  readonly load: LoaderSummary;
}

/** A server driven with queries with DO, as much as it answers. CPU times are microseconds a query. */
export interface SignedTurn {
  readonly queriesPerSecond: number;
  readonly lost: number;
  readonly cpu: number;
  readonly cpuBusiest: number;
  /** Meridian's own count of signatures that were there, were made meanwhile, and were refused. */
  readonly signatures:
    | { readonly ready: number; readonly made: number; readonly refused: number }
    | undefined;
  /** What others used of the server's cores meanwhile, in cores. */
  readonly others: number;
}

/** One server under one load of queries with DO. */
export interface SignedResult {
  readonly name: string;
  readonly version: string;
  readonly load: string;
  readonly turns: readonly SignedTurn[];
}

/** How a run was made. */
export interface Settings {
  readonly seconds: number;
  readonly rounds: number;
  readonly rate: number;
  readonly seed: number;
  readonly serverCores: string;
  readonly clientCore: number;
  readonly isQuick: boolean;
  readonly checkIntervalSeconds: number;
}

/** What files of results are like; those of another format are passed over. */
export const RESULT_FORMAT = 2;

/** Everything that one scenario found. */
export interface ScenarioResult {
  readonly format: typeof RESULT_FORMAT;
  readonly scenario: string;
  readonly title: string;
  /** ISO date and time of the start. */
  readonly date: string;
  readonly settings: Settings;
  readonly machine: Machine;
  readonly servers: readonly ServerResult[];
  readonly flips?: readonly FlipResult[];
  readonly reloads?: readonly DisturbanceResult[];
  readonly replaces?: readonly DisturbanceResult[];
  readonly changes?: readonly ChangeResult[];
  readonly probes?: readonly ProbeBenchResult[];
  readonly signed?: readonly SignedResult[];
}

/** Writes `DATE-SCENARIO.json` and gives its path without the ending. */
export function saveResult(folder: string, result: ScenarioResult): string {
  mkdirSync(folder, { recursive: true });
  const base = join(folder, `${result.date.slice(0, 10)}-${result.scenario}`);
  writeFileSync(`${base}.json`, `${JSON.stringify(result, undefined, 1)}\n`);
  return base;
}

/** The newest result of each scenario in a folder, in the order given, with the name of its file without the ending. */
export function newestResults(
  folder: string,
  scenarios: readonly string[],
): readonly { readonly file: string; readonly result: ScenarioResult }[] {
  const files = readdirSync(folder)
    .filter((file) => /^\d{4}-\d\d-\d\d-.*\.json$/.test(file))
    .toSorted()
    .toReversed();
  return scenarios.flatMap((scenario) => {
    for (const file of files.filter((name) => name.slice(11) === `${scenario}.json`)) {
      const parsed: unknown = JSON.parse(readFileSync(join(folder, file), "utf8"));
      if (isResult(parsed)) return [{ file: file.slice(0, -5), result: parsed }];
    }
    return [];
  });
}

function isResult(value: unknown): value is ScenarioResult {
  return (
    typeof value === "object" &&
    value !== null &&
    "format" in value &&
    value.format === RESULT_FORMAT &&
    "scenario" in value &&
    "servers" in value &&
    Array.isArray(value.servers) &&
    "machine" in value &&
    "settings" in value
  );
}
