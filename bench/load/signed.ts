// SPDX-License-Identifier: Apache-2.0
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { ChildProcess } from "node:child_process";
import { writePieces } from "./data/files.ts";
import { largePlan, smallPlan, type PlanSize, type ServicePlan } from "./data/plan.ts";
import { absentQueries, signedQueries } from "./data/query-file.ts";
import { CLIENT_PREFIXES, clientPrefixes, regionNets } from "./data/regions.ts";
import { ask } from "./measure/ask.ts";
import { cpuBetween, processTree, readBusy, readCpu } from "./measure/cpu.ts";
import { runDnsperf } from "./measure/dnsperf.ts";
import { freePort, pidOf, stopProgram, waitFor } from "./measure/program.ts";
import { turns } from "./measure/statistics.ts";
import type { Options } from "./options.ts";
import type { SignedResult, SignedTurn } from "./output/results.ts";
import type { Serving } from "./servers/adapter.ts";
import { meridian } from "./servers/meridian.ts";
import { knotSigner, powerdnsSigner, type Signer } from "./servers/signers.ts";

const READY_MS_MAX = 300_000;
/** Signing ahead ends when the process takes less than this share of a core. */
const IDLE_SHARE = 0.05;
const IDLE_MS = 2000;
/** Before anything is measured, at most this many turns, until new signatures are this share of those that were there. */
const WARM_TURNS_MAX = 20;
const NEW_SHARE = 0.002;
const QUERIES = 1_000_000;
const QUICK_QUERIES = 50_000;
/** Names of one turn that nobody has asked for before. */
const ABSENT = 400_000;
const COLD_ROUNDS = 3;
const size: PlanSize = {
  ...{ names: 100_000, policies: 1000, endpoints: 9000, zones: 3, wildcards: 0 },
  kinds: ["weighted", "geo", "multivalue"],
};

/** Meridian as it answers from a zone that is signed in one of the ways, or not. */
const signerOf = (name: string, dnssec?: Serving["dnssec"]): Signer => ({
  name,
  version: () => meridian.version(),
  configure: (serving) =>
    meridian.configure(dnssec === undefined ? serving : { ...serving, dnssec }),
  start: (serving) => meridian.start(serving),
});

interface RunningSigner {
  readonly signer: Signer;
  readonly serving: Serving;
  readonly child: ChildProcess;
  readonly version: string;
}

/** Q/s and CPU time with DO: signed beside unsigned, warm and for names never asked; then what signing while clients wait takes. */
export async function measureSigned(run: Options): Promise<readonly SignedResult[]> {
  const folder = mkdtempSync(join(tmpdir(), "meridian-bench-signed-"));
  const running: RunningSigner[] = [];
  try {
    const found = new Map<string, SignedResult>();
    const note = (server: RunningSigner, load: string, turn: SignedTurn): void => {
      const { signer, version } = server;
      const key = `${signer.name}, ${load}`;
      const before = found.get(key);
      found.set(key, { name: signer.name, version, load, turns: [...(before?.turns ?? []), turn] });
      console.log(`  ${key}: ${Math.round(turn.queriesPerSecond)} q/s ${JSON.stringify(turn)}`);
    };
    await measureWarm(folder, run, running, note);
    for (const server of running.splice(0)) await stopProgram(server.child);
    await measureCold(folder, run, running, note);
    return [...found.values()];
  } finally {
    await Promise.all(running.map(({ child }) => stopProgram(child)));
    if (!run.keep) rmSync(folder, { recursive: true, force: true });
  }
}

type Note = (server: RunningSigner, load: string, turn: SignedTurn) => void;

async function measureWarm(
  folder: string,
  run: Options,
  running: RunningSigner[],
  note: Note,
): Promise<void> {
  const plan = largePlan(
    run.isQuick ? { ...size, names: 5000, policies: 50, endpoints: 450 } : size,
    run.seed,
  );
  const prefixes = clientPrefixes(regionNets(run.seed), CLIENT_PREFIXES, run.seed);
  const queries = join(folder, "queries");
  const count = run.isQuick ? QUICK_QUERIES : QUERIES;
  writePieces(queries, signedQueries(plan, prefixes, count));
  for (const signer of [signerOf("Meridian, unsigned"), signerOf("Meridian, signed", "nsec")])
    await start(signer, join(folder, signer.name.replaceAll(/\W+/g, "-")), plan, run, running);
  for (const server of running) {
    await whenIdle(server, run);
    await warmUp(server, queries, run);
  }
  for (let round = 0; round < run.rounds; round += 1)
    for (const [, server] of turns(running, round).entries())
      note(server, "asked before", await saturate(server, queries, run));
  let serial = 0;
  for (let round = 0; round < Math.min(COLD_ROUNDS, run.rounds); round += 1)
    for (const [, server] of turns(running, round).entries()) {
      const absent = join(folder, "absent");
      writePieces(absent, absentQueries(plan, prefixes, serial, ABSENT));
      serial += ABSENT;
      note(server, "names never asked", await saturate(server, absent, run));
    }
}

