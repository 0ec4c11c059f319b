// SPDX-License-Identifier: Apache-2.0

// Keys that are rolled under load, with a resolver as the judge: `node bench/load/key-roll.ts [--only NAME] [--clients N] [--up]
// [--keep] [--save]`. With `--up` one process is control and edge, else there are two edges. `--save` writes
// bench/results/DATE-key-roll.json.
//
//   clients ──► Unbound, trusts the parent's key alone ──► parent zone on Knot, DS from CDS
//                                                     └──► two edges ◄── control, TTLs and timings of seconds
//
// Each change of keys is a turn: clients begin when the keys are settled, ask all the time, and end some seconds after the last old key
// went. They ask for answers that vary, static ones, wildcards and what is not there, most of it never asked before. What they are told
// counts: secure, bogus, insecure, failed or nothing at all. Anything but secure makes the exit code 1.

import { execFile, type ChildProcess } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs, promisify } from "node:util";
import { RRType } from "@meridian/dns";
import { describeMachine, type Machine } from "./measure/machine.ts";
import { freePort, outputOf, startPinned, stopProgram, waitFor } from "./measure/program.ts";
import { Clients, type Asking, type Failure, type Verdicts } from "./validation/clients.ts";
import { ParentZone } from "./validation/parent-zone.ts";
import { recordsOf } from "./validation/records.ts";
import { startUnbound } from "./validation/resolver.ts";
import { rollDocuments, turns, type RollTurn } from "./validation/roll-documents.ts";

const CORES = "0,1";
const EDGES = 2;
const PARENT = "roll.test.";
const PARENT_TTL = 1;
const READY_MS_MAX = 60_000;
/** "Done" is a roll within 90 s; a busy machine gets longer to be measured at all. */
const ROLL_MS_MAX = 180_000;
const FOLLOW_MS = 250;
const PAUSE_MS = 10;
const CALM_MS = 3000;
const program = join(import.meta.dirname, "../../apps/meridian/src/main.ts");

interface TurnResult {
  readonly turn: string;
  /** From the order until the last old key went. */
  readonly tookMs: number;
  readonly verdicts: Verdicts;
  readonly longestMs: number;
  readonly failures: readonly Failure[];
  /** Each state of the keys and when it was seen first. */
  readonly steps: readonly string[];
}

const { values } = parseArgs({
  options: {
    only: { type: "string" },
    clients: { type: "string", default: "16" },
    up: { type: "boolean", default: false },
    keep: { type: "boolean", default: false },
    save: { type: "boolean", default: false },
  },
});

const children: ChildProcess[] = [];
const folder = mkdtempSync(join(tmpdir(), "meridian-key-roll-"));
const state = join(folder, "control");
const documents = join(folder, "documents.yaml");
for (const signal of ["SIGINT", "SIGTERM"] as const)
  process.once(signal, () => {
    for (const child of children) child.kill("SIGKILL");
    process.exit(1);
  });
try {
  await run();
} finally {
  await Promise.all(children.map(stopProgram));
  if (values.keep) console.log(`Kept ${folder}`);
  else rmSync(folder, { recursive: true, force: true });
}

async function run(): Promise<void> {
  const date = new Date().toISOString();
  const machine = await describeMachine();
  const wanted = turns.filter(({ name }) => values.only === undefined || name === values.only);
  const labels = wanted.map(({ name }) => name);
  const parent = await ParentZone.start(join(folder, "parent"), CORES, PARENT, labels, PARENT_TTL);
  children.push(parent.child);
  writeFileSync(documents, rollDocuments(wanted, PARENT, parent.port, new Set()));
  const ports = await startPlanes();
  const resolver = await startUnbound(join(folder, "resolver"), CORES, await parent.anchor(), [
    { origin: PARENT, ports: [parent.port] },
    ...labels.map((label) => ({ origin: `${label}.${PARENT}`, ports })),
  ]);
  children.push(resolver.child);
  const isFollowing = { value: true };
  const following = followChildren(parent, labels, resolver.port, isFollowing);
  const results: TurnResult[] = [];
  for (const turn of wanted) {
    const result = await take(turn, wanted, parent.port, resolver.port);
    results.push(result);
    tell(result);
  }
  isFollowing.value = false;
  await following;
  if (values.save) await save(date, machine, results);
  if (results.some(({ verdicts }) => sum(verdicts) > verdicts.secure)) process.exitCode = 1;
}

