// SPDX-License-Identifier: Apache-2.0

// Between the health runner and the overlay: verdicts, their earliest change and load become endpoint slots.

import { key64, type Clock, type Random } from "@meridian/core";
import {
  Admin,
  CAPACITY_SHIFT,
  CHANGE_SHIFT,
  EndpointWord,
  PER_MILLE,
  Serve,
  Verdict,
  adminOf,
  type SlotChange,
  type VantagePlace,
  type World,
} from "@meridian/snapshot";
import type { ProbeTarget, Verdict as VerdictWord } from "./check.ts";
import type { Dialer } from "./dial/dialer.ts";
import type { EndpointState } from "./entry.ts";
import type { CapacityRule } from "./load/capacity-factor.ts";
import { CapacityTracker } from "./load/capacity-tracker.ts";
import type { OverlayDriver } from "./overlay-driver.ts";
import type { PlanChange } from "./probe-plan.ts";
import type { IcmpSender } from "./probes/icmp/icmp-sender.ts";
import type { Probe } from "./probe.ts";
import { PaceKeeper } from "./quorum/pace-keeper.ts";
import { Quorum, type Roster, type VantageView } from "./quorum/quorum.ts";
import { HealthRunner } from "./runner.ts";
import type { ProbeReport } from "./runner-options.ts";
import type { NumberedTransition } from "./transition.ts";

/** How often capacity factors move where no reading comes. */
const CAPACITY_TICK_MS = 1000;

const VERDICT_MASK = 3;
const OUTLOOK_MASK = 0x1f << CHANGE_SHIFT;

export interface VerdictDriverOptions {
  readonly clock: Clock;
  readonly random: Random;
  readonly vantage: string;
  readonly overlay: OverlayDriver;
  readonly icmpSender?: IcmpSender;
  readonly dialer?: Dialer;
  readonly onTransitions: (batch: readonly NumberedTransition[]) => void;
  /** Other vantages report to this process; alone where absent. */
  readonly quorum?: QuorumSettings;
  readonly onRoster?: (roster: Roster) => void;
  /** What this process says, for others that judge. */
  readonly onReport?: (payload: Uint8Array) => void;
  /** `manual`: the caller moves the clock, calls `advance` of the runner and `tick` here each second. */
  readonly timers?: "real" | "manual";
  /** Makes probes in place of the real ones: for simulations. */
  readonly createProbe?: (target: ProbeTarget) => Probe | undefined;
}

/** How this process judges with others. */
export interface QuorumSettings {
  /** Where it is itself; empty where that is not told. */
  readonly site: string;
  /** Vantages that are likely to report. */
  readonly expectedCount: number;
  /** Others judge, too, and want to know what this one says. */
  readonly isReporting: boolean;
}

export class VerdictDriver {
  readonly runner: HealthRunner;
  readonly #options: VerdictDriverOptions;
  readonly #capacity: CapacityTracker;
  #world: World | undefined;
  #rules: ReadonlyMap<string, CapacityRule> = new Map();
  /** Of endpoints of this snapshot that changed: to hash a key takes longer than all else that a change does to its slot. */
  readonly #slots = new Map<string, number>();
  /** The same by number, beside the key that had the number: the Map took 0.4 µs a change of 10,000 endpoints. */
  #numbered: { readonly keys: string[]; readonly slots: number[] } = { keys: [], slots: [] };
  /** By key, as a snapshot may come before they are applied. */
  readonly #factors = new Map<string, number>();
  #tick: NodeJS.Timeout | undefined;
  readonly #quorum: Quorum | undefined;
  readonly #pace: PaceKeeper;

  constructor(options: VerdictDriverOptions) {
    this.#options = options;
    this.#capacity = new CapacityTracker((key, factor) => this.#factorChanged(key, factor));
    this.runner = new HealthRunner({
      clock: options.clock,
      random: options.random,
      vantage: options.vantage,
      ...(options.icmpSender === undefined ? {} : { icmpSender: options.icmpSender }),
      ...(options.dialer === undefined ? {} : { dialer: options.dialer }),
      ...(options.timers === undefined ? {} : { timers: options.timers }),
      ...(options.createProbe === undefined ? {} : { createProbe: options.createProbe }),
      onTransitions: (batch) => this.#transitions(batch),
      onOutlook: (batch) => this.#apply(batch, "when verdicts can change"),
      onReport: (report) => this.#reported(report),
      onOpinion: (opinion) => this.#quorum?.own(opinion),
      onSuspicion: (state) => this.#quorum?.doubt(state),
    });
    this.#pace = new PaceKeeper(this.runner);
    this.#quorum = options.quorum && this.#makeQuorum(options.quorum);
  }

