// SPDX-License-Identifier: Apache-2.0
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { largePlan, millionSize, type PlanSize } from "../load/data/plan.ts";
import { regionNets } from "../load/data/regions.ts";
import { describeMachine } from "../load/measure/machine.ts";
import type { Serving } from "../load/servers/adapter.ts";
import { meridian, meridianFile } from "../load/servers/meridian.ts";
import type { IngestLoad, IngestRun } from "./load-once.ts";

// How long documents take from files to compiled sections, phase by phase: the million names of the scenario `million` as
// JSON lines, and as one zone in a master file. `--quick` takes a fiftieth of it, `--rounds N` repeats, `--save` writes
// the result to bench/results.

const SEED = 1;
const QUICK_ONE_IN = 50;
/** Files changed a moment ago are read again, as another change could hide in the same tick of the clock. */
const SETTLED_MS = 2500;

const { values } = parseArgs({
  options: {
    quick: { type: "boolean", default: false },
    save: { type: "boolean", default: false },
    rounds: { type: "string", default: "3" },
  },
});

interface Input {
  readonly name: string;
  readonly folder: string;
  readonly runs: IngestRun[];
}

const root = mkdtempSync(join(tmpdir(), "meridian-ingest-"));
try {
  const inputs = [jsonLines(), masterFile()];
  await sleep(SETTLED_MS);
  for (let round = 0; round < Number(values.rounds); round += 1) {
    for (const input of inputs) {
      input.runs.push(runOnce(input.folder));
      print(input, round);
    }
  }
  if (values.save) await save(inputs);
} finally {
  rmSync(root, { recursive: true, force: true });
}

function jsonLines(): Input {
  return prepare("json-lines", millionSize);
}

function masterFile(): Input {
  return prepare("master-file", { ...millionSize, zones: 1 });
}

function prepare(name: "json-lines" | "master-file", size: PlanSize): Input {
  const share = values.quick ? QUICK_ONE_IN : 1;
  const plan = largePlan(
    {
      ...size,
      names: size.names / share,
      policies: size.policies / share,
      endpoints: size.endpoints / share,
    },
    SEED,
  );
  const folder = join(root, name);
  mkdirSync(folder);
  const serving: Serving = {
    workload: name === "json-lines" ? "mixed" : "static",
    plan,
    nets: regionNets(SEED),
    check: { port: 80, intervalSeconds: 60, threshold: 3 },
    folder,
    port: 0,
    controlPort: 0,
    cores: "0",
  };
  (name === "json-lines" ? meridian : meridianFile).configure(serving);
  return { name, folder: join(folder, "documents"), runs: [] };
}

function runOnce(folder: string): IngestRun {
  const script = join(import.meta.dirname, "load-once.ts");
  const { status, stdout } = spawnSync(process.execPath, [script, folder], {
    encoding: "utf8",
    stdio: ["ignore", "pipe", "inherit"],
  });
  if (status !== 0) throw new Error(`Cannot load ${folder}: the process ended with ${status}`);
  const run: unknown = JSON.parse(stdout);
  if (!isRun(run)) throw new Error(`Cannot load ${folder}: the process printed ${stdout}`);
  return run;
}

function isRun(value: unknown): value is IngestRun {
  return typeof value === "object" && value !== null && "first" in value;
}

function print({ name, runs }: Input, round: number): void {
  const run = runs.at(-1);
  if (run === undefined) return;
  const megabytes = (bytes: number): string => `${Math.round(bytes / 1e6)} MB`;
  const memory = `peak ${megabytes(run.peakBytes)}, empty ${megabytes(run.emptyBytes)}`;
  process.stdout.write(`${name}, round ${round + 1}: ${memory}\n${table("first", run.first)}`);
  if (run.reload !== undefined) process.stdout.write(table("1 % changed", run.reload));
}

/** A line a phase: seconds by the clock, of the thread, of the process. */
function table(title: string, { phases }: IngestLoad): string {
  const total = { name: "total", wallMs: 0, threadMs: 0, processMs: 0 };
  for (const { wallMs, threadMs, processMs } of phases) {
    total.wallMs += wallMs;
    total.threadMs += threadMs;
    total.processMs += processMs;
  }
  const cells = (each: readonly number[]): string =>
    each.map((ms) => (ms / 1000).toFixed(2).padStart(8)).join("");
  const lines = [...phases, total].map(
    ({ name, wallMs, threadMs, processMs }) =>
      `  ${name.padEnd(12)}${cells([wallMs, threadMs, processMs])}`,
  );
  return `  ${title.padEnd(12)}    wall  thread process\n${lines.join("\n")}\n`;
}

async function save(inputs: readonly Input[]): Promise<void> {
  const date = new Date().toISOString();
  const settings = { seed: SEED, rounds: Number(values.rounds), isQuick: values.quick };
  const result = {
    scenario: "ingest",
    title: "A million names from files to sections",
    date,
    settings,
    machine: await describeMachine(),
    inputs: inputs.map(({ name, runs }) => ({ name, runs })),
  };
  const path = join(import.meta.dirname, "../results", `${date.slice(0, 10)}-ingest.json`);
  writeFileSync(path, `${JSON.stringify(result, undefined, 1)}\n`);
  process.stdout.write(`${path}\n`);
}