/** The parent does as its children say: at first whoever answers is believed, then what validates alone. */
async function followChildren(
  parent: ParentZone,
  labels: readonly string[],
  port: number,
  isFollowing: { readonly value: boolean },
): Promise<void> {
  const trusted = new Set<string>();
  while (isFollowing.value) {
    for (const label of labels) {
      const heard = await recordsOf(port, `${label}.${PARENT}`, RRType.CDS);
      if (heard === undefined || (trusted.has(label) && !heard.isSecure)) continue;
      if (await parent.follow(label, heard.records)) trusted.add(label);
    }
    await sleep(FOLLOW_MS);
  }
}

async function take(
  turn: RollTurn,
  all: readonly RollTurn[],
  parentPort: number,
  resolverPort: number,
): Promise<TurnResult> {
  const zone = `${turn.name}.${PARENT}`;
  await waitFor(`the DS of ${zone}`, READY_MS_MAX, async () => {
    const [first] = await keysOf(zone);
    const { isSecure } = (await recordsOf(resolverPort, zone, RRType.SOA)) ?? {};
    await sleep(FOLLOW_MS);
    return first?.stage === "active" && isSecure === true ? true : undefined;
  });
  const before = await keysOf(zone);
  const clients = new Clients(resolverPort, Number(values.clients), PAUSE_MS, askingIn(zone));
  await sleep(CALM_MS);
  const startMs = performance.now();
  if (turn.after === undefined)
    await meridian("dnssec", "roll", zone.slice(0, -1), "--state", state);
  else {
    // The settings of turns before stay.
    const changed = new Set(all.slice(0, all.indexOf(turn) + 1));
    writeFileSync(documents, rollDocuments(all, PARENT, parentPort, changed));
  }
  const steps: string[] = [];
  const isOver = async (): Promise<true | undefined> => {
    const keys = await keysOf(zone);
    const text = keys.map(({ role, keyTag, stage }) => `${role} ${keyTag} ${stage}`).join(", ");
    const ms = Math.round(performance.now() - startMs);
    if (steps.at(-1)?.endsWith(` ms: ${text}`) !== true) steps.push(`${ms} ms: ${text}`);
    await sleep(FOLLOW_MS);
    return isSettled(keys) && !keys.some(({ keyTag }) => before.some((b) => b.keyTag === keyTag))
      ? true
      : undefined;
  };
  await waitFor(`the new keys of ${zone}`, ROLL_MS_MAX, isOver);
  const tookMs = Math.round(performance.now() - startMs);
  await sleep(CALM_MS);
  await clients.finish();
  const { verdicts, longestMs, failures } = clients;
  return {
    ...{ turn: turn.title, tookMs, verdicts, longestMs: Math.round(longestMs), failures, steps },
  };
}

interface KeyStatus {
  readonly role: string;
  readonly keyTag: number;
  readonly stage: string;
}

function isSettled(keys: readonly KeyStatus[]): boolean {
  return keys.length > 0 && keys.every(({ stage }) => stage === "active");
}

/** As `meridian dnssec status` tells them, a line each; none before the zone has any. */
async function keysOf(zone: string): Promise<readonly KeyStatus[]> {
  const text = await meridian("dnssec", "status", zone.slice(0, -1), "--state", state).catch(
    () => "",
  );
  const lines = text.matchAll(/^\S+ +([kzc]sk) +(\d+) +\S+ +(\w+)/gm);
  return [...lines].map(([, role = "", keyTag, stage = ""]) => ({
    role,
    keyTag: Number(keyTag),
    stage,
  }));
}

