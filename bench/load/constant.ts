// SPDX-License-Identifier: Apache-2.0

// Whether work is constant: what processes cost while none of their endpoints changes, and while all of them change each second, by turns.
// `node bench/load/constant.ts [--mode fleet|up] [--endpoints 10000] [--seconds 8] [--rounds 3] [--keep] [--out FILE.json]`
//
//   fleet   a control, an edge and a probe, processes of their own. The probe is the one vantage that judges: it probes each endpoint once a
//           second, and the two others once in three, as all that may have to judge do
//   up      one process with both planes, which probes each endpoint once a second
//
// Of each process: processor time a second, of all its threads and of each; how late its event loops are; what it writes to its log and to
// its state folder; and the bytes of its connections to control, both ways, which lead through a relay here.

import { execFile, type ChildProcess } from "node:child_process";
import {
  closeSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { connect, createServer, type Server } from "node:net";
import { spawn } from "node:child_process";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs, promisify } from "node:util";
import { cpuBetween, readCpu, type CpuTime } from "./measure/cpu.ts";
import { HealthTarget } from "./measure/health-target.ts";
import { isLoopLag, type LoopLag } from "./measure/loop-lag.ts";
import { describeMachine } from "./measure/machine.ts";
import { buildNative } from "./measure/native.ts";
import { freePort, pidOf, stopProgram, waitFor } from "./measure/program.ts";
import { median } from "./measure/statistics.ts";
import { document } from "./servers/meridian-documents.ts";

const POOL_MEMBERS = 10;
const INTERVAL_MS = 1000;
/** Before each turn is measured: rounds of probes in which the one before ends. */
const SETTLE_MS = 3000;
const READY_MS_MAX = 120_000;
const PROBER = "probe-1";
const lagProgram = join(import.meta.dirname, "measure/loop-lag.ts");

const { values } = parseArgs({
  options: {
    mode: { type: "string", default: "fleet" },
    endpoints: { type: "string", default: "10000" },
    seconds: { type: "string", default: "8" },
    rounds: { type: "string", default: "3" },
    program: {
      type: "string",
      default: join(import.meta.dirname, "../../apps/meridian/src/main.ts"),
    },
    keep: { type: "boolean", default: false },
    out: { type: "string" },
  },
});
const count = Number(values.endpoints);
const seconds = Number(values.seconds);
const isFleet = values.mode === "fleet";

/** Bytes of a process's connections to control. */
interface Relayed {
  fromControl: number;
  toControl: number;
}

interface Measured {
  readonly name: string;
  readonly child: ChildProcess;
  readonly log: string;
  readonly state: string;
  readonly relayed: Relayed;
}

/** What a process cost, a second. */
type Cost = Readonly<Record<string, number>>;

/** What is read before and after a turn. */
interface Reading {
  readonly cpu: CpuTime;
  readonly wallMs: number;
  readonly logBytes: number;
  readonly stateBytes: number;
  readonly relayed: Relayed;
}

const folder = mkdtempSync(join(tmpdir(), "meridian-constant-"));
const lagFolder = join(folder, "lag");
const measured: Measured[] = [];
const relays: Server[] = [];
let target: HealthTarget | undefined;
try {
  await run();
} finally {
  await Promise.all(measured.map(({ child }) => stopProgram(child)));
  await target?.close();
  for (const relay of relays) relay.close();
  if (values.keep) console.log(`Kept ${folder}`);
  else rmSync(folder, { recursive: true, force: true });
}

async function run(): Promise<void> {
  if ((await buildNative("health-target")) === undefined)
    throw new Error("Cannot build the health target: there is no C compiler");
  mkdirSync(lagFolder);
  const port = await freePort();
  const downFile = join(folder, "down");
  writeFileSync(downFile, "");
  target = new HealthTarget(port, 0, downFile);
  await target.ready();
  const documents = join(folder, "documents");
  mkdirSync(documents);
  writeFileSync(join(documents, "all.jsonl"), documentsOf(port));
  await (isFleet ? startFleet(documents) : startUp(documents));
  // Rehearsals, first rounds and what V8 compiles of both days.
  await sleep(8000);
  await turn(true);
  const calm: Cost[][] = [];
  const flipping: Cost[][] = [];
  for (let round = 0; round < Number(values.rounds); round++) {
    calm.push(await turn(false));
    flipping.push(await turn(true));
  }
  const result = {
    date: new Date().toISOString(),
    machine: await describeMachine(),
    mode: values.mode,
    endpoints: count,
    seconds,
    rounds: calm.length,
    processes: measured.map(({ name }, at) => ({
      name,
      calm: medians(calm.map((costs) => costs[at] ?? {})),
      flipping: medians(flipping.map((costs) => costs[at] ?? {})),
    })),
  };
  for (const { name, ...costs } of result.processes) {
    console.log(name);
    console.table(
      Object.fromEntries(
        Object.keys({ ...costs.calm, ...costs.flipping }).map((figure) => {
          const [calmly, flippingly] = [costs.calm[figure] ?? 0, costs.flipping[figure] ?? 0];
          const percent = calmly === 0 ? "" : rounded((flippingly / calmly - 1) * 100);
          return [figure, { calm: calmly, flipping: flippingly, percent }];
        }),
      ),
    );
  }
  if (values.out !== undefined) writeFileSync(values.out, `${JSON.stringify(result, null, 2)}\n`);
}

