// SPDX-License-Identifier: Apache-2.0

// How soon four edges on this machine answer what a change says, from the request to apply it at once (`publish=immediate`):
// `node bench/load/change-edges.ts [--names N] [--rounds N] [--rate Q] [--pause MS] [--keep] [--save]`.
// `--save` writes bench/results/DATE-change-edges.json, or DATE-change-edges-MSms.json where another pause is given.
// One control compiles N names (a million unless given) and feeds four edges, processes of their own; each is asked Q times a second in
// all for the six names that change, which is its load. A change counts when the last of the four answers as it says.
//
// Unless Q is given, it is what keeps the machine half busy: edges and clients share its two cores, so what the four are asked at a rate is
// measured in processor time of both, above that without queries, and the rate changed until that is one core of the two. Clients sleep
// while no query is due: four that turned without sleeping took one core whatever they asked, and half of it from changes.
//
// A change is asked for a second after the one before was seen and cleared away, so that the load beside it is that of queries; with
// `--pause 150` the work that changes leave behind themselves is most of the other half of the machine.

import { execFile } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs, promisify } from "node:util";
import type { ChildProcess } from "node:child_process";
import { largePlan, millionSize } from "./data/plan.ts";
import { regionNets } from "./data/regions.ts";
import { ask } from "./measure/ask.ts";
import { startLoader, type LoaderRun } from "./measure/loader.ts";
import { processTree, readCpu } from "./measure/cpu.ts";
import { describeMachine } from "./measure/machine.ts";
import { buildNative } from "./measure/native.ts";
import { freePort, startPinned, stopProgram, waitFor } from "./measure/program.ts";
import {
  RESULT_FORMAT,
  saveResult,
  type AppliedChange,
  type ChangeResult,
  type ScenarioResult,
} from "./output/results.ts";
import { savePlot } from "./output/scenario-plots.ts";
import { formatResult } from "./output/table.ts";
import type { Serving } from "./servers/adapter.ts";
import {
  applyChange,
  changedNames,
  changeKinds,
  initialState,
} from "./servers/meridian-changes.ts";
import { AppliedDocuments } from "./servers/meridian-api.ts";
import { meridian } from "./servers/meridian.ts";

const EDGES = 4;
const CORES = "0,1";
const CORE_COUNT = 2;
/** What queries take of both cores. */
const LOAD_SHARE = 0.5;
/** At which their cost is measured. */
const FIRST_RATE = 5000;
const BUSY_MS = 3000;
/** A busier machine answers more of them at once, so that each costs less: the rate is found in some steps. */
const BUSY_STEPS_MAX = 8;
const STEP_TIMES_MAX = 2;
const LOAD_SHARE_ERROR = 0.02;
const IDLE_READINGS_MAX = 10;
/** Four edges, control and its compiler at rest take some hundredths. */
const IDLE_MAX = 0.25;
const CLIENT_CORE = 1;
const READY_MS_MAX = 300_000;
const ANSWER_MS_MAX = 60_000;
const PAUSE_MS = 1000;
const SEED = 1;
const program = join(import.meta.dirname, "../../apps/meridian/src/main.ts");

const { values } = parseArgs({
  options: {
    names: { type: "string", default: "1000000" },
    rounds: { type: "string", default: "20" },
    rate: { type: "string" },
    pause: { type: "string", default: String(PAUSE_MS) },
    keep: { type: "boolean", default: false },
    save: { type: "boolean", default: false },
  },
});
const names = Number(values.names);
const rounds = Number(values.rounds);
const pauseMs = Number(values.pause);

const children: ChildProcess[] = [];
const loaders: LoaderRun[] = [];
const folder = mkdtempSync(join(tmpdir(), "meridian-change-edges-"));
for (const signal of ["SIGINT", "SIGTERM"] as const)
  process.once(signal, () => {
    for (const child of children) child.kill("SIGKILL");
    process.exit(1);
  });
try {
  await run();
} finally {
  for (const loader of loaders) loader.stop();
  await Promise.all(children.map(stopProgram));
  if (values.keep) console.log(`Kept ${folder}`);
  else rmSync(folder, { recursive: true, force: true });
}

