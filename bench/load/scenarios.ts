// SPDX-License-Identifier: Apache-2.0
import { measureChanges } from "./change.ts";
import { largePlan, millionSize, smallPlan, type PlanSize, type ServicePlan } from "./data/plan.ts";
import { measureFlips } from "./flip.ts";
import { measureProbes } from "./health.ts";
import { describeMachine } from "./measure/machine.ts";
import type { Options, ScenarioName } from "./options.ts";
import { RESULT_FORMAT, type ScenarioResult } from "./output/results.ts";
import { measureReloads } from "./reload.ts";
import { measureReplaces } from "./replace.ts";
import { adapters } from "./servers/index.ts";
import type { Workload } from "./servers/adapter.ts";
import { chooseAdapters, type StageOptions } from "./stage.ts";
import { measureSigned } from "./signed.ts";
import { measureThroughput } from "./throughput.ts";

/** What a scenario finds besides how it was made. */
type Found = Pick<
  ScenarioResult,
  "flips" | "reloads" | "replaces" | "changes" | "probes" | "signed"
> &
  Partial<Pick<ScenarioResult, "servers">>;

/** What makes a scenario, apart from the run's options. */
interface Scenario {
  readonly title: string;
  readonly workload: Workload;
  readonly hasPrefixes: boolean;
  readonly queries: number;
  readonly checkIntervalSeconds: number;
  readonly checkThreshold: number;
  readonly plan: (seed: number) => ServicePlan;
  readonly measure: (stage: StageOptions, run: Options) => Promise<Found>;
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

const RELOADS = 20;
const REPLACES = 60;
/** Twenty of each kind. */
const CHANGES = 100;
const QUICK_CHANGES = 10;

const small = {
  hasPrefixes: false,
  queries: 100_000,
  checkIntervalSeconds: 2,
  checkThreshold: 2,
  measure: async (stage: StageOptions, run: Options): Promise<Found> => ({
    servers: await measureThroughput(stage, run),
  }),
};

function scenarioOf(name: ScenarioName, run: Options): Scenario {
  switch (name) {
    case "weighted":
      return {
        ...small,
        title: "10 names, weighted",
        workload: "weighted",
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
        plan: (seed) => smallPlan("failover", seed),
      };
    case "static-small":
      return {
        ...small,
        title: "10 names, static",
        workload: "static",
        plan: (seed) => smallPlan("weighted", seed),
      };
    case "million":
      return { ...millionScenario(run), title: `${millionNames(run)}, policies of all kinds` };
    case "flip":
      return flipScenario(run);
    case "reload":
      return {
        ...small,
        title: "Reloads under load, each changing 1 % of 10,000 names and a pool",
        workload: "mixed",
        hasPrefixes: true,
        plan: (seed) => largePlan(reloadSize, seed),
        measure: async (stage) => ({
          reloads: await measureReloads(stage, run, run.isQuick ? 3 : RELOADS),
        }),
      };
    case "replace":
      return {
        ...small,
        title: "Processes replaced under load",
        workload: "weighted",
        plan: (seed) => smallPlan("weighted", seed),
        measure: async (stage) => ({
          replaces: await measureReplaces(stage, run, run.isQuick ? 3 : REPLACES),
        }),
      };
    case "change":
      return {
        ...small,
        ...changing(run),
        title: "File changed to changed answer, 10 names",
        workload: "weighted",
        plan: (seed) => smallPlan("weighted", seed),
      };
    case "change-million":
      return {
        ...millionScenario(run),
        ...changing(run),
        hasPrefixes: false,
        title: `File changed to changed answer, ${millionNames(run)}`,
      };
    case "health":
      return {
        ...small,
        title: "HTTP probes on one core",
        workload: "static",
        plan: (seed) => smallPlan("weighted", seed),
        measure: async () => ({ probes: await measureProbes(run) }),
      };
    case "signed":
      return {
        ...small,
        title:
          "100,000 names, weighted, geo and multivalue, a tenth of the queries for absent ones",
        workload: "static",
        plan: (seed) => smallPlan("weighted", seed),
        measure: async () => ({ signed: await measureSigned(run) }),
      };
  }
}

function millionScenario(run: Options): Omit<Scenario, "title"> {
  return {
    ...small,
    workload: "mixed",
    hasPrefixes: true,
    queries: 1_000_000,
    checkIntervalSeconds: 60,
    plan: (seed) => largePlan(run.isQuick ? quickMillionSize : millionSize, seed),
  };
}

function millionNames(run: Options): string {
  const { names } = run.isQuick ? quickMillionSize : millionSize;
  return `${names.toLocaleString("en-US")} names`;
}

function flipScenario(run: Options): Scenario {
  return {
    ...small,
    title: "Endpoint down or up to changed answer, under load",
    workload: "failover",
    checkIntervalSeconds: run.flipIntervalMs / 1000,
    checkThreshold: 1,
    plan: (seed) => smallPlan("failover", seed, flipSize),
    measure: async (stage) => ({ flips: await measureFlips(stage, run) }),
  };
}

function changing(run: Options): Pick<Scenario, "measure"> {
  return {
    measure: async (stage) => ({
      changes: await measureChanges(stage, run, run.isQuick ? QUICK_CHANGES : CHANGES),
    }),
  };
}

/** Runs a scenario with every server that is installed and was asked for. */
export async function runScenario(name: ScenarioName, run: Options): Promise<ScenarioResult> {
  const { title, plan, measure, ...scenario } = scenarioOf(name, run);
  console.log(`${name}: ${title}`);
  const date = new Date().toISOString();
  const stage: StageOptions = {
    scenario: name,
    ...scenario,
    plan: plan(run.seed),
    adapters: chooseAdapters(adapters, scenario.workload, run.only),
  };
  const found = await measure(stage, run);
  const { seconds, rounds, rate, seed, serverCores, clientCore, isQuick } = run;
  const { checkIntervalSeconds } = scenario;
  return {
    format: RESULT_FORMAT,
    scenario: name,
    title,
    date,
    settings: {
      ...{ seconds, rounds, rate, seed, serverCores, clientCore, isQuick },
      checkIntervalSeconds,
    },
    machine: await describeMachine(),
    servers: [],
    ...found,
  };
}