/** Each process's cost while all endpoints change, or none. */
async function turn(isFlipping: boolean): Promise<Cost[]> {
  target?.flap(isFlipping ? INTERVAL_MS : 0);
  await sleep(SETTLE_MS);
  const turns = measured.map((each) => ({ each, before: read(each) }));
  await sleep(seconds * 1000);
  return turns.map(({ each, before }) => costBetween(each, before, read(each)));
}

function read({ child, log, state, relayed }: Measured): Reading {
  return {
    cpu: readCpu([pidOf(child)]),
    wallMs: Date.now(),
    logBytes: statSync(log).size,
    stateBytes: journalBytes(state),
    relayed: { ...relayed },
  };
}

function costBetween({ child }: Measured, before: Reading, after: Reading): Cost {
  const wall = (after.wallMs - before.wallMs) / 1000;
  const { total, user, system } = cpuBetween(before.cpu, after.cpu);
  const lags = lagsOf(pidOf(child), before.wallMs, after.wallMs);
  return {
    "CPU ms/s": rounded(total / 1000 / wall),
    "user ms/s": rounded(user / 1000 / wall),
    "system ms/s": rounded(system / 1000 / wall),
    ...Object.fromEntries(
      threadsOf(before.cpu, after.cpu).map(([name, micros]) => [
        `thread ${name} ms/s`,
        rounded(micros / 1000 / wall),
      ]),
    ),
    ...Object.fromEntries(
      [...Map.groupBy(lags, ({ thread }) => thread)].flatMap(([thread, some]) => [
        [`lag ${thread} p99 ms`, rounded(median(some.map(({ p99 }) => p99)))],
        [`lag ${thread} mean ms`, rounded(median(some.map(({ mean }) => mean)))],
        [`lag ${thread} max ms`, rounded(median(some.map(({ max }) => max)))],
      ]),
    ),
    "log bytes/s": Math.round((after.logBytes - before.logBytes) / wall),
    "journal bytes/s": Math.round((after.stateBytes - before.stateBytes) / wall),
    "from control bytes/s": Math.round(
      (after.relayed.fromControl - before.relayed.fromControl) / wall,
    ),
    "to control bytes/s": Math.round((after.relayed.toControl - before.relayed.toControl) / wall),
  };
}

/** Microseconds by name of threads; those of one name together. */
function threadsOf(before: CpuTime, after: CpuTime): [string, number][] {
  const spent = new Map<string, number>();
  for (const [id, { name, total }] of after.threads)
    spent.set(name, (spent.get(name) ?? 0) + total - (before.threads.get(id)?.total ?? 0));
  return [...spent].filter(([, micros]) => micros > 0).toSorted((a, b) => b[1] - a[1]);
}

function lagsOf(pid: number, fromMs: number, toMs: number): LoopLag[] {
  return readdirSync(lagFolder)
    .filter((name) => name.startsWith(`${pid}-`))
    .flatMap((name) => readFileSync(join(lagFolder, name), "utf8").split("\n"))
    .flatMap((line): LoopLag[] => {
      const lag: unknown = line === "" ? undefined : JSON.parse(line);
      return isLoopLag(lag) ? [lag] : [];
    })
    .filter(({ atMs }) => atMs > fromMs && atMs <= toMs);
}

/** What is written of change sets. */
function journalBytes(state: string): number {
  const history = join(state, "history");
  try {
    return readdirSync(history)
      .filter((name) => name.startsWith("journal-"))
      .reduce((bytes, name) => bytes + statSync(join(history, name)).size, 0);
  } catch {
    return 0;
  }
}

function medians(costs: readonly Cost[]): Cost {
  const figures = new Set(costs.flatMap((cost) => Object.keys(cost)));
  return Object.fromEntries(
    [...figures].map((figure) => [figure, rounded(median(costs.map((cost) => cost[figure] ?? 0)))]),
  );
}

