// SPDX-License-Identifier: Apache-2.0
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { ChildProcess } from "node:child_process";
import type { AnswerMode } from "./data/answers.ts";
import {
  writeDownFile,
  writeExpected,
  writeNames,
  writePrefixes,
  writeQueryFile,
} from "./data/files.ts";
import type { ServicePlan } from "./data/plan.ts";
import { queryName } from "./data/query-file.ts";
import { CLIENT_PREFIXES, clientPrefixes, regionNets, type Net } from "./data/regions.ts";
import { ask } from "./measure/ask.ts";
import { processTree } from "./measure/cpu.ts";
import { HealthTarget } from "./measure/health-target.ts";
import { startLoader, type LoaderOptions, type LoaderRun } from "./measure/loader.ts";
import { buildNative } from "./measure/native.ts";
import { freePort, pidOf, stopProgram, waitFor } from "./measure/program.ts";
import type { Options } from "./options.ts";
import type { CheckPlan, ServerAdapter, Serving, Workload } from "./servers/adapter.ts";

// A stage is all that a scenario needs while it runs: a temporary folder with generated files, the health target, and
// the servers, each started in turn so that none slows another's loading.

const LOAD_TIMEOUT_MS = 300_000;
const SETTLE_TIMEOUT_MS = 60_000;
const SETTLE_RATE = 1000;

/** What a scenario asks to be set up. */
export interface StageOptions {
  readonly scenario: string;
  readonly workload: Workload;
  readonly plan: ServicePlan;
  /** Whether queries carry client prefixes. */
  readonly hasPrefixes: boolean;
  /** How many different queries dnsperf sends. */
  readonly queries: number;
  readonly checkIntervalSeconds: number;
  readonly checkThreshold: number;
  readonly adapters: readonly ServerAdapter[];
}

/** A server that runs. */
export interface RunningServer {
  readonly adapter: ServerAdapter;
  readonly version: string;
  readonly serving: Serving;
  readonly child: ChildProcess;
  /** From starting the process to its first answer. */
  readonly loadMs: number;
  /** From starting the process until it said itself that it is ready, where it does. */
  readonly saidMs?: number;
  /** From starting the process until it had compiled what it was configured from, where it does and says so. */
  readonly compiledMs?: number;
  /** Its processes. */
  pids(): readonly number[];
}

/** The set-up of one scenario; `close` ends every process it started. */
export class Stage {
  readonly options: StageOptions;
  readonly #run: Options;
  readonly #folder: string;
  readonly #nets: readonly Net[];
  readonly #children = new Set<ChildProcess>();
  readonly #running = new Map<Serving, ServerAdapter>();
  readonly #loaders = new Set<LoaderRun>();
  health: HealthTarget | undefined;

