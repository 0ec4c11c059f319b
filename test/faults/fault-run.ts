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
import {
  FIRST_PLACE,
  suspects,
  type Answer,
  type Bounds,
  type Observed,
  type Outage,
} from "./judgement.ts";
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
/** How often edges are asked for what looks wrong, and how long after a question an edge has logged its answer: one that was held is waited for 5 s. */
const SUSPECTS_MS = 10_000;
const LOGGED_MS = 8000;

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
      cluster.edges.map((edge) => ({ edge, path: queryLogOf(edge) })),
      { counterName: COUNTER_NAME, valueOf },
    );
    const writer = new Writer(controls, firstRevision, new Pcg32(seed + 1));
    const ended = new AbortController();
    const outages: Outage[] = [];
    const asked = askOfSuspects({ observer, writer, outages, replays }, ended.signal);
    const background = Promise.all([
      die(places[0]!, outages, ended.signal),
      watchLoad(ended.signal),
      asked,
    ]);
    await sleep(CALM_MS);
    const happened =
      old === undefined
        ? await happen(options, { lab, cluster, preloads })
        : await upgrade(cluster, say);
    ended.abort();
    const [, loads] = await background;
    await writer.stop();
    const commits = await commitsOf(controls[0]!);
    const last = commits.at(-1)?.value;
    const isServed = ({ name }: { name: string }): boolean =>
      observer.sightings.findLast(({ edge }) => edge === name)?.value === last;
    const served = await Promise.allSettled([
      until(`the value ${last} at every edge`, END_MS_MAX, () => edges.every(isServed)),
    ]);
    await observer.stop();
    await replays.stop();
    const { writes, history } = writer;
    const { sightings, resolutions, sendings } = observer;
    const { counts, hindrances, takeovers } = happened;
    const observed = {
      ...{ writes, commits, sightings, resolutions, sendings, outages, loads },
      ...{ hindrances, takeovers, replays: replays.replays },
    };
    await replays.ask(suspects(observed, BOUNDS));
    const seen = { ...observed, counts, history };
    if (options.keep !== undefined) keepSeen(options.keep, seen);
    for (const each of served) if (each.status === "rejected") throw each.reason;
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

/** While the run goes on: what looks wrong of the answers that edges must have logged by now. */
async function askOfSuspects(
  {
    observer,
    writer,
    outages,
    replays,
  }: {
    readonly observer: Observer;
    readonly writer: Writer;
    readonly outages: readonly Outage[];
    readonly replays: Replays;
  },
  ended: AbortSignal,
): Promise<void> {
  let fromMs = 0;
  while (!ended.aborted) {
    await sleep(SUSPECTS_MS, undefined, { signal: ended }).catch(() => undefined);
    const untilMs = performance.now() - LOGGED_MS;
    const isNew = ({ askedMs }: Answer): boolean => fromMs <= askedMs && askedMs < untilMs;
    const commits = writer.writes.flatMap(({ value, revision }) =>
      revision === undefined ? [] : [{ value, revision }],
    );
    const observed: Observed = {
      ...{ writes: writer.writes, commits, outages, replays: [], resolutions: [] },
      ...{ hindrances: [], takeovers: [], loads: [] },
      sightings: observer.sightings.filter(isNew),
      sendings: observer.sendings.filter(isNew),
    };
    await replays.ask(suspects(observed, BOUNDS));
    fromMs = untilMs;
  }
}

/** The first place dies and comes back, whatever else happens. */
async function die(place: Member, outages: Outage[], ended: AbortSignal): Promise<void> {
  const rest = (): Promise<unknown> =>
    sleep(OUTAGE_MS, undefined, { signal: ended }).catch(() => undefined);
  await rest();
  while (!ended.aborted) {
    const outage = { place: FIRST_PLACE, fromMs: performance.now(), untilMs: Infinity };
    outages.push(outage);
    await place.kill();
    await rest();
    await place.start();
    outage.untilMs = performance.now();
    await rest();
  }
}