  /** A report of another vantage; false where it is none. */
  hear(from: VantagePlace, payload: Uint8Array): boolean {
    return this.#quorum?.hear(from, payload) ?? true;
  }

  vantages(): readonly VantageView[] {
    return this.#quorum?.views() ?? [];
  }

  /** State of one endpoint, with what each vantage says of it. */
  state(key: string): EndpointState | undefined {
    const state = this.runner.state(key);
    const witnesses = this.#quorum?.witnesses(key) ?? [];
    if (state === undefined) return undefined;
    const { load, readAtMs = 0 } = this.#capacity.reported(key) ?? {};
    const loadAgeMs = Math.round(this.#options.clock.monotonicMs() - readAtMs);
    return {
      ...state,
      ...(witnesses.length === 0 ? {} : { witnesses }),
      ...(load === undefined ? {} : { load, loadAgeMs }),
    };
  }

  /** Verdicts go to this world's slots from now on; the overlay has adopted it already. */
  adopt(world: World): void {
    this.#world = world;
    this.#slots.clear();
    this.#numbered = { keys: [], slots: [] };
    this.#writeKnown(world);
  }

  /** What is probed from now on, and how load counts. New targets go on from the verdict and the factor that their slots have. */
  setPlan({ changed, gone, rules }: PlanChange): void {
    if (rules !== undefined) {
      this.#rules = new Map(rules);
      const nowMs = this.#options.clock.monotonicMs();
      this.#capacity.setRules(this.#rules, nowMs, (key) => this.#factorOf(key));
      if (this.#world !== undefined) this.#resetFactors(this.#world);
    }
    this.#pace.change(changed, gone, (key) => this.#restored(key));
    this.#quorum?.changeTargets(changed, gone);
    this.#followChoice();
    const states = changed.flatMap(({ key }) => this.runner.state(key) ?? []);
    this.#apply(
      states.filter(({ verdict }) => verdict !== "unknown"),
      "verdicts known before the first probe",
    );
  }

  /** Loads that were read elsewhere than in answers of probes, by endpoint key. */
  read(loads: readonly (readonly [string, number])[]): void {
    const nowMs = this.#options.clock.monotonicMs();
    for (const [key, load] of loads) this.#readLoad(key, load, nowMs);
  }

  start(): void {
    if (this.#tick !== undefined) return;
    this.runner.start();
    if (this.#options.timers !== "manual")
      this.#tick = setInterval(() => this.tick(), CAPACITY_TICK_MS).unref();
  }

  /** What has become of load and of other vantages with time; each second. */
  tick(): void {
    this.#capacity.tick(this.#options.clock.monotonicMs());
    this.#flushFactors();
    this.#quorum?.tick();
  }

  async close(): Promise<void> {
    clearInterval(this.#tick);
    await this.runner.close();
  }

  #makeQuorum({ site, expectedCount, isReporting }: QuorumSettings): Quorum {
    const { vantage: name, clock, onRoster, onReport = () => {}, random } = this.#options;
    return new Quorum({
      own: { name, site },
      expectedCount,
      nowMs: () => clock.monotonicMs(),
      followed: (key) => this.runner.opinions(key)?.followed ?? "unknown",
      onJudged: (key, quorum) => this.runner.judged(key, quorum),
      onRoster: (roster) => {
        this.#followChoice();
        onRoster?.(roster);
      },
      ...(isReporting ? { reporting: { session: random.next32(), onReport } } : {}),
    });
  }

  #followChoice(): void {
    const quorum = this.#quorum;
    if (quorum !== undefined)
      this.#pace.follow(quorum.order.targets, (place) => quorum.isChosenAt(place));
  }

  #transitions(batch: readonly NumberedTransition[]): void {
    const [first] = batch;
    if (first === undefined) return;
    const more = batch.length > 1 ? ` and ${batch.length - 1} more` : "";
    this.#apply(batch, `${first.key} ${first.verdict}: ${first.reason}${more}`);
    this.#options.onTransitions(batch);
  }

  #apply(
    batch: readonly {
      readonly key: string;
      readonly endpoint?: number;
      readonly earliestChangeMs: number;
      readonly verdict?: VerdictWord;
    }[],
    text: string,
  ): void {
    if (this.#world === undefined) return;
    const { overlay } = this.#options;
    for (const { key, endpoint, verdict, earliestChangeMs } of batch) {
      const slot = endpoint === undefined ? this.#slotOf(key) : this.#slotAt(endpoint, key);
      if (slot < 0) continue;
      const outlook = secondsLog2(earliestChangeMs) << CHANGE_SHIFT;
      if (verdict === undefined) overlay.set(slot, outlook, OUTLOOK_MASK);
      else overlay.set(slot, outlook | Verdict[verdict], OUTLOOK_MASK | VERDICT_MASK);
    }
    overlay.flush({ kind: "health", text });
  }

  #slotAt(endpoint: number, key: string): number {
    const { keys, slots } = this.#numbered;
    if (keys[endpoint] === key) return slots[endpoint] ?? -1;
    const slot = this.#slotOf(key);
    keys[endpoint] = key;
    slots[endpoint] = slot;
    return slot;
  }

