// SPDX-License-Identifier: Apache-2.0

// How soon four edges on this machine answer what one changed file says: `node bench/load/change-edges.ts [--names N] [--rounds N] [--rate Q]`.
// One control compiles N names (a million unless given) and feeds four edges, processes of their own; each is asked Q times a second in
// all for the six names that change, which is its load. A change counts when the last of the four answers as the file says.

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
import { buildNative } from "./measure/native.ts";
import { freePort, startPinned, stopProgram, waitFor } from "./measure/program.ts";
import { percentile } from "./measure/statistics.ts";
import type { Serving } from "./servers/adapter.ts";
import {
  applyChange,
  changedNames,
  changeKinds,
  initialState,
  writeChangeFile,
} from "./servers/meridian-changes.ts";
import { meridian } from "./servers/meridian.ts";

const EDGES = 4;
const CORES = "0,1";
const READY_MS_MAX = 300_000;
const ANSWER_MS_MAX = 60_000;
const PAUSE_MS = 150;
const SEED = 1;
const program = join(import.meta.dirname, "../../apps/meridian/src/main.ts");

const { values } = parseArgs({
  options: {
    names: { type: "string", default: "1000000" },
    rounds: { type: "string", default: "20" },
    rate: { type: "string", default: "10000" },
    keep: { type: "boolean", default: false },
  },
});
const names = Number(values.names);
const rounds = Number(values.rounds);
const rate = Number(values.rate);

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
  writeChangeFile(serving, initialState);
  const origin = plan.origins[0] ?? "";
  const ports = await startPlanes(serving, `change-weight.${origin}`);
  const list = join(folder, "names");
  writeFileSync(list, `${changedNames(origin).join("\n")}\n`);
  const seconds = 3600;
  for (const port of ports)
    loaders.push(
      startLoader({ port, core: 1, rate, seconds, seed: SEED, names: list, watch: true }),
    );
  await sleep(1000);
  await measure(serving, origin);
}

/** Control and the edges; resolves with the edges' ports when all answer. */
async function startPlanes(
  { folder: base, controlPort }: Serving,
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
    const place = ["--listen", `127.0.0.1:${port}`, "--workers", "1", "--state", own];
    start(["edge", "--control", url, ...place], `edge-${edge}.log`);
  }
  for (const port of ports)
    await waitFor("an edge's answer", READY_MS_MAX, async () => {
      const answer = await ask(port, name, 1000);
      return answer?.addresses.length === 1 ? answer : undefined;
    });
  console.log(`${names} names at ${EDGES} edges after ${Math.round(performance.now() - begun)} ms`);
  return ports;
}

async function measure(serving: Serving, origin: string): Promise<void> {
  const times = new Map<string, number[]>(changeKinds.map((kind) => [kind, []]));
  let state = initialState;
  for (let index = 0; index < rounds * changeKinds.length; index++) {
    const kind = changeKinds[index % changeKinds.length] ?? "record weight";
    const next = applyChange(state, kind, origin);
    ({ state } = next);
    const seenBefore = loaders.map(({ changes }) => changes.length);
    const at = writeChangeFile(serving, state);
    const seen = await Promise.all(
      loaders.map((loader, edge) =>
        loader.change(
          seenBefore[edge] ?? 0,
          (each) => each.name === `${next.name}.` && each.addresses[0] === next.address,
          ANSWER_MS_MAX,
        ),
      ),
    );
    const last = Math.max(...seen.map((change) => ((change?.ns ?? Infinity) - at) / 1e6));
    // The first change finds a compiler that knows nothing but what is published.
    if (index === 0) console.log(`first change, ${kind}: ${last.toFixed(1)} ms`);
    else times.get(kind)?.push(last);
    await sleep(PAUSE_MS);
  }
  for (const [kind, all] of [...times, ["all", [...times.values()].flat()] as const])
    console.log(
      `${kind.padEnd(14)} n ${all.length}  p50 ${shown(all, 0.5)}  p90 ${shown(all, 0.9)}  p99 ${shown(all, 0.99)} ms`,
    );
  for (const loader of loaders) loader.finish();
  const summaries = await Promise.all(loaders.map(({ summary }) => summary));
  for (const [edge, { sent, lost, p99 }] of summaries.entries())
    console.log(`edge ${edge}: ${sent} queries, ${lost} lost, p99 ${p99} µs`);
}

function shown(times: readonly number[], share: number): string {
  return percentile(times, share)?.toFixed(1) ?? "-";
}
