// SPDX-License-Identifier: Apache-2.0
import { join } from "node:path";
import type { ProbeBenchResult } from "../micro/health-probes.ts";
import { runProgram } from "./measure/program.ts";
import type { Options } from "./options.ts";

const program = join(import.meta.dirname, "../micro/health-probes.ts");
const FULL_TARGETS = 5000;
const QUICK_TARGETS = 500;

/** Probes 5,000 endpoints a second from one process on the server's core, the endpoints being on the client's. */
export async function measureProbes(run: Options): Promise<readonly ProbeBenchResult[]> {
  const output = await runProgram("taskset", [
    ...["-c", run.serverCores, process.execPath, program],
    ...["--targets", String(run.isQuick ? QUICK_TARGETS : FULL_TARGETS)],
    ...["--seconds", String(run.seconds), "--server-core", String(run.clientCore)],
  ]);
  const results = output.split("\n").filter((line) => line.startsWith("{"));
  for (const line of results) console.log(`  ${line}`);
  return results.map(parseProbes);
}

function parseProbes(line: string): ProbeBenchResult {
  const parsed: unknown = JSON.parse(line);
  if (!isProbes(parsed)) throw new Error(`Cannot read probes: the line is ${line}`);
  return parsed;
}

function isProbes(value: unknown): value is ProbeBenchResult {
  return typeof value === "object" && value !== null && "probesPerSecond" in value;
}
