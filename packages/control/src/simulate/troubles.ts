// SPDX-License-Identifier: Apache-2.0

// What is wrong in the simulated world at a moment: who is dead, who serves badly, who cannot reach whom, and who lies. Everybody else asks
// here; nothing is remembered but the events in force.

import { parseDuration } from "@meridian/core";
import type { ScenarioEvent } from "@meridian/model";

/** The control plane as a place that probes; no edge has this name. */
export const CONTROL = "control";

/** How an endpoint does. */
export interface Condition {
  readonly dead: "refuse" | "hang" | undefined;
  /** Share of capacity that is left, 0..1. */
  readonly capacity: number;
  /** Answers take so many times as long. */
  readonly slow: number;
  /** Share of answers that are errors, 0..1. */
  readonly errors: number;
}

interface InForce {
  readonly event: ScenarioEvent;
  readonly beginMs: number;
  readonly endMs: number;
}

type Side = NonNullable<ScenarioEvent["partition"]>["between"];

/** Somebody on one side or the other of a partition. */
export type Party =
  | { readonly sites: ReadonlySet<string> }
  | { readonly edge: string }
  | { readonly demand: string };

const well: Condition = { dead: undefined, capacity: 1, slow: 1, errors: 0 };

export class Troubles {
  /** Whether a target reaches an endpoint. */
  readonly #reaches: (target: string, endpoint: number) => boolean;
  #inForce: InForce[] = [];
  #nowMs = 0;

  constructor(reaches: (target: string, endpoint: number) => boolean) {
    this.#reaches = reaches;
  }

  /** Begins an event that lasts. */
  begin(event: ScenarioEvent, nowMs: number): void {
    const lengthMs = event.for === undefined ? undefined : parseDuration(event.for);
    const endMs = lengthMs === undefined ? Number.POSITIVE_INFINITY : nowMs + lengthMs;
    this.#inForce.push({ event, beginMs: nowMs, endMs });
  }

  /** Ends fails, flaps and brownOuts of these targets. */
  heal(targets: readonly string[]): void {
    this.#inForce = this.#inForce.filter(({ event }) => {
      const struck = (event.fail ?? event.flap ?? event.brownOut)?.targets;
      return struck === undefined || !struck.some((each) => targets.includes(each));
    });
  }

  /** Time goes on; what is over is forgotten. */
  advance(nowMs: number): void {
    this.#nowMs = nowMs;
    if (this.#inForce.some(({ endMs }) => endMs <= nowMs))
      this.#inForce = this.#inForce.filter(({ endMs }) => endMs > nowMs);
  }

  condition(endpoint: number): Condition {
    let { dead, capacity, slow, errors } = well;
    for (const { event, beginMs } of this.#inForce) {
      const { fail, flap, brownOut } = event;
      const struck = fail ?? flap ?? brownOut;
      if (struck === undefined || !this.#isAmong(struck.targets, endpoint)) continue;
      if (fail !== undefined) dead = fail.as;
      if (flap !== undefined && this.#isDown(flap, beginMs)) dead ??= "refuse";
      if (brownOut === undefined) continue;
      capacity *= brownOut.capacity / 100;
      slow *= brownOut.slow;
      errors = 1 - (1 - errors) * (1 - brownOut.errors / 100);
    }
    return { dead, capacity, slow, errors };
  }

  /** What an edge says of an endpoint whatever it sees; undefined where it tells the truth. */
  lie(edge: string, endpoint: number): "healthy" | "unhealthy" | undefined {
    return this.#inForce.findLast(
      ({ event: { lie } }) =>
        lie !== undefined && lie.edges.includes(edge) && this.#isAmong(lie.targets, endpoint),
    )?.event.lie?.say;
  }

  /** Whether anything gets from one to the other. */
  isCut(one: Party, other: Party): boolean {
    return this.#inForce.some(({ event: { partition } }) => {
      if (partition === undefined) return false;
      const { between, and } = partition;
      return (isOn(between, one) && isOn(and, other)) || (isOn(and, one) && isOn(between, other));
    });
  }

  /** How many times as much as declared a demand is. */
  demandTimes(demand: string): number {
    let times = 1;
    for (const { event } of this.#inForce) {
      if (event.demand === undefined) continue;
      const { names } = event.demand;
      if (names.length === 0 || names.includes(demand)) times *= event.demand.times;
    }
    return times;
  }

  #isDown({ down, every }: NonNullable<ScenarioEvent["flap"]>, beginMs: number): boolean {
    return (this.#nowMs - beginMs) % (parseDuration(every) ?? 1) < (parseDuration(down) ?? 0);
  }

  #isAmong(targets: readonly string[], endpoint: number): boolean {
    return targets.some((target) => this.#reaches(target, endpoint));
  }
}

function isOn(side: Side, party: Party): boolean {
  if ("sites" in party) return side.sites.some((site) => party.sites.has(site));
  if ("demand" in party) return side.demand.includes(party.demand);
  return party.edge === CONTROL ? side.control : side.edges.includes(party.edge);
}
