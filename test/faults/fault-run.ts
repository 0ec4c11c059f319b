// SPDX-License-Identifier: Apache-2.0

// One run: a cluster in a lab, a writer, observers, one fault after the other, and what was wrong.

import { setTimeout as sleep } from "node:timers/promises";
import { Pcg32 } from "@meridian/core";
import { until } from "../e2e/process.ts";
import { COUNTER_NAME, Cluster, SERVICE_NAME, valueOf, type Member } from "./cluster.ts";
import { faultsOf } from "./faults.ts";
import { FIRST_PLACE, judge, type Hindrance, type Outage } from "./judgement.ts";
import { Lab } from "./lab.ts";
import { Observer } from "./observer.ts";
import { Preloads } from "./preloads.ts";
import { Writer } from "./writer.ts";

const FAULT_MS_MIN = 1000;
const FAULT_MS_MAX = 6000;
const QUIET_MS = 2000;
/** After a fault is taken back: until everything is as it was, whoever was killed included. */
const RECOVERY_MS = 15_000;
const CALM_MS_MAX = 60_000;

const OUTAGE_MS = 25_000;

/** A verdict takes 3.1 s by the check's interval, time-out and threshold; three times that at an edge that has been isolated for 5 s. */
export const BOUNDS = { stalenessMs: 2000, answerMs: 5000, verdictMs: 15_000 };

export interface FaultRunOptions {
  readonly seconds: number;
  /** Which faults happen, to whom, and for how long. */
  readonly seed: number;
  /** Only faults whose names hold this. */
  readonly only?: string;
  readonly say: (text: string) => void;
}

export interface FaultRunFigures {
  readonly faults: Readonly<Record<string, number>>;
  readonly acknowledged: number;
  readonly unknown: number;
  readonly answers: number;
  readonly outages: number;
  readonly resolutions: number;
  readonly complaints: readonly string[];
}

export async function faultRun(options: FaultRunOptions): Promise<FaultRunFigures> {
  const { say } = options;
  const lab = Lab.open();
  try {
    const preloads = new Preloads(lab.folder);
    const cluster = await Cluster.start(lab, preloads);
    say("The cluster answers");
    const edges = cluster.edges.map(({ name, machine }) => ({ name, address: machine.address }));
    const observer = await Observer.start(edges, {
      ...{ counterName: COUNTER_NAME, valueOf, serviceName: SERVICE_NAME },
      placeOf: (addresses) =>
        cluster.places.find(({ machine }) => addresses.includes(machine.address))?.name ??
        `"${addresses.join(" ")}"`,
    });
    const writer = new Writer(cluster.controls);
    const ended = new AbortController();
    const dying = die(cluster.places[0]!, ended.signal);
    const { counts, hindrances } = await happen(options, { lab, cluster, preloads });
    ended.abort();
    const outages = await dying;
    await writer.stop();
    const last = writer.acknowledged;
    const isServed = ({ name }: { name: string }): boolean =>
      (observer.sightings.findLast(({ edge }) => edge === name)?.value ?? -1) >= last;
    await until(`the value ${last} at every edge`, CALM_MS_MAX, () => edges.every(isServed));
    await observer.stop();
    const { writes } = writer;
    const { sightings, resolutions, sendings } = observer;
    const observed = { writes, sightings, hindrances, resolutions, sendings, outages };
    return {
      faults: counts,
      acknowledged: writes.filter(({ outcome }) => outcome === "acknowledged").length,
      unknown: writes.filter(({ outcome }) => outcome === "unknown").length,
      answers: sightings.length + sendings.length,
      outages: outages.length,
      resolutions: resolutions.length,
      complaints: judge(observed, BOUNDS),
    };
  } finally {
    await lab.close();
  }
}

async function happen(
  { seconds, seed, only = "", say }: FaultRunOptions,
  { lab, cluster, preloads }: { lab: Lab; cluster: Cluster; preloads: Preloads },
): Promise<{ counts: Record<string, number>; hindrances: Hindrance[] }> {
  const random = new Pcg32(seed);
  const faults = faultsOf(lab, cluster, preloads).filter(({ name }) => name.includes(only));
  const counts: Record<string, number> = {};
  const hindrances: Hindrance[] = [];
  const endMs = performance.now() + seconds * 1000;
  // Each once, in another order each time, before any comes again.
  let left: typeof faults = [];
  while (performance.now() < endMs) {
    if (left.length === 0) left = [...faults];
    const [fault] = left.splice(random.next32() % left.length, 1);
    if (fault === undefined) throw new Error(`No fault is named like "${only}"`);
    const fromMs = performance.now();
    say(fault.name);
    const undo = await fault.begin(random);
    await sleep(FAULT_MS_MIN + (random.next32() % (FAULT_MS_MAX - FAULT_MS_MIN)));
    await undo();
    const untilMs = performance.now() + RECOVERY_MS;
    hindrances.push(...cluster.edges.map(({ name }) => ({ edge: name, fromMs, untilMs })));
    counts[fault.name] = (counts[fault.name] ?? 0) + 1;
    await sleep(QUIET_MS);
  }
  return { counts, hindrances };
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
