// SPDX-License-Identifier: Apache-2.0

// A world under a virtual clock, faster than life: endpoints, networks, clients and their resolvers are simulated; what decides is the code
// that runs. Selection over a compiled snapshot and its overlay, verdict machines, the judge and suspicion of every vantage, latches, capacity
// factors, shifts with their check of capacity, routing controls with their rules, weights: none of it is made again here.
//
//   troubles ─► stations ─► probes ─► vantages ─► control ─► overlay ─► edges ─► caches ─► stations …
//   (events)    (queues)    HealthRunner  Quorum   OverlayDriver  Selector   (one by one)
//
// Time goes on in steps. In each, probes are looked at every SUB_MS; then caches ask until the end of the step, and stations take what
// that brings. Everything random follows from the seed, and nothing but microtasks is waited for: one seed gives the same bytes.

import { setImmediate } from "node:timers/promises";
import { ManualClock, Pcg32, parseDuration } from "@meridian/core";
import type { ProbePlan, Transition } from "@meridian/health";
import {
  eventKindOf,
  type Model,
  type RoutingControlDocument,
  type SafetyRuleDocument,
  type ScenarioDocument,
  type ScenarioEvent,
  type TrafficProfileDocument,
} from "@meridian/model";
import type { World } from "@meridian/snapshot";
import { declaredLatches } from "../declared-latches.ts";
import { shiftReaches } from "../shift-effects.ts";
import { eventText } from "./event-text.ts";
import { metExpectations, recoveriesOf } from "./outcome.ts";
import { Recorder, rounded, type RecordedPlace } from "./recorder.ts";
import type {
  SimulatedChange,
  SimulatedEvent,
  SimulatedTransition,
  SimulationReport,
} from "./report.ts";
import { SimulatedCaches, type OtherAnswers } from "./simulated-caches.ts";
import { SimulatedControl } from "./simulated-control.ts";
import { SimulatedEdge } from "./simulated-edge.ts";
import type { LookAt } from "./simulated-probes.ts";
import {
  endpointIn,
  endpointsOf,
  planOf,
  stationsOf,
  worldFrom,
  type SimulatedCompile,
} from "./simulated-world.ts";
import type { Station } from "./stations.ts";
import { CONTROL, Troubles, type Party } from "./troubles.ts";

/** How often probes are looked at. */
const SUB_MS = 50;
const SECOND_MS = 1000;
/** A report leaves in a microtask, and what comes of it in another. */
const MICROTASK_TURNS = 2;
/** 2023-11-14: virtual time has to begin somewhere. */
const START_MS = 1_700_000_000_000;
/** Real time after which the event loop gets its turn, and who waits is told how far it has come. */
const TURN_MS = 100;
/** What is left where sums that should be 0 are not quite, requests a second. */
const RESIDUE = 1e-9;
/** Transitions and changes that a report lists; more are counted. */
const LISTED_MAX = 10_000;

/** A scenario with the documents that it is about. */
export interface SimulatedDocuments {
  readonly scenario: ScenarioDocument;
  readonly model: Model;
  readonly controls: readonly RoutingControlDocument[];
  readonly rules: readonly SafetyRuleDocument[];
}

export interface SimulationOptions {
  /** In place of the scenario's. */
  readonly seed?: number | undefined;
  readonly compile?: SimulatedCompile | undefined;
  /** Told now and then how far it has come, in seconds of the scenario; below 0 while caches fill. */
  readonly onProgress?: ((atSeconds: number, durationSeconds: number) => void) | undefined;
  /** What stands in for the answers of edges, for comparison. */
  readonly others?: ((view: SimulatedView) => OtherAnswers) | undefined;
}

/** What may be looked at from outside while a simulation runs. */
export interface SimulatedView {
  readonly world: World;
  /** How full an endpoint is now, 1 is full; undefined where the name is none. */
  readonly load: (endpoint: string) => number | undefined;
  readonly isDead: (endpoint: string) => boolean;
  /** What it can do, requests a second. */
  readonly capacity: (endpoint: string) => number;
}

/** Plays a scenario. `documents` are those of `readScenario`, which has looked at them. */
export async function simulate(
  documents: SimulatedDocuments,
  options: SimulationOptions = {},
): Promise<SimulationReport> {
  const simulation = new Simulation(documents, options);
  try {
    await simulation.run();
    return simulation.report();
  } finally {
    await simulation.close();
  }
}

