// SPDX-License-Identifier: Apache-2.0
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { largePlan, millionSize, smallPlan, type PlanSize, type ServicePlan } from "./data/plan.ts";
import { measureFlips } from "./flip.ts";
import { describeMachine } from "./measure/machine.ts";
import { readOptions, usage, type Options } from "./options.ts";
import { plotCpu } from "./output/plot.ts";
import { saveResult, type ScenarioResult } from "./output/results.ts";
import { formatResult } from "./output/table.ts";
import { measureReloads } from "./reload.ts";
import { adapters } from "./servers/index.ts";
import type { Workload } from "./servers/adapter.ts";
import { chooseAdapters, type StageOptions } from "./stage.ts";
import { measureThroughput } from "./throughput.ts";

// Drives every DNS server that is installed on loopback, in turns, and writes what it found. `--help` lists the options.

/** What makes a scenario, apart from the run's options. */
interface Scenario {
  readonly title: string;
  readonly workload: Workload;
  readonly hasPrefixes: boolean;
  readonly queries: number;
  readonly checkIntervalSeconds: number;
  readonly checkThreshold: number;
  readonly plan: (seed: number) => ServicePlan;
}

const reloadSize: PlanSize = {
  names: 10_000,
  policies: 100,
  endpoints: 1000,
  zones: 3,
  wildcards: 0.1,
};
const quickMillionSize: PlanSize = {
  ...millionSize,
  names: 50_000,
  policies: 500,
  endpoints: 5000,
};

/** Few names and one endpoint a tier: each name is watched often, and its answer changes with that endpoint alone. */
const flipSize = { names: 2, members: 1, hasDown: false };

const small = { queries: 100_000, checkIntervalSeconds: 2, checkThreshold: 2 };

function scenarioOf(name: string, run: Options): Scenario {
  switch (name) {
    case "weighted":
      return {
        ...small,
        title: "10 names, weighted",
        workload: "weighted",
        hasPrefixes: false,
        plan: (seed) => smallPlan("weighted", seed),
      };
    case "geo":
      return {
        ...small,
        title: "10 names, by client subnet",
        workload: "geo",
        hasPrefixes: true,
        plan: (seed) => smallPlan("geo", seed),
      };
    case "failover":
      return {
        ...small,
        title: "10 names, failover, half of the endpoints down",
        workload: "failover",
        hasPrefixes: false,
        plan: (seed) => smallPlan("failover", seed),
      };
    case "static-small":
      return {
        ...small,
        title: "10 names, static",
        workload: "static",
        hasPrefixes: false,
        plan: (seed) => smallPlan("weighted", seed),
      };
    case "million": {
      const size = run.isQuick ? quickMillionSize : millionSize;
      return {
        ...small,
        title: `${size.names} names, all policies`,
        workload: "mixed",
        hasPrefixes: true,
        queries: 1_000_000,
        checkIntervalSeconds: 60,
        plan: (seed) => largePlan(size, seed),
      };
    }
    case "flip":
      return {
        ...small,
        title: "Endpoint down to changed answer",
        workload: "failover",
        hasPrefixes: false,
        checkIntervalSeconds: run.flipIntervalMs / 1000,
        checkThreshold: 1,
        plan: (seed) => smallPlan("failover", seed, flipSize),
      };
    case "reload":
      return {
        ...small,
        title: "Reloads under load, each changing 1 % of 10,000 names",
        workload: "mixed",
        hasPrefixes: true,
        plan: (seed) => largePlan(reloadSize, seed),
      };
    default:
      throw new RangeError(`Cannot run scenario: name is "${name}"`);
  }
}

async function runScenario(name: string, run: Options): Promise<ScenarioResult> {
  const { title, plan, ...scenario } = scenarioOf(name, run);
  console.log(`${name}: ${title}`);
  const date = new Date().toISOString();
  const stage: StageOptions = {
    scenario: name,
    ...scenario,
    plan: plan(run.seed),
    adapters: chooseAdapters(adapters, scenario.workload, run.only),
  };
  const changing = stage.adapters.filter(
    (adapter) => adapter.answers(stage.workload) !== undefined,
  );
  const found =
    name === "flip"
      ? {
          servers: [],
          flips: await measureFlips({ ...stage, adapters: changing }, run, run.flips),
        }
      : name === "reload"
        ? {
            servers: [],
            reloads: await measureReloads(
              { ...stage, adapters: changing },
              run,
              run.isQuick ? 3 : 20,
            ),
          }
        : { servers: await measureThroughput(stage, run) };
  const { seconds, rounds, rate, seed, serverCores, clientCore, isQuick } = run;
  const { checkIntervalSeconds } = scenario;
  const settings = {
    seconds,
    rounds,
    rate,
    seed,
    serverCores,
    clientCore,
    isQuick,
    checkIntervalSeconds,
  };
  return { scenario: name, title, date, settings, machine: await describeMachine(), ...found };
}

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
  const root = join(import.meta.dirname, "../..");
  const out = run.out ?? join(root, run.isQuick ? ".build/bench-results" : "bench/results");
  for (const name of run.scenarios) {
    const result = await runScenario(name, run);
    const base = saveResult(out, result);
    const plot = plotCpu(result);
    if (plot !== undefined) writeFileSync(`${base}.svg`, plot);
    console.log(`\n${formatResult(result)}\n\nsaved ${base}.json\n`);
  }
  return 0;
}

process.exitCode = await main();