  /** No server outlives a run that is stopped by hand. */
  readonly #abandon = (): void => {
    const end = (): never => process.exit(130);
    this.close().then(end, end);
  };

  private constructor(options: StageOptions, run: Options) {
    this.options = options;
    this.#run = run;
    this.#folder = mkdtempSync(join(tmpdir(), `meridian-bench-${options.scenario}-`));
    this.#nets = regionNets(options.plan.seed);
    process.once("SIGINT", this.#abandon).once("SIGTERM", this.#abandon);
  }

  /** Writes the files and starts the health target. Throws without a C compiler. */
  static async open(options: StageOptions, run: Options): Promise<Stage> {
    for (const name of ["echo", "loader", "health-target"] as const) {
      if ((await buildNative(name)) === undefined) {
        throw new Error("Cannot run the benchmark: no C compiler (cc) is installed");
      }
    }
    const stage = new Stage(options, run);
    const { plan, hasPrefixes, queries } = options;
    const prefixes = hasPrefixes ? clientPrefixes(stage.#nets, CLIENT_PREFIXES, plan.seed) : [];
    writeQueryFile(stage.file("queries"), plan, prefixes, queries);
    writeNames(stage.file("names"), plan);
    writePrefixes(stage.file("prefixes"), prefixes);
    writeExpected(stage.file("expected-policy"), plan, "policy");
    writeExpected(stage.file("expected-static"), plan, "static");
    writeDownFile(stage.file("down"), plan);
    stage.health = new HealthTarget(await freePort(), run.clientCore, stage.file("down"));
    await stage.health.ready();
    return stage;
  }

  /** Path of a file of this stage. */
  file(name: string): string {
    return join(this.#folder, name);
  }

  /** Configures and starts a server and waits for its first answer; undefined where its program is missing. */
  async start(adapter: ServerAdapter): Promise<RunningServer | undefined> {
    const version = await adapter.version();
    if (version === undefined) return undefined;
    const folder = this.file(adapter.name);
    mkdirSync(folder);
    const serving: Serving = {
      workload: this.options.workload,
      plan: this.options.plan,
      nets: this.#nets,
      check: this.#check(adapter),
      folder,
      port: await freePort(),
      controlPort: await freePort(),
      cores: this.#run.serverCores,
    };
    adapter.configure(serving);
    return this.#launch(adapter, version, serving, () => adapter.start(serving));
  }

  /** Starts a server that was stopped on the files that it left. */
  startAgain({ adapter, version, serving }: RunningServer): Promise<RunningServer> {
    return this.#launch(adapter, version, serving, () => adapter.start(serving));
  }

  /** Starts a server that was stopped from what it kept on disk alone; undefined where it keeps nothing. */
  async startStored(server: RunningServer): Promise<RunningServer | undefined> {
    const { adapter, version, serving } = server;
    const start = adapter.startStored?.bind(adapter, serving);
    if (start === undefined) return undefined;
    return this.#launch(adapter, version, serving, start);
  }

  /** Replaces a server's process while it answers; rejects where the new one does not come up or the old one does not go. */
  async replace(server: RunningServer): Promise<RunningServer> {
    const { adapter, serving } = server;
    const start = performance.now();
    const next = await adapter.replace?.(serving);
    if (next === undefined) return { ...server, loadMs: performance.now() - start };
    this.#children.add(next);
    const hasEnded = (): boolean =>
      server.child.exitCode !== null || server.child.signalCode !== null;
    await waitFor(
      `${adapter.name} to take over`,
      LOAD_TIMEOUT_MS,
      async () =>
        hasEnded() && (await this.#isAnswering(adapter, serving)) === true ? true : undefined,
      next,
    );
    await this.#whenSaid(adapter, serving, next, start);
    this.#children.delete(server.child);
    const root = pidOf(next);
    const loadMs = performance.now() - start;
    return { ...server, child: next, loadMs, pids: () => processTree(root) };
  }

  /** Stops a server, and every load, which are for nothing then. */
  async stop(server: RunningServer): Promise<void> {
    for (const loader of this.#loaders) loader.stop();
    this.#loaders.clear();
    await server.adapter.stop?.(server.serving);
    this.#running.delete(server.serving);
    await stopProgram(server.child);
    this.#children.delete(server.child);
  }

  /** Waits until every answer of a server is right; gives the share that is wrong if that does not come in time. */
  async settle(server: RunningServer): Promise<number> {
    if (server.adapter.answers(this.options.workload) === undefined) return 0;
    const end = performance.now() + SETTLE_TIMEOUT_MS;
    for (;;) {
      const run = this.load(server, { rate: SETTLE_RATE, seconds: 1, check: 1 });
      const summary = await run.summary;
      if (summary.wrong === 0 && summary.lost === 0) return 0;
      if (performance.now() > end) {
        console.error(
          `  ${server.adapter.name}: wrong answers, for one ${JSON.stringify(run.wrong[0])}`,
        );
        return summary.wrong / Math.max(1, summary.checked);
      }
    }
  }

  /** Starts the loader against a server with the files of this stage. */
  load(
    server: RunningServer,
    options: Pick<LoaderOptions, "rate" | "seconds"> & Partial<LoaderOptions>,
  ): LoaderRun {
    const mode: AnswerMode | undefined = server.adapter.answers(this.options.workload);
    const run = startLoader({
      port: server.serving.port,
      core: this.#run.clientCore,
      seed: this.#run.seed,
      names: this.file("names"),
      ...(this.options.hasPrefixes ? { prefixes: this.file("prefixes") } : {}),
      ...(mode === undefined ? {} : { expected: this.file(`expected-${mode}`) }),
      ...options,
    });
    this.#loaders.add(run);
    return run;
  }

  /** Ends every process and removes the folder. */
  async close(): Promise<void> {
    process.off("SIGINT", this.#abandon).off("SIGTERM", this.#abandon);
    for (const loader of this.#loaders) loader.stop();
    for (const [serving, adapter] of this.#running) await adapter.stop?.(serving);
    await Promise.all([...this.#children].map(stopProgram));
    await this.health?.close();
    if (!this.#run.keep) rmSync(this.#folder, { recursive: true, force: true });
  }

  async #launch(
    adapter: ServerAdapter,
    version: string,
    serving: Serving,
    start: () => ChildProcess,
  ): Promise<RunningServer> {
    const startMs = performance.now();
    const startWallMs = Date.now();
    const child = start();
    this.#children.add(child);
    this.#running.set(serving, adapter);
    const root = pidOf(child);
    try {
      await waitFor(
        `${adapter.name} to answer`,
        LOAD_TIMEOUT_MS,
        async () => this.#isAnswering(adapter, serving),
        child,
      );
    } catch (error) {
      const log = readFileSync(join(serving.folder, "log"), "utf8").slice(-2000);
      throw new Error(`Cannot start ${adapter.name}: ${log}`, { cause: error });
    }
    const loadMs = performance.now() - startMs;
    const saidMs = await this.#whenSaid(adapter, serving, child, startMs);
    const compiledMs = (adapter.compiledAt?.(serving) ?? 0) - startWallMs;
    return {
      ...{ adapter, version, serving, child, loadMs, pids: () => processTree(root) },
      ...(saidMs === undefined ? {} : { saidMs }),
      ...(compiledMs > 0 ? { compiledMs } : {}),
    };
  }

  /** Milliseconds from `startMs` until a server said that it is ready; undefined where it says nothing of it. */
  async #whenSaid(
    adapter: ServerAdapter,
    serving: Serving,
    child: ChildProcess,
    startMs: number,
  ): Promise<number | undefined> {
    const ready = adapter.ready?.bind(adapter, serving);
    if (ready === undefined) return undefined;
    const isReady = async (): Promise<true | undefined> => ((await ready()) ? true : undefined);
    await waitFor(`${adapter.name} to be ready`, LOAD_TIMEOUT_MS, isReady, child);
    return performance.now() - startMs;
  }

  async #isAnswering(adapter: ServerAdapter, serving: Serving): Promise<true | undefined> {
    const answer = await ask(serving.port, queryName(serving.plan.owners[0] ?? "", 0), 50);
    if (answer === undefined) return undefined;
    const isEcho = adapter.answers(serving.workload) === undefined;
    return isEcho || answer.addresses.length > 0 ? true : undefined;
  }

  #check({ checkSecondsLeast = 0 }: ServerAdapter): CheckPlan {
    return {
      port: this.health?.port ?? 0,
      intervalSeconds: Math.max(checkSecondsLeast, this.options.checkIntervalSeconds),
      threshold: this.options.checkThreshold,
    };
  }
}

/** Every adapter that serves a workload and was asked for. */
export function chooseAdapters(
  all: readonly ServerAdapter[],
  workload: Workload,
  only: readonly string[],
): readonly ServerAdapter[] {
  return all.filter(
    (adapter) => adapter.serves(workload) && (only.length === 0 || only.includes(adapter.name)),
  );
}
