// SPDX-License-Identifier: Apache-2.0

// One run: a cluster in a lab, a writer, observers, one fault after the other, and what was wrong.

import { copyFileSync, globSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { Pcg32 } from "@meridian/core";
import { findingsOf } from "../consistency/checkers.ts";
import { busyFactor, until } from "../e2e/process.ts";
import { COUNTER_NAME, Cluster, SERVICE_NAME, valueOf, type Member } from "./cluster.ts";
import { RECOVERY_MS, faultsOf, type Happened } from "./faults.ts";
import { FIRST_PLACE, judge, type Bounds, type Load, type Outage } from "./judgement.ts";
import { Lab } from "./lab.ts";
import { Observer } from "./observer.ts";
import { Preloads } from "./preloads.ts";
import type { Age } from "./staleness.ts";
import { checkOut, upgrade } from "./upgrade.ts";
import { Writer, commitsOf } from "./writer.ts";

/** Before the first fault. */
const CALM_MS = 5000;
/** One half of the faults is over before anybody has taken over, the other lasts until long after. */
const SHORT_MS = [1000, 6000] as const;
const LONG_MS = [12_000, 20_000] as const;
/** Between two faults: the longer ones let edges be judged that nothing has hindered. */
const QUIET_MS = [2000, 13_000] as const;
const END_MS_MAX = 60_000;
const LOOK_MS = 1000;
const OUTAGE_MS = 25_000;

/**
 * What the run is judged by; see "How new an answer is" in docs/internals/controls.md. A verdict takes 3.1 s by the check's interval, time-out and
 * threshold; three times that at an edge that has been isolated for 5 s.
 */
export const BOUNDS: Bounds = {
  stalenessMs: 2000,
  takeoverMs: 10_000,
  answerMs: 5000,
  verdictMs: 15_000,
};

export interface FaultRunOptions {
  readonly seconds: number;
  /** Which faults happen, to whom, and for how long. */
  readonly seed: number;
  /** Only faults whose names hold this. */
  readonly only?: string;
  /** Instead of faults: the cluster is of this commit, and upgraded to what is checked out. */
  readonly old?: string | undefined;
  /** Folder for everything that was seen and every output, for whoever looks for a cause. */
  readonly keep?: string | undefined;
  readonly say: (text: string) => void;
}

export interface FaultRunFigures {
  readonly faults: Readonly<Record<string, number>>;
  readonly acknowledged: number;
  readonly refused: number;
  readonly unknown: number;
  /** Of those of which nobody knew: how many were done after all. */
  readonly doneUnknown: number;
  /** Reads and writes that the checkers of consistency looked at. */
  readonly operations: number;
  readonly answers: number;
  /** Of answers whose age is promised. */
  readonly ages: { readonly calm: Ages; readonly takeover: Ages };
  readonly outages: number;
  readonly resolutions: number;
  /** Load by processor. */
  readonly busy: { readonly mean: number; readonly max: number };
  readonly complaints: readonly string[];
}

interface Ages {
  readonly judged: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
}

export async function faultRun(options: FaultRunOptions): Promise<FaultRunFigures> {
  const { say, seed } = options;
  const lab = Lab.open();
  try {
    const preloads = new Preloads(lab.folder);
    const old =
      options.old === undefined ? undefined : checkOut(options.old, join(lab.folder, "old"));
    const cluster = await Cluster.start(lab, preloads, old);
    const { controls, places, firstRevision } = cluster;
    say("The cluster answers");
    const edges = cluster.edges.map(({ name, machine }) => ({ name, address: machine.address }));
    const observer = await Observer.start(edges, {
      ...{ counterName: COUNTER_NAME, valueOf, serviceName: SERVICE_NAME },
      placeOf: (addresses) =>
        places.find(({ machine }) => addresses.includes(machine.address))?.name ??
        `"${addresses.join(" ")}"`,
    });
    const writer = new Writer(controls, firstRevision, new Pcg32(seed + 1));
    const ended = new AbortController();
    const background = Promise.all([die(places[0]!, ended.signal), feel(ended.signal)]);
    await sleep(CALM_MS);
    const happened =
      old === undefined
        ? await happen(options, { lab, cluster, preloads })
        : await upgrade(cluster, say);
    ended.abort();
    const [outages, loads] = await background;
    await writer.stop();
    const commits = await commitsOf(controls[0]!);
    const last = commits.at(-1)?.value;
    const { writes, history } = writer;
    const { sightings, resolutions, sendings } = observer;
    const seen = { sightings, resolutions, sendings, outages, loads };
    if (options.keep !== undefined)
      keep(options.keep, lab, { writes, commits, ...seen, ...happened, history });
    const isServed = ({ name }: { name: string }): boolean =>
      observer.sightings.findLast(({ edge }) => edge === name)?.value === last;
    await until(`the value ${last} at every edge`, END_MS_MAX, () => edges.every(isServed));
    await observer.stop();
    const { complaints, ages } = judge({ writes, commits, ...seen, ...happened }, BOUNDS);
    const kept = new Set(commits.map(({ value }) => value));
    const withOutcome = (wanted: string): typeof writes =>
      writes.filter(({ outcome }) => outcome === wanted);
    return {
      faults: happened.counts,
      acknowledged: withOutcome("acknowledged").length,
      refused: withOutcome("refused").length,
      unknown: withOutcome("unknown").length,
      doneUnknown: withOutcome("unknown").filter(({ value }) => kept.has(value)).length,
      operations: history.length,
      answers: sightings.length + sendings.length,
      ages: {
        calm: spread(ages.filter(({ isTakeover }) => !isTakeover)),
        takeover: spread(ages.filter(({ isTakeover }) => isTakeover)),
      },
      outages: outages.length,
      resolutions: resolutions.length,
      busy: busyness(loads),
      complaints: [
        ...complaints,
        ...findingsOf(history).map(({ model, text }) => `${model}: ${text}`),
      ],
    };
  } finally {
    await lab.close();
  }
}

async function happen(
  { seconds, seed, only = "", say }: FaultRunOptions,
  { lab, cluster, preloads }: { lab: Lab; cluster: Cluster; preloads: Preloads },
): Promise<Happened> {
  const random = new Pcg32(seed);
  const between = ([least, most]: readonly [number, number]): number =>
    least + (random.next32() % (most - least));
  const isHeads = (): boolean => random.next32() % 2 === 0;
  const faults = faultsOf(lab, cluster, preloads).filter(({ name }) => name.includes(only));
  const happened: Happened = { counts: {}, hindrances: [], takeovers: [] };
  const endMs = performance.now() + seconds * 1000 - CALM_MS;
  // Each once, in another order each time, before any comes again.
  let left: typeof faults = [];
  while (performance.now() < endMs) {
    if (left.length === 0) left = [...faults];
    const [fault] = left.splice(random.next32() % left.length, 1);
    if (fault === undefined) throw new Error(`No fault is named like "${only}"`);
    const fromMs = performance.now();
    say(`${(fromMs / 1000).toFixed(1)} s: ${fault.name}`);
    const { undo, hindered, isTakeover } = await fault.begin(random);
    await sleep(between(isHeads() ? SHORT_MS : LONG_MS));
    await undo();
    const span = { fromMs, untilMs: performance.now() + RECOVERY_MS };
    happened.hindrances.push(...hindered.map(({ name }) => ({ edge: name, ...span })));
    if (isTakeover) happened.takeovers.push(span);
    happened.counts[fault.name] = (happened.counts[fault.name] ?? 0) + 1;
    await sleep(QUIET_MS[isHeads() ? 0 : 1]);
  }
  return happened;
}

function keep(folder: string, lab: Lab, seen: object): void {
  mkdirSync(folder, { recursive: true });
  for (const [name, value] of Object.entries(seen))
    writeFileSync(join(folder, `${name}.json`), JSON.stringify(value));
  for (const path of globSync("*/output.log", { cwd: lab.folder }))
    copyFileSync(join(lab.folder, path), join(folder, path.replace("/output", "")));
}

/** How busy the machine is, until it has ended. */
async function feel(ended: AbortSignal): Promise<Load[]> {
  const loads: Load[] = [];
  while (!ended.aborted) {
    loads.push({ atMs: performance.now(), factor: busyFactor() });
    await sleep(LOOK_MS, undefined, { signal: ended }).catch(() => undefined);
  }
  return loads;
}

function spread(ages: readonly Age[]): Ages {
  const sorted = ages.map(({ ageMs }) => ageMs).toSorted((one, other) => one - other);
  const part = (share: number): number =>
    Math.round(sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0);
  return { judged: ages.length, p50Ms: part(0.5), p99Ms: part(0.99), maxMs: part(1) };
}

function busyness(loads: readonly Load[]): FaultRunFigures["busy"] {
  const factors = loads.map(({ factor }) => factor);
  const mean = factors.reduce((sum, factor) => sum + factor, 0) / factors.length;
  const rounded = (value: number): number => Math.round(value * 10) / 10;
  return { mean: rounded(mean), max: rounded(Math.max(...factors)) };
}

/** The first place dies and comes back, whatever else happens. */
async function die(place: Member, ended: AbortSignal): Promise<Outage[]> {
  const outages: Outage[] = [];
  const rest = (): Promise<unknown> =>
    sleep(OUTAGE_MS, undefined, { signal: ended }).catch(() => undefined);
  await rest();
  while (!ended.aborted) {
    const fromMs = performance.now();
    await place.kill();
    await rest();
    await place.start();
    outages.push({ place: FIRST_PLACE, fromMs, untilMs: performance.now() });
    await rest();
  }
  return outages;
}
