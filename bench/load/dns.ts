// SPDX-License-Identifier: Apache-2.0
import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { readOptions, usage } from "./options.ts";
import { saveResult } from "./output/results.ts";
import { savePlot } from "./output/scenario-plots.ts";
import { formatResult } from "./output/table.ts";
import { runScenario } from "./scenarios.ts";

// Drives every DNS server that is installed on loopback, in turns, and writes what it found. `--help` lists the options.

async function main(): Promise<number> {
  if (process.argv.includes("--help")) {
    console.log(usage);
    return 0;
  }
  const run = readOptions(process.argv.slice(2));
  if (typeof run === "string") {
    console.error(run);
    return 2;
  }
  // Beside the client: what it does itself must not take time from the servers.
  execFileSync("taskset", ["-a", "-c", "-p", String(run.clientCore), String(process.pid)]);
  const root = join(import.meta.dirname, "../..");
  const out = run.out ?? join(root, run.isQuick ? ".build/bench-results" : "bench/results");
  for (const name of run.scenarios) {
    const result = await runScenario(name, run);
    const base = saveResult(out, result);
    savePlot(base, result);
    console.log(`\n${formatResult(result)}\n\nsaved ${base}.json\n`);
  }
  return 0;
}

process.exitCode = await main();
