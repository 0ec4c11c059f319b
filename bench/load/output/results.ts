// SPDX-License-Identifier: Apache-2.0
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { LoaderSummary } from "../measure/loader.ts";
import type { Machine } from "../measure/machine.ts";

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

/** One server in a throughput scenario. */
export interface ServerResult {
  readonly name: string;
  readonly label: string;
  readonly version: string;
  /** From starting the process to its first answer. */
  readonly loadMs: number;
  /** The same once more with what it kept on disk, where it keeps something. */
  readonly warmLoadMs?: number;
  readonly residentBytes: number;
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
  readonly flips: readonly Flip[];
  /** Flips that no client saw in time. */
  readonly missed: number;
  readonly load: LoaderSummary;
}

/** One server under reloads. */
export interface ReloadResult {
  readonly name: string;
  readonly label: string;
  readonly version: string;
  /** Queries a second that it answered at most, of which the load is a share. */
  readonly queriesPerSecondMax: number;
  readonly load: LoaderSummary;
  /** From changed files to the changed answer, one for each reload. */
  readonly appliedMs: readonly number[];
  /** Reloads whose change was never answered. */
  readonly missed: number;
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

/** Everything that one scenario found. */
export interface ScenarioResult {
  readonly scenario: string;
  readonly title: string;
  /** ISO date and time of the start. */
  readonly date: string;
  readonly settings: Settings;
  readonly machine: Machine;
  readonly servers: readonly ServerResult[];
  readonly flips?: readonly FlipResult[];
  readonly reloads?: readonly ReloadResult[];
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
    .toSorted();
  return scenarios.flatMap((scenario) => {
    const file = files.findLast((name) => name.slice(11) === `${scenario}.json`);
    if (file === undefined) return [];
    const parsed: unknown = JSON.parse(readFileSync(join(folder, file), "utf8"));
    return isResult(parsed) ? [{ file: file.slice(0, -5), result: parsed }] : [];
  });
}

function isResult(value: unknown): value is ScenarioResult {
  return (
    typeof value === "object" &&
    value !== null &&
    "scenario" in value &&
    "servers" in value &&
    Array.isArray(value.servers) &&
    "machine" in value &&
    "settings" in value
  );
}