async function run(): Promise<void> {
  if ((await buildNative("loader")) === undefined)
    throw new Error("Cannot build the loader: there is no C compiler");
  const date = new Date().toISOString();
  const version = await meridian.version();
  const share = names / millionSize.names;
  const size = {
    ...millionSize,
    names,
    policies: Math.max(11, Math.round(millionSize.policies * share)),
    endpoints: Math.max(100, Math.round(millionSize.endpoints * share)),
  };
  const plan = largePlan(size, SEED);
  const control = join(folder, "control");
  mkdirSync(control);
  const serving: Serving = {
    workload: "mixed",
    plan,
    nets: regionNets(SEED),
    // Four vantages and their endpoints on one machine would be measured instead.
    check: { port: 9, intervalSeconds: 3600, threshold: 3, isDisabled: true },
    folder: control,
    port: 0,
    controlPort: await freePort(),
    cores: CORES,
  };
  meridian.configure(serving);
  const origin = plan.origins[0] ?? "";
  const documents = new AppliedDocuments(join(control, "state"), origin);
  const ports = await startPlanes(serving, documents, `change-weight.${origin}`);
  const list = join(folder, "names");
  writeFileSync(list, `${changedNames(origin).join("\n")}\n`);
  const idle = await idleShare();
  const rate =
    values.rate === undefined ? await halfBusyRate(ports, list, idle) : Number(values.rate);
  startLoaders(ports, list, rate);
  await sleep(1000);
  console.log(
    `${EDGES} × ${rate} queries a second: both cores ${percentOf(await busyShare())} busy`,
  );
  const { changes, missed, busy, load } = await measure(documents, origin);
  const result: ScenarioResult = {
    format: RESULT_FORMAT,
    scenario: pauseMs === PAUSE_MS ? "change-edges" : `change-edges-${pauseMs}ms`,
    title: `Change applied to changed answer at the last of ${EDGES} edges, ${names} names, ${pauseMs / 1000} s between changes`,
    date,
    settings: {
      seconds: 0,
      rounds,
      rate: rate * EDGES,
      seed: SEED,
      serverCores: CORES,
      clientCore: CLIENT_CORE,
      isQuick: names < millionSize.names,
      checkIntervalSeconds: serving.check.intervalSeconds,
    },
    machine: await describeMachine(),
    servers: [],
    changes: [
      {
        name: meridian.name,
        label: meridian.label(serving.workload),
        version: version ?? "",
        changes,
        missed,
        busy,
        load,
      },
    ],
  };
  console.log(formatResult(result));
  if (!values.save) return;
  const base = saveResult(join(import.meta.dirname, "../results"), result);
  savePlot(base, result);
  console.log(`saved ${base}.json; node bench/load/report.ts writes it into README.md`);
}

function startLoaders(ports: readonly number[], list: string, rate: number): void {
  for (const [edge, port] of ports.entries())
    loaders.push(
      startLoader({
        ...{ port, core: edge % CORE_COUNT, rate, seconds: 3600, seed: SEED, names: list },
        ...{ watch: true, sleep: true },
      }),
    );
}

/** Queries a second at each edge that keep both cores half busy, more than they are without any. */
async function halfBusyRate(ports: readonly number[], list: string, idle: number): Promise<number> {
  if (idle > IDLE_MAX)
    throw new Error(
      `Cannot tell what queries cost: both cores are ${percentOf(idle)} busy without them; give --rate, or wait for an idle machine`,
    );
  let rate = FIRST_RATE;
  for (let step = 1; step <= BUSY_STEPS_MAX; step++) {
    const share = (await busyAt(ports, list, rate)) - idle;
    console.log(`${EDGES} × ${rate} queries a second take ${percentOf(share)} of both cores`);
    if (Math.abs(share - LOAD_SHARE) <= LOAD_SHARE_ERROR) break;
    // Beside something else that has just ended, queries seem to cost nothing.
    const times = Math.min(LOAD_SHARE / Math.max(share, 0.01), STEP_TIMES_MAX);
    rate = Math.round((rate * times) / 100) * 100;
  }
  return rate;
}

/** What is used without queries, once what a start leaves to be done is done. */
async function idleShare(): Promise<number> {
  let before = 1;
  for (let reading = 1; ; reading++) {
    const share = await busyShare();
    const isSteady = share <= IDLE_MAX && Math.abs(before - share) < LOAD_SHARE_ERROR / 2;
    if (isSteady || reading >= IDLE_READINGS_MAX) return share;
    before = share;
  }
}

/** How much of both cores is used while edges are asked at a rate. */
async function busyAt(ports: readonly number[], list: string, rate: number): Promise<number> {
  startLoaders(ports, list, rate);
  await sleep(1000);
  const busy = await busyShare();
  for (const loader of loaders.splice(0)) {
    loader.finish();
    await loader.summary;
  }
  return busy;
}

/** How much of both cores control, its compiler, edges, clients and this program use, from 0 to 1. */
async function busyShare(): Promise<number> {
  const [startMs, before] = [performance.now(), spentUs()];
  await sleep(BUSY_MS);
  return shareOf(spentUs() - before, performance.now() - startMs);
}