function documentsOf(port: number): string {
  const lines = [
    document("Zone", "example", {
      origin: "example.org",
      ttl: "60s",
      nameServers: [{ name: "ns1.example.org", addresses: ["127.0.0.1"] }],
    }),
    document("HealthCheck", "web", {
      http: { port, path: "/" },
      interval: `${INTERVAL_MS}ms`,
      timeout: "900ms",
      unhealthyThreshold: 1,
      healthyThreshold: 1,
      ...(isFleet ? { vantages: [PROBER], minVantages: 1 } : {}),
    }),
  ];
  for (let at = 0; at < Math.ceil(count / POOL_MEMBERS); at++) {
    const members = Array.from({ length: POOL_MEMBERS }, (_, member) => {
      const index = 256 + at * POOL_MEMBERS + member;
      const address = `127.1.${index >> 8}.${index & 255}`;
      return [`m${member}`, { address }] as const;
    });
    lines.push(
      document("Pool", `pool-${at}`, { members: Object.fromEntries(members), healthCheck: "web" }),
      document("TrafficPolicy", `policy-${at}`, {
        root: "root",
        nodes: { root: { multivalue: { branches: [{ pool: `pool-${at}` }] } } },
      }),
      document("Record", `name-${at}`, {
        name: `name-${at}.example.org`,
        types: ["A"],
        policy: `policy-${at}`,
      }),
    );
  }
  return lines.join("");
}

function start(name: string, given: readonly string[], state: string, relayed: Relayed): void {
  const log = join(folder, `${name}.log`);
  const descriptor = openSync(log, "a");
  const child = spawn(process.execPath, ["--import", lagProgram, values.program, ...given], {
    stdio: ["ignore", descriptor, descriptor],
    env: { ...process.env, LAG_FOLDER: lagFolder },
  });
  closeSync(descriptor);
  measured.push({ name, child, log, state, relayed });
}

async function startUp(documents: string): Promise<void> {
  const state = join(folder, "up");
  const listen = `127.0.0.1:${await freePort()}`;
  start(
    "up",
    [
      "up",
      "-f",
      documents,
      "--state",
      state,
      "--listen",
      listen,
      "--http",
      "none",
      "--workers",
      "1",
    ],
    state,
    { fromControl: 0, toControl: 0 },
  );
  await sleep(10_000);
}

async function startFleet(documents: string): Promise<void> {
  const state = join(folder, "control");
  const port = await freePort();
  start(
    "control",
    [
      ...["control", "-f", documents, "--state", state],
      ...["--edges", `127.0.0.1:${port}`, "--http", "none"],
    ],
    state,
    { fromControl: 0, toControl: 0 },
  );
  const edgePort = await freePort();
  await startMember("edge-1", "edge", state, port, [
    ...["--listen", `127.0.0.1:${edgePort}`, "--http", "none", "--workers", "1"],
  ]);
  await startMember(PROBER, "probe", state, port, []);
}

/** An edge or a probe, behind a relay of its own. */
async function startMember(
  name: string,
  kind: "edge" | "probe",
  control: string,
  port: number,
  given: readonly string[],
): Promise<void> {
  const command = async (...args: string[]): Promise<string> =>
    (await promisify(execFile)(process.execPath, [values.program, ...args])).stdout.trim();
  const token = await waitFor("control", READY_MS_MAX, () =>
    command("token", "create", name, `--${kind}`, "--state", control).catch(() => undefined),
  );
  const state = join(folder, name);
  const relayed: Relayed = { fromControl: 0, toControl: 0 };
  const url = `https://127.0.0.1:${await relay(port, relayed)}`;
  await command("edge", "join", `${token}@${url}`, "--state", state);
  start(name, [kind, "--control", url, "--state", state, ...given], state, relayed);
}

/** A port that leads to another one, and counts what passes. */
async function relay(port: number, relayed: Relayed): Promise<number> {
  const server = createServer((near) => {
    const far = connect(port, "127.0.0.1");
    for (const socket of [near, far]) {
      socket.setNoDelay(true);
      socket.on("error", () => {
        near.destroy();
        far.destroy();
      });
    }
    near.on("data", (bytes) => (relayed.toControl += bytes.length));
    far.on("data", (bytes) => (relayed.fromControl += bytes.length));
    near.pipe(far);
    far.pipe(near);
  });
  relays.push(server);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  return typeof address === "object" && address !== null ? address.port : 0;
}

function rounded(value: number): number {
  return Math.round(value * 100) / 100;
}