class Simulation {
  readonly #documents: SimulatedDocuments;
  readonly #seed: number;
  readonly #clock = new ManualClock(START_MS);
  readonly #world: World;
  readonly #plan: ProbePlan;
  readonly #troubles: Troubles;
  readonly #stations: readonly Station[];
  readonly #sitesOf: readonly ReadonlySet<string>[];
  readonly #control: SimulatedControl;
  readonly #edges: readonly SimulatedEdge[];
  readonly #caches: SimulatedCaches;
  readonly #recorder: Recorder;
  /** By place of caches: the endpoint, or −1. */
  readonly #endpointOf: Int32Array;
  readonly #timeoutMs: number;
  readonly #pending: { readonly event: ScenarioEvent; readonly atMs: number }[];
  readonly #events: SimulatedEvent[] = [];
  /** The same as the scenario has them. */
  readonly #sources: ScenarioEvent[] = [];
  readonly #transitions: SimulatedTransition[] = [];
  readonly #changes: SimulatedChange[] = [];
  #verdictChanges = 0;
  #loadChanges = 0;
  readonly #onProgress: NonNullable<SimulationOptions["onProgress"]>;
  readonly #startMs: number;

  constructor(documents: SimulatedDocuments, options: SimulationOptions) {
    this.#documents = documents;
    const { scenario, model } = documents;
    const { spec } = scenario;
    this.#seed = options.seed ?? spec.seed;
    this.#onProgress = options.onProgress ?? ((): void => {});
    this.#world = worldFrom(model, options.compile);
    const world = this.#world;
    this.#troubles = new Troubles((target, endpoint) =>
      shiftReaches(model, world, target, endpoint),
    );
    this.#sitesOf = Array.from(
      { length: world.pools.endpointCount },
      (_, endpoint) =>
        new Set(model.siteChain(world.pools.siteOf(endpoint)).map(({ metadata }) => metadata.name)),
    );
    this.#stations = stationsOf(documents, world);
    this.#plan = planOf(model);
    this.#timeoutMs = parseDuration(spec.clients.timeout) ?? 0;
    const latches = declaredLatches(model);
    const edgeNames = Object.keys(spec.edges);
    this.#control = new SimulatedControl({
      ...{ clock: this.#clock, random: this.#random(CONTROL) },
      ...{ model, world, plan: this.#plan, latches },
      ...{ controls: documents.controls, rules: documents.rules },
      edgeCount: edgeNames.length,
      lookAt: this.#lookFrom(CONTROL),
      onTransitions: (batch) => this.#changed(batch),
      onChangeSet: ({ cause }) => this.#noteChange(cause.kind, cause.text),
    });
    this.#edges = Object.entries(spec.edges).map(
      ([name, { site = "", isolation }]) =>
        new SimulatedEdge({
          ...{ name, site, isolation, world, latches, plan: this.#plan },
          ...{ clock: this.#clock, random: this.#random(name) },
          lookAt: this.#lookFrom(name),
          onReport: (payload) => {
            if (!this.#isCut({ edge: name }, { edge: CONTROL }))
              this.#control.hear({ name, site }, payload);
          },
        }),
    );
    const edges = this.#edges.map(({ name, overlay }): [string, { slots: () => Uint32Array }] => [
      name,
      { slots: () => overlay.slots },
    ]);
    this.#caches = new SimulatedCaches(spec, world, new Map(edges), {
      seed: this.#seed ^ 0x00ca_c4e5,
      control: { slots: () => this.#control.overlay.slots },
      others: options.others?.(this.#view()),
    });
    this.#endpointOf = endpointsOf(world, this.#caches.places);
    this.#recorder = new Recorder(this.#recordedPlaces(), {
      stepSeconds: this.#caches.stepSeconds,
      durationSeconds: (parseDuration(spec.duration) ?? 0) / 1000,
    });
    this.#startMs = START_MS + this.#caches.warmSeconds * 1000;
    this.#pending = spec.events
      .map((event) => ({ event, atMs: this.#startMs + (parseDuration(event.at) ?? 0) }))
      .toSorted((a, b) => a.atMs - b.atMs);
  }

  /** Lives through the scenario, and through the time before in which caches fill. */
  async run(): Promise<void> {
    const stepMs = this.#caches.stepSeconds * 1000;
    const durationMs = parseDuration(this.#documents.scenario.spec.duration) ?? 0;
    const endMs = this.#startMs + durationMs;
    let turnMs = performance.now();
    while (this.#clock.wallMs() < endMs) {
      const isCounted = this.#clock.wallMs() >= this.#startMs;
      this.#happen();
      for (let sub = 0; sub < stepMs; sub += SUB_MS) {
        this.#clock.advance(SUB_MS);
        this.#look();
        // What changed is told in microtasks; edges follow what came of it.
        for (let turn = 0; turn < MICROTASK_TURNS; turn++) await Promise.resolve();
        this.#follow();
      }
      this.#serve(isCounted);
      if (performance.now() - turnMs < TURN_MS) continue;
      // Nothing depends on when this is: timers of latches find nothing to do between two looks.
      this.#onProgress(this.#nowSeconds(), durationMs / 1000);
      await setImmediate();
      turnMs = performance.now();
    }
  }

  async close(): Promise<void> {
    await this.#control.close();
    for (const edge of this.#edges) await edge.close();
  }

  report(): SimulationReport {
    const { scenario } = this.#documents;
    const { spec, metadata } = scenario;
    const recorder = this.#recorder;
    const totals = {
      ...{ demand: recorder.total("demand"), served: recorder.total("served") },
      ...{ errors: recorder.total("errors"), withheld: recorder.total("withheld") },
      retries: recorder.total("retries"),
      overloadSeconds: rounded(recorder.overloadSeconds()),
      verdictChanges: this.#verdictChanges,
      turns: recorder.turns(),
      loadChanges: this.#loadChanges,
    };
    const recoveries = recoveriesOf({
      events: this.#events,
      transitions: this.#transitions,
      recorder,
      stepSeconds: this.#caches.stepSeconds,
      struckBy: (event) => this.#struckBy(event),
      sources: this.#sources,
    });
    const expectations = metExpectations(spec.expect, {
      ...{ totals, recoveries, recorder, events: this.#events },
    });
    return {
      scenario: metadata.name,
      ...(spec.description === undefined ? {} : { description: spec.description }),
      seed: this.#seed,
      unit: spec.unit,
      durationSeconds: (parseDuration(spec.duration) ?? 0) / 1000,
      caches: this.#caches.count,
      cacheRounds: this.#caches.rounds,
      stepSeconds: this.#caches.stepSeconds,
      seconds: recorder.seconds(),
      traffic: recorder.traffic(),
      totals,
      places: recorder.places(),
      events: this.#events,
      transitions: this.#transitions,
      changes: this.#changes,
      recoveries,
      expectations,
      isMet: expectations.every(({ isMet }) => isMet),
    };
  }

  /** Does what is due. */
  #happen(): void {
    const nowMs = this.#clock.wallMs();
    while ((this.#pending[0]?.atMs ?? Number.POSITIVE_INFINITY) <= nowMs) {
      const next = this.#pending.shift();
      if (next === undefined) break;
      const why = this.#act(next.event, nowMs);
      const { name } = next.event;
      this.#sources.push(next.event);
      this.#events.push({
        atSeconds: (next.atMs - this.#startMs) / 1000,
        ...(name === undefined ? {} : { name }),
        kind: eventKindOf(next.event),
        text: eventText(next.event),
        outcome: why.length === 0 ? "done" : "refused",
        why,
      });
    }
    this.#troubles.advance(nowMs);
    this.#control.followShifts();
    this.#stations.forEach((station, endpoint) =>
      station.become(this.#troubles.condition(endpoint)),
    );
  }

  /** Begins an event; why it is refused, where it is. */
  #act(event: ScenarioEvent, nowMs: number): string[] {
    const { heal, shift, unshift, control, weights } = event;
    if (heal !== undefined) this.#troubles.heal(heal.targets);
    else if (shift !== undefined) return this.#control.shift(shift, this.#trafficNow());
    else if (unshift !== undefined) this.#control.unshift(unshift.target);
    else if (control !== undefined) {
      const why = this.#control.switch(control);
      if (why.length === 0) this.#undoLater(event, nowMs);
      return why;
    } else if (weights !== undefined) {
      this.#control.weigh(weights);
      this.#undoLater(event, nowMs);
    } else this.#troubles.begin(event, nowMs);
    return [];
  }

  /** A switch or weights that last for a time are turned back by an event of their own. */
  #undoLater({ at, for: length, name, control, weights }: ScenarioEvent, nowMs: number): void {
    const lengthMs = length === undefined ? undefined : parseDuration(length);
    if (lengthMs === undefined) return;
    const back: ScenarioEvent = {
      at,
      ...(name === undefined ? {} : { name }),
      ...(weights === undefined ? {} : { weights: { ...weights, branches: [] } }),
      ...(control === undefined
        ? {}
        : {
            control: {
              ...control,
              set: control.set.map(({ control: named, state }) => ({
                control: named,
                state: state === "On" ? "Off" : "On",
              })),
            },
          }),
    };
    this.#pending.push({ event: back, atMs: nowMs + lengthMs });
    this.#pending.sort((a, b) => a.atMs - b.atMs);
  }

  /** What is asked for now, as a profile that shifts are checked against. */
  #trafficNow(): TrafficProfileDocument {
    const { metadata, spec } = this.#documents.scenario;
    const demand = Object.entries(spec.demand).map(
      ([label, { name, from, rate }]): [
        string,
        TrafficProfileDocument["spec"]["demand"][string],
      ] => [label, { name, from, rate: rate * this.#troubles.demandTimes(label) }],
    );
    return {
      apiVersion: "meridian.dev/v1alpha1",
      kind: "TrafficProfile",
      metadata: { namespace: metadata.namespace, name: metadata.name },
      spec: { unit: spec.unit, demand: Object.fromEntries(demand) },
    };
  }

  #look(): void {
    this.#control.advance();
    for (const edge of this.#edges) edge.advance();
    if (this.#clock.wallMs() % SECOND_MS !== 0) return;
    this.#push();
    this.#control.tick();
    for (const edge of this.#edges) edge.tick();
  }

  #follow(): void {
    const { overlay, live } = this.#control;
    const followed = { sequence: overlay.sequence, slots: overlay.slots, live };
    for (const edge of this.#edges) {
      const isCut = this.#isCut({ edge: edge.name }, { edge: CONTROL });
      edge.follow(isCut ? undefined : followed);
    }
  }

  /** Endpoints that are judged by what is pushed say how they do each second, as their services would. */
  #push(): void {
    for (const { key, check, checkName } of this.#plan.targets) {
      if (check.kind !== "push") continue;
      const endpoint = endpointIn(this.#world, key);
      if (endpoint < 0 || this.#isCut(this.#at(endpoint), { edge: CONTROL })) continue;
      const { dead } = this.#troubles.condition(endpoint);
      if (dead === undefined) this.#control.push(checkName, key, true);
    }
  }

  /** Stations take what caches bring. */
  #serve(isCounted: boolean): void {
    const rates = this.#caches.step();
    const { places, demands, stepSeconds } = this.#caches;
    const sums = { demand: 0, served: 0, errors: 0, withheld: 0, retries: 0 };
    const first = new Float64Array(places.length);
    const cut = new Float64Array(places.length);
    for (const [demand, name] of demands.entries()) {
      const times = this.#troubles.demandTimes(name);
      for (let place = 0; place < places.length; place++) {
        const rate = Math.max(0, (rates[demand * places.length + place] ?? 0) * times);
        if (rate < RESIDUE) continue;
        sums.demand += rate;
        const endpoint = this.#endpointOf[place] ?? -1;
        const isCut = endpoint >= 0 && this.#isCut({ demand: name }, this.#at(endpoint));
        const side = isCut ? cut : first;
        side[place] = (side[place] ?? 0) + rate;
      }
    }
    for (let place = 0; place < places.length; place++) {
      const [sent, lost] = [first[place] ?? 0, cut[place] ?? 0];
      const station = this.#stations[this.#endpointOf[place] ?? -1];
      if (station === undefined) {
        // Nowhere, or elsewhere, where nothing is known to go wrong.
        if (place === 0) sums.withheld += sent;
        else sums.served += sent;
        const step = { offered: sent, served: sent, failed: 0, lost: 0, retried: 0, isOver: false };
        if (isCounted && place > 0) this.#recorder.place(place - 1, sent, 0, step);
        continue;
      }
      const step = station.step(sent, lost, stepSeconds, this.#timeoutMs);
      sums.served += step.served;
      sums.errors += step.lost;
      sums.retries += step.retried;
      if (isCounted) this.#recorder.place(place - 1, sent + lost, station.backlog, step);
    }
    if (isCounted) this.#recorder.end(sums);
  }

  #lookFrom(vantage: string): LookAt {
    return (key, chance) => {
      const endpoint = endpointIn(this.#world, key);
      const station = this.#stations[endpoint];
      if (station === undefined)
        return { afterMs: 0, result: { outcome: "fail", reason: "nothing there" } };
      const load = { load: station.load, source: "orca" } as const;
      const said = this.#troubles.lie(vantage, endpoint);
      if (said !== undefined) {
        const isSaidWell = said === "healthy";
        return {
          afterMs: 0,
          result: { outcome: isSaidWell ? "pass" : "fail", reason: "a lie", load },
        };
      }
      const hangs = { afterMs: Number.POSITIVE_INFINITY, result: { outcome: "fail", reason: "" } };
      if (this.#isCut({ edge: vantage }, this.#at(endpoint)))
        return { ...hangs, result: { outcome: "fail", reason: "cut off" } };
      const { dead } = this.#troubles.condition(endpoint);
      if (dead === "hang") return { ...hangs, result: { outcome: "fail", reason: "hangs" } };
      if (dead === "refuse")
        return { afterMs: 0, result: { outcome: "fail", reason: "connection refused" } };
      if (chance < station.failing)
        return {
          afterMs: station.latencyMs,
          result: { outcome: "fail", reason: "HTTP status 503, wanted 200-299", load },
        };
      return {
        afterMs: station.latencyMs,
        result: { outcome: "pass", reason: "HTTP status 200", load },
      };
    };
  }

  #isCut(one: Party, other: Party): boolean {
    return this.#troubles.isCut(one, other);
  }

  #at(endpoint: number): Party {
    return { sites: this.#sitesOf[endpoint] ?? new Set() };
  }

  #view(): SimulatedView {
    const station = (endpoint: string): Station | undefined =>
      this.#stations[endpointIn(this.#world, endpoint)];
    return {
      world: this.#world,
      load: (endpoint) => station(endpoint)?.load,
      isDead: (endpoint) => station(endpoint)?.capacity === 0,
      capacity: (endpoint) => station(endpoint)?.capacity ?? 0,
    };
  }

  /** Places of the recorder that an event strikes. */
  #struckBy(event: ScenarioEvent): { readonly places: number[]; readonly endpoints: Set<string> } {
    const { model } = this.#documents;
    const struck = (event.fail ?? event.flap ?? event.brownOut ?? event.lie)?.targets ?? [];
    const sides = [event.partition?.between, event.partition?.and].flatMap((side) =>
      (side?.sites ?? []).map((site) => `site/${site}`),
    );
    const targets = [...struck, ...sides];
    const places: number[] = [];
    const endpoints = new Set<string>();
    for (const [place, endpoint] of this.#endpointOf.entries()) {
      if (endpoint < 0) continue;
      if (!targets.some((target) => shiftReaches(model, this.#world, target, endpoint))) continue;
      places.push(place - 1);
      endpoints.add(this.#world.endpointName(endpoint));
    }
    return { places, endpoints };
  }

  #recordedPlaces(): RecordedPlace[] {
    const { pools } = this.#world;
    return this.#caches.places.slice(1).map((target, at) => {
      const endpoint = this.#endpointOf[at + 1] ?? -1;
      if (endpoint < 0) return { target, groups: [], capacity: undefined };
      const pool = `pool/${pools.poolName(pools.poolOfEndpoint(endpoint))}`;
      const sites = [...(this.#sitesOf[endpoint] ?? [])].map((site) => `site/${site}`);
      return {
        target,
        groups: [pool, ...sites],
        capacity: this.#stations[endpoint]?.spec.capacity,
      };
    });
  }

  #changed(batch: readonly Transition[]): void {
    for (const { key, verdict, previous, reason, vantage } of batch) {
      const atSeconds = this.#nowSeconds();
      // What is found out before the scenario begins is how it begins.
      if (!(atSeconds >= 0) || previous === verdict) continue;
      this.#verdictChanges += 1;
      if (this.#transitions.length < LISTED_MAX)
        this.#transitions.push({ atSeconds, endpoint: key, verdict, reason, vantage });
    }
  }

  #noteChange(cause: string, text: string): void {
    const atSeconds = this.#nowSeconds();
    if (!(atSeconds >= 0)) return;
    if (cause === "load") this.#loadChanges += 1;
    else if (text !== "when verdicts can change" && this.#changes.length < LISTED_MAX)
      this.#changes.push({ atSeconds, cause, text });
  }

  /** Before the scenario begins it is negative, and nothing yet while the world is made. */
  #nowSeconds(): number {
    return (this.#clock.wallMs() - this.#startMs) / 1000;
  }

  /** Everybody has randomness of their own, so that one more edge changes nothing for the others. */
  #random(name: string): Pcg32 {
    let seed = this.#seed;
    for (const letter of name) seed = Math.imul(seed ^ letter.charCodeAt(0), 0x0100_0193) >>> 0;
    return new Pcg32(seed);
  }
}