/** What they have used so far. The kernel's count of a core goes by ticks, with which clients that sleep for a fixed time may be in step. */
function spentUs(): number {
  return readCpu(processTree(process.pid)).total;
}

/** How much of both cores µs of processor time in ms are. */
function shareOf(busyUs: number, ms: number): number {
  return busyUs / ms / 1000 / CORE_COUNT;
}

function percentOf(share: number): string {
  return `${Math.round(share * 100)} %`;
}

/** Control and the edges; resolves with the edges' ports when all answer. */
async function startPlanes(
  { folder: base, controlPort }: Serving,
  documents: AppliedDocuments,
  name: string,
): Promise<number[]> {
  const listen = `127.0.0.1:${controlPort}`;
  const url = `https://${listen}`;
  const state = join(base, "state");
  const start = (given: readonly string[], log: string): void => {
    children.push(startPinned(CORES, process.execPath, [program, ...given], join(folder, log)));
  };
  const files = ["-f", join(base, "documents"), "--state", state];
  start(["control", ...files, "--edges", listen, "--http", "none", "--no-probing"], "control.log");
  const begun = performance.now();
  const meridianCommand = async (...given: string[]): Promise<string> =>
    (await promisify(execFile)(process.execPath, [program, ...given])).stdout.trim();
  const token = (edge: string): Promise<string | undefined> =>
    meridianCommand("token", "create", edge, "--edge", "--state", state).catch(() => undefined);
  const ports: number[] = [];
  for (let edge = 0; edge < EDGES; edge++) {
    const own = join(folder, `edge-${edge}`);
    const invited = await waitFor("control", READY_MS_MAX, () => token(`edge-${edge}`));
    await meridianCommand("edge", "join", `${invited}@${url}`, "--state", own);
    const port = await freePort();
    ports.push(port);
    const place = ["--listen", `127.0.0.1:${port}`, "--http", "none", "--state", own];
    start(["edge", "--control", url, ...place, "--workers", "1"], `edge-${edge}.log`);
  }
  await waitFor("control's documents", READY_MS_MAX, () =>
    documents.apply(initialState).catch(() => undefined),
  );
  for (const port of ports)
    await waitFor("an edge's answer", READY_MS_MAX, async () => {
      const answer = await ask(port, name, 1000);
      return answer?.addresses.length === 1 ? answer : undefined;
    });
  console.log(`${names} names at ${EDGES} edges after ${Math.round(performance.now() - begun)} ms`);
  return ports;
}

/** All changes but the first, and the load on the edge that answered latest. */
async function measure(
  documents: AppliedDocuments,
  origin: string,
): Promise<Required<Pick<ChangeResult, "changes" | "missed" | "busy" | "load">>> {
  const changes: AppliedChange[] = [];
  let missed = 0;
  let state = initialState;
  const [startMs, busyBefore] = [performance.now(), spentUs()];
  for (let index = 0; index < rounds * changeKinds.length; index++) {
    const kind = changeKinds[index % changeKinds.length] ?? "record weight";
    const next = applyChange(state, kind, origin);
    ({ state } = next);
    const seenBefore = loaders.map((loader) => loader.changes.length);
    const applying = documents.apply(state);
    const seen = await Promise.all(
      loaders.map((loader, edge) =>
        loader.change(
          seenBefore[edge] ?? 0,
          (each) => each.name === `${next.name}.` && each.addresses[0] === next.address,
          ANSWER_MS_MAX,
        ),
      ),
    );
    const at = await applying;
    const ms = Math.max(...seen.map((change) => ((change?.ns ?? Infinity) - at) / 1e6));
    // It finds code that has not run yet.
    if (index === 0) console.log(`first change, ${kind}: ${ms.toFixed(1)} ms`);
    else if (Number.isFinite(ms)) changes.push({ kind, ms: Math.round(ms * 1000) / 1000 });
    else missed++;
    await documents.clear(state);
    await sleep(pauseMs);
  }
  const busy = shareOf(spentUs() - busyBefore, performance.now() - startMs);
  console.log(`both cores ${percentOf(busy)} busy with queries and changes`);
  for (const loader of loaders) loader.finish();
  const summaries = await Promise.all(loaders.map(({ summary }) => summary));
  for (const [edge, { sent, lost, p99 }] of summaries.entries())
    console.log(`edge ${edge}: ${sent} queries, ${lost} lost, p99 ${p99} µs`);
  const [load] = summaries.toSorted((a, b) => b.p99 - a.p99);
  if (load === undefined) throw new Error("Cannot measure changes: there is no edge");
  return { changes, missed, busy: Math.round(busy * 1000) / 1000, load };
}