  #slotOf(key: string): number {
    const known = this.#slots.get(key);
    if (known !== undefined) return known;
    const slot = this.#world?.pools.endpointIndexOf(key64(key)) ?? -1;
    // What has none is no endpoint of this snapshot, of which there may be any number.
    if (slot >= 0) this.#slots.set(key, slot);
    return slot;
  }

  #restored(key: string): VerdictWord | undefined {
    const slot = this.#slotOf(key);
    return slot < 0 ? undefined : verdictWord(this.#options.overlay.read(slot) & 3);
  }

  #factorOf(key: string): number {
    const slot = this.#slotOf(key);
    return slot < 0 ? PER_MILLE : (this.#options.overlay.read(slot) >>> CAPACITY_SHIFT) & 0x3ff;
  }

  /** An endpoint may have been judged before the snapshot that it is in came. */
  #writeKnown(world: World): void {
    if (this.runner.targetCount === 0) return;
    const states: EndpointState[] = [];
    // Nothing waits for a bank of an overlay that has just begun.
    const { slots } = this.#options.overlay;
    for (let slot = 0; slot < world.pools.endpointCount; slot++) {
      if (((slots[slot] ?? 0) & 3) !== Verdict.unknown) continue;
      const state = this.runner.state(world.endpointName(slot));
      if (state !== undefined && state.verdict !== "unknown") states.push(state);
    }
    this.#apply(states, "verdicts known before this snapshot");
  }

  #reported({ key, load }: ProbeReport): void {
    this.#readLoad(key, load?.load, this.#options.clock.monotonicMs());
  }

  /** What an endpoint shows while it is out says nothing of what it can take, though it is shown. */
  #readLoad(key: string, load: number | undefined, nowMs: number): void {
    if (!this.#rules.has(key)) return;
    if (this.#isOut(key)) this.#capacity.away(key, nowMs, load);
    else if (load !== undefined) this.#capacity.reading(key, load, nowMs);
  }

  /** Whether answers leave it out. */
  #isOut(key: string): boolean {
    const endpoint = this.#slotOf(key);
    if (endpoint < 0) return false;
    const slot = this.#options.overlay.read(endpoint);
    if (adminOf(slot) !== Admin.active) return true;
    const packed = this.#world?.pools.endpointWord(endpoint, EndpointWord.weight) ?? 0;
    return (slot & 3) === Verdict.unhealthy && ((packed >>> 27) & 3) !== Serve.always;
  }

  #factorChanged(key: string, factor: number): void {
    this.#factors.set(key, factor);
  }

  /** Endpoints whose load nobody reads any more have all of their capacity again. */
  #resetFactors(world: World): void {
    const changes: SlotChange[] = [];
    for (let slot = 0; slot < world.pools.endpointCount; slot++) {
      const was = this.#options.overlay.read(slot);
      if (((was >>> CAPACITY_SHIFT) & 0x3ff) === PER_MILLE) continue;
      if (this.#rules.has(world.endpointName(slot))) continue;
      changes.push({ slot, value: withFactor(was, PER_MILLE) });
    }
    this.#options.overlay.apply(changes, {
      kind: "load",
      text: "loads that are not read any more",
    });
  }

  #flushFactors(): void {
    if (this.#factors.size === 0) return;
    const changes = [...this.#factors].flatMap(([key, factor]): SlotChange[] => {
      const slot = this.#slotOf(key);
      if (slot < 0) return [];
      return [{ slot, value: withFactor(this.#options.overlay.read(slot), factor) }];
    });
    this.#factors.clear();
    this.#options.overlay.apply(changes, {
      kind: "load",
      text: `${changes.length} capacity factors moved`,
    });
  }
}

/** An endpoint's slot with another capacity factor, in thousandths. */
function withFactor(slot: number, factor: number): number {
  return ((slot & ~(0x3ff << CAPACITY_SHIFT)) | (factor << CAPACITY_SHIFT)) >>> 0;
}

/** Whole power of two seconds not above `ms`, 0..31. */
function secondsLog2(ms: number): number {
  return Math.max(0, Math.min(31, Math.floor(Math.log2(Math.max(1, ms / 1000)))));
}

function verdictWord(code: number): VerdictWord {
  return code === Verdict.healthy
    ? "healthy"
    : code === Verdict.unhealthy
      ? "unhealthy"
      : "unknown";
}