/** Every answer needs a signature that nobody has made: names that are not there, denied one by one. */
async function measureCold(
  folder: string,
  run: Options,
  running: RunningSigner[],
  note: Note,
): Promise<void> {
  const plan = smallPlan("weighted", run.seed);
  const signers = [signerOf("Meridian, compact", "compact"), knotSigner, powerdnsSigner];
  for (const signer of signers)
    await start(signer, join(folder, signer.name.replaceAll(/\W+/g, "-")), plan, run, running);
  let serial = 0;
  for (let round = 0; round < Math.min(COLD_ROUNDS, run.rounds); round += 1)
    for (const [, server] of turns(running, round).entries()) {
      const absent = join(folder, "absent");
      writePieces(absent, absentQueries(plan, [], serial, ABSENT));
      serial += ABSENT;
      note(server, "signed while clients wait", await saturate(server, absent, run));
    }
}

async function start(
  signer: Signer,
  folder: string,
  plan: ServicePlan,
  run: Options,
  running: RunningSigner[],
): Promise<void> {
  const version = await signer.version();
  if (version === undefined) return console.log(`  ${signer.name}: not installed, left out`);
  mkdirSync(folder);
  const serving: Serving = {
    workload: "mixed",
    plan,
    nets: regionNets(run.seed),
    check: { port: 9, intervalSeconds: 3600, threshold: 3, isDisabled: true },
    folder,
    port: await freePort(),
    controlPort: await freePort(),
    cores: run.serverCores,
  };
  await signer.configure(serving);
  const child = signer.start(serving);
  running.push({ signer, serving, child, version });
  await waitFor(
    `${signer.name} to answer`,
    READY_MS_MAX,
    async () =>
      (await ask(serving.port, plan.owners[0] ?? "", 50))?.rcode === 0 ? true : undefined,
    child,
  );
}

/** Resolves when what is signed ahead is. */
async function whenIdle({ child }: RunningSigner, run: Options): Promise<void> {
  const pids = processTree(pidOf(child));
  const waitMs = run.isQuick ? IDLE_MS / 2 : IDLE_MS;
  for (let spent = 1; spent > IDLE_SHARE;) {
    const before = readCpu(pids);
    await sleep(waitMs);
    spent = cpuBetween(before, readCpu(pids)).total / (waitMs * 1000);
  }
}

/** Asks until hardly anything is new. */
async function warmUp(server: RunningSigner, queries: string, run: Options): Promise<void> {
  for (let turn = 0; turn < WARM_TURNS_MAX; turn += 1) {
    const { signatures: found } = await saturate(server, queries, run);
    if (found === undefined || found.made <= found.ready * NEW_SHARE) return;
  }
}

async function saturate(
  { serving, child }: RunningSigner,
  queryFile: string,
  run: Options,
): Promise<SignedTurn> {
  const pids = processTree(pidOf(child));
  const startMs = performance.now();
  const busy = readBusy(serving.cores);
  const states = await signatures(serving);
  const before = readCpu(pids);
  const found = await runDnsperf({
    port: serving.port,
    queryFile,
    seconds: run.seconds,
    core: run.clientCore,
  });
  const spent = cpuBetween(before, readCpu(pids));
  const others = Math.max(0, readBusy(serving.cores) - busy - spent.total);
  const after = await signatures(serving);
  const answered = Math.max(1, found.completed);
  const change = (state: string): number => (after.get(state) ?? 0) - (states.get(state) ?? 0);
  return {
    queriesPerSecond: found.queriesPerSecond,
    lost: found.lost,
    cpu: spent.total / answered,
    cpuBusiest: spent.busiest.total / answered,
    signatures:
      after.size === 0
        ? undefined
        : {
            ready: change("ready"),
            made: change("made"),
            refused: change("refused"),
          },
    others: others / ((performance.now() - startMs) * 1000),
  };
}

/** What Meridian's metrics say of signatures so far; empty of other servers. */
async function signatures({ controlPort }: Serving): Promise<ReadonlyMap<string, number>> {
  try {
    const response = await fetch(`http://127.0.0.1:${controlPort}/metrics`);
    const lines = (await response.text()).matchAll(
      /^meridian_dns_signatures_total\{state="(\w+)"\} (\d+)/gm,
    );
    return new Map([...lines].map(([, state = "", count]) => [state, Number(count)]));
  } catch {
    return new Map();
  }
}
