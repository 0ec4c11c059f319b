// SPDX-License-Identifier: Apache-2.0

// What happens in a simulation, step by step, and what it comes to in bins that a picture can hold.

import type { StationStep } from "./stations.ts";
import type { SimulatedPlace, SimulatedTraffic } from "./report.ts";

/** Bins of a report at most. */
const BINS_MAX = 360;
/** A site's load turns round where it goes back by so much of all load. */
const TURN_SHARE = 0.1;
/** Shares up to this are none. */
const NOTHING_SHARE = 1e-9;
/** Windows in which it is looked at. */
const TURN_SECONDS = 5;

/** An endpoint, or somewhere else that clients are sent to. */
export interface RecordedPlace {
  readonly target: string;
  /** Sites and the pool that it is in. */
  readonly groups: readonly string[];
  readonly capacity: number | undefined;
}

const TRAFFIC = ["demand", "served", "errors", "withheld", "retries"] as const;
const PLACE = ["offered", "served", "failed", "sent"] as const;

export class Recorder {
  readonly binSeconds: number;
  readonly binCount: number;
  readonly #stepSeconds: number;
  readonly #stepsOfBin: number;
  readonly #places: readonly RecordedPlace[];
  readonly #traffic: Readonly<Record<(typeof TRAFFIC)[number], Float64Array>>;
  readonly #series: readonly (Readonly<Record<(typeof PLACE)[number], Float64Array>> & {
    readonly queue: Float64Array;
  })[];
  readonly #over: Float64Array;
  /** Requests of each step that failed or got no endpoint, and all. */
  readonly bad: Float64Array;
  readonly all: Float64Array;
  /** What each endpoint was sent in each step is looked at by events alone: sums of requests sent to each place, by step. */
  readonly #sent: readonly Float32Array[];
  #step = 0;

  constructor(
    places: readonly RecordedPlace[],
    { stepSeconds, durationSeconds }: { stepSeconds: number; durationSeconds: number },
  ) {
    this.#stepSeconds = stepSeconds;
    this.#places = places;
    const steps = Math.ceil(durationSeconds / stepSeconds);
    this.#stepsOfBin = Math.max(1, Math.ceil(steps / BINS_MAX));
    this.binSeconds = this.#stepsOfBin * stepSeconds;
    this.binCount = Math.ceil(steps / this.#stepsOfBin);
    const series = (): Float64Array => new Float64Array(this.binCount);
    this.#traffic = {
      ...{ demand: series(), served: series(), errors: series() },
      ...{ withheld: series(), retries: series() },
    };
    this.#series = places.map(() => ({
      ...{ offered: series(), served: series(), failed: series() },
      ...{ sent: series(), queue: series() },
    }));
    this.#over = new Float64Array(places.length);
    this.bad = new Float64Array(steps);
    this.all = new Float64Array(steps);
    this.#sent = places.map(() => new Float32Array(steps));
  }

  /** Ends of bins. */
  seconds(): number[] {
    return Array.from({ length: this.binCount }, (_, bin) => (bin + 1) * this.binSeconds);
  }

  /** What came to a place in the present step; `sent` are first attempts. */
  place(at: number, sent: number, queue: number, step: StationStep): void {
    const bin = this.#bin();
    const series = this.#series[at];
    if (series === undefined) return;
    raise(series.offered, bin, step.offered);
    raise(series.served, bin, step.served);
    raise(series.failed, bin, step.failed);
    raise(series.sent, bin, sent);
    series.queue[bin] = queue;
    const sums = this.#sent[at];
    if (sums !== undefined) sums[this.#step] = sent;
    if (step.isOver) raise(this.#over, at, this.#stepSeconds);
  }

  /** Ends the present step. */
  end(traffic: Readonly<Record<(typeof TRAFFIC)[number], number>>): void {
    const bin = this.#bin();
    for (const name of TRAFFIC) raise(this.#traffic[name], bin, traffic[name]);
    this.bad[this.#step] = traffic.errors + traffic.withheld;
    this.all[this.#step] = traffic.demand;
    this.#step += 1;
  }

  traffic(): SimulatedTraffic {
    const { demand, served, errors, withheld, retries } = this.#traffic;
    return {
      ...{ demand: this.#rates(demand), served: this.#rates(served) },
      ...{ errors: this.#rates(errors), withheld: this.#rates(withheld) },
      retries: this.#rates(retries),
    };
  }

  /** Requests in all, by what became of them. */
  total(name: (typeof TRAFFIC)[number]): number {
    return rounded(this.#traffic[name].reduce((sum, value) => sum + value, 0) * this.#stepSeconds);
  }

  overloadSeconds(): number {
    return this.#over.reduce((sum, value) => sum + value, 0);
  }

  /** Requests a second sent to any of some places in a step. */
  sentTo(places: readonly number[], step: number): number {
    return places.reduce((sum, place) => sum + (this.#sent[place]?.[step] ?? 0), 0);
  }

  /** Share of all requests sent to a target in a span of time. */
  share(target: string, fromSeconds: number, toSeconds: number): number {
    const places = this.#membersOf(target);
    const from = Math.floor(fromSeconds / this.#stepSeconds);
    const to = Math.min(this.all.length, Math.ceil(toSeconds / this.#stepSeconds));
    let part = 0;
    let all = 0;
    for (let step = from; step < to; step++) {
      part += this.sentTo(places, step);
      all += this.all[step] ?? 0;
    }
    // What is less is left of sums that were taken back.
    return part <= all * NOTHING_SHARE ? 0 : part / all;
  }

  /** Every endpoint, pool and site, and what lies elsewhere. */
  places(): SimulatedPlace[] {
    const targets = new Set(this.#places.flatMap(({ target, groups }) => [target, ...groups]));
    return [...targets].toSorted(byText).map((target) => {
      const members = this.#membersOf(target);
      const sum = (name: (typeof PLACE)[number] | "queue"): Float64Array => {
        const all = new Float64Array(this.binCount);
        for (const member of members)
          for (const [bin, value] of (this.#series[member]?.[name] ?? []).entries())
            raise(all, bin, value);
        return all;
      };
      const sent = sum("sent");
      const capacities = members.map((member) => this.#places[member]?.capacity);
      const isKnown = capacities.every((capacity) => capacity !== undefined);
      return {
        target,
        ...(isKnown
          ? { capacity: capacities.reduce<number>((total, each) => total + (each ?? 0), 0) }
          : {}),
        offered: this.#rates(sum("offered")),
        served: this.#rates(sum("served")),
        failed: this.#rates(sum("failed")),
        share: [...sent].map((value, bin) => {
          const all = this.#traffic.demand[bin] ?? 0;
          return all === 0 ? 0 : rounded(value / all);
        }),
        queue: [...sum("queue")].map(rounded),
        overloadSeconds: members.reduce((total, member) => total + (this.#over[member] ?? 0), 0),
      };
    });
  }

  /** How often the load of the site turned round that did so most. */
  turns(): number {
    const sites = new Set(
      this.#places.flatMap(({ groups }) => groups.filter((group) => group.startsWith("site/"))),
    );
    return Math.max(0, ...[...sites].map((site) => this.#turnsOf(this.#membersOf(site))));
  }

  /** A way up or down ends where the share has gone back by a tenth of all. */
  #turnsOf(members: readonly number[]): number {
    const window = Math.max(1, Math.round(TURN_SECONDS / this.#stepSeconds));
    let turns = 0;
    let direction = 0;
    let [low, high] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
    for (let step = 0; step + window <= this.all.length; step += window) {
      let [part, all] = [0, 0];
      for (let at = step; at < step + window; at++) {
        part += this.sentTo(members, at);
        all += this.all[at] ?? 0;
      }
      if (all === 0) continue;
      const share = part / all;
      [low, high] = [Math.min(low, share), Math.max(high, share)];
      if (direction >= 0 && share <= high - TURN_SHARE) {
        turns += direction > 0 ? 1 : 0;
        direction = -1;
        low = share;
      } else if (direction <= 0 && share >= low + TURN_SHARE) {
        turns += direction < 0 ? 1 : 0;
        direction = 1;
        high = share;
      }
    }
    return turns;
  }

  #membersOf(target: string): number[] {
    return this.#places.flatMap((place, at) =>
      place.target === target || place.groups.includes(target) ? at : [],
    );
  }

  #bin(): number {
    return Math.floor(this.#step / this.#stepsOfBin);
  }

  #rates(sums: Float64Array): number[] {
    return [...sums].map((sum, bin) => {
      const steps = Math.min(this.#stepsOfBin, this.#step - bin * this.#stepsOfBin);
      return rounded(sum / Math.max(1, steps));
    });
  }
}

function raise(values: Float64Array, at: number, by: number): void {
  values[at] = (values[at] ?? 0) + by;
}

/** Six digits: what is beyond is noise of the order of sums. */
export function rounded(value: number): number {
  return Number(value.toPrecision(6));
}

function byText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
