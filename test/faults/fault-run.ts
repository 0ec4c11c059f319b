// SPDX-License-Identifier: Apache-2.0

// One run: a cluster in a lab, a writer, observers, one fault after the other, and what was wrong.

import { copyFileSync, globSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { Pcg32 } from "@meridian/core";
import { until } from "../e2e/process.ts";
import {
  COUNTER_NAME,
  Cluster,
  SERVICE_NAME,
  queryLogOf,
  valueOf,
  type Member,
} from "./cluster.ts";
import { RECOVERY_MS, faultsOf, type Happened } from "./faults.ts";
import { figuresOf, keepSeen, type FaultRunFigures } from "./figures.ts";
import { FIRST_PLACE, type Bounds, type Outage } from "./judgement.ts";
import { Lab } from "./lab.ts";
import { watchLoad } from "./load.ts";
import { Observer } from "./observer.ts";
import { Preloads } from "./preloads.ts";
import { Replays } from "./replays.ts";
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
    const replays = new Replays(
      cluster.edges.map((member) => ({ member, path: queryLogOf(member) })),
    );
    const writer = new Writer(controls, firstRevision, new Pcg32(seed + 1));
    const ended = new AbortController();
    const background = Promise.all([die(places[0]!, ended.signal), watchLoad(ended.signal)]);
    await sleep(CALM_MS);
    const happened =
      old === undefined
        ? await happen(options, { lab, cluster, preloads })
        : await upgrade(cluster, say);
    ended.abort();
    const [outages, loads] = await background;
    await writer.stop();
    await replays.stop();
    const commits = await commitsOf(controls[0]!);
    const last = commits.at(-1)?.value;
    const { writes, history } = writer;
    const { sightings, resolutions, sendings } = observer;
    const seen = {
      ...{ writes, commits, history, sightings, resolutions, sendings, outages, loads },
      ...{ ...happened, replays: replays.replays },
    };
    if (options.keep !== undefined) keepSeen(options.keep, seen);
    const isServed = ({ name }: { name: string }): boolean =>
      observer.sightings.findLast(({ edge }) => edge === name)?.value === last;
    await until(`the value ${last} at every edge`, END_MS_MAX, () => edges.every(isServed));
    await observer.stop();
    return figuresOf(seen, BOUNDS);
  } finally {
    if (options.keep !== undefined) keepOutputs(options.keep, lab);
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
    const { undo, hindered, isDown = false, isTakeover } = await fault.begin(random);
    await sleep(between(isHeads() ? SHORT_MS : LONG_MS));
    await undo();
    const span = { fromMs, untilMs: performance.now() + RECOVERY_MS };
    happened.hindrances.push(...hindered.map(({ name }) => ({ edge: name, isDown, ...span })));
    if (isTakeover) happened.takeovers.push(span);
    happened.counts[fault.name] = (happened.counts[fault.name] ?? 0) + 1;
    await sleep(QUIET_MS[isHeads() ? 0 : 1]);
  }
  return happened;
}

function keepOutputs(folder: string, lab: Lab): void {
  mkdirSync(folder, { recursive: true });
  for (const path of globSync("*/output.log", { cwd: lab.folder }))
    copyFileSync(join(lab.folder, path), join(folder, path.replace("/output", "")));
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