function askingIn(zone: string): Asking {
  let count = 0;
  const fresh = (): string => (count += 1).toString(36);
  const kinds: readonly Asking[] = [
    () => [`www.${zone}`, RRType.A],
    () => [`www.${zone}`, RRType.AAAA],
    () => [`text.${zone}`, RRType.TXT],
    () => [`${fresh()}.wild.${zone}`, RRType.A],
    () => [`${fresh()}.wild.${zone}`, RRType.MX],
    () => [`${fresh()}.${zone}`, RRType.A],
    () => [zone, RRType.SOA],
    () => [zone, RRType.DNSKEY],
    () => [zone, RRType.DS],
  ];
  return () => {
    const kind = kinds[Math.floor(Math.random() * kinds.length)];
    return kind?.() ?? [zone, RRType.SOA];
  };
}

/** Control and edges, or one process for both; resolves with the ports that answer, once edges have joined. */
async function startPlanes(): Promise<number[]> {
  const listen = `127.0.0.1:${await freePort()}`;
  const url = `https://${listen}`;
  const start = (given: readonly string[], log: string): void => {
    children.push(startPinned(CORES, process.execPath, [program, ...given], join(folder, log)));
  };
  const files = ["-f", documents, "--state", state, "--http", "none"];
  if (values.up) {
    const port = await freePort();
    start(["up", ...files, "--listen", `127.0.0.1:${port}`], "up.log");
    return [port];
  }
  start(["control", ...files, "--edges", listen], "control.log");
  const ports: number[] = [];
  for (let edge = 0; edge < EDGES; edge++) {
    const own = join(folder, `edge-${edge}`);
    const token = await waitFor("control", READY_MS_MAX, () =>
      meridian("token", "create", `edge-${edge}`, "--edge", "--state", state).catch(
        () => undefined,
      ),
    );
    await waitFor("control's port", READY_MS_MAX, () =>
      meridian("edge", "join", `${token}@${url}`, "--state", own).catch(() => undefined),
    );
    const port = await freePort();
    ports.push(port);
    const place = ["--listen", `127.0.0.1:${port}`, "--http", "none", "--state", own];
    start(["edge", "--control", url, ...place, "--workers", "1"], `edge-${edge}.log`);
  }
  return ports;
}

async function meridian(...given: string[]): Promise<string> {
  return (await promisify(execFile)(process.execPath, [program, ...given])).stdout.trim();
}

function tell({ turn, tookMs, verdicts, longestMs, failures, steps }: TurnResult): void {
  const { secure, ...others } = verdicts;
  const rest = Object.entries(others).map(([verdict, count]) => `${count} ${verdict}`);
  console.log(
    `${turn}: ${(tookMs / 1000).toFixed(1)} s; ${secure} of ${secure + sum(others)} secure, ${rest.join(", ")}; longest ${longestMs} ms`,
  );
  for (const step of steps) console.log(`  ${step}`);
  for (const { atMs, question, what } of failures.slice(0, 20))
    console.log(`  after ${atMs} ms, ${question}: ${what}`);
}

function sum(counts: Readonly<Record<string, number>>): number {
  return Object.values(counts).reduce((total, count) => total + count, 0);
}

async function save(date: string, machine: Machine, results: readonly TurnResult[]): Promise<void> {
  const first = async (file: string, ...flags: readonly string[]): Promise<string> =>
    (await outputOf(file, flags)).split("\n")[0] ?? "";
  const versions = {
    meridian: await first("git", "rev-parse", "HEAD"),
    unbound: await first("/usr/sbin/unbound", "-V"),
    knot: await first("/usr/sbin/knotd", "--version"),
  };
  const edges = values.up ? 0 : EDGES;
  const settings = { clients: Number(values.clients), pauseMs: PAUSE_MS, edges };
  const path = join(import.meta.dirname, `../results/${date.slice(0, 10)}-key-roll.json`);
  const text = JSON.stringify({ date, machine, versions, settings, results }, undefined, 1);
  writeFileSync(path, `${text}\n`);
  console.log(`saved ${path}`);
}
