// SPDX-License-Identifier: Apache-2.0

// Between the health runner and the overlay: verdicts, their earliest change and load become endpoint slots.

import { key64, type Clock, type Random } from "@meridian/core";
import {
  CAPACITY_SHIFT,
  CHANGE_SHIFT,
  PER_MILLE,
  Verdict,
  type SlotChange,
  type World,
} from "@meridian/snapshot";
import type { ProbeTarget, Verdict as VerdictWord } from "./check.ts";
import type { CapacityRule } from "./load/capacity-factor.ts";
import { CapacityTracker } from "./load/capacity-tracker.ts";
import type { OverlayDriver } from "./overlay-driver.ts";
import type { IcmpSender } from "./probes/icmp/icmp-sender.ts";
import { HealthRunner } from "./runner.ts";
import type { Transition } from "./transition.ts";

/** How often capacity factors move where no reading comes. */
const CAPACITY_TICK_MS = 1000;

export interface VerdictDriverOptions {
  readonly clock: Clock;
  readonly random: Random;
  readonly vantage: string;
  readonly overlay: OverlayDriver;
  readonly icmpSender?: IcmpSender;
  readonly onTransitions: (batch: readonly Transition[]) => void;
}

export class VerdictDriver {
  readonly runner: HealthRunner;
  readonly #options: VerdictDriverOptions;
  readonly #capacity: CapacityTracker;
  #world: World | undefined;
  #slotOf = new Map<string, number>();
  /** By key, as a snapshot may come before they are applied. */
  readonly #factors = new Map<string, number>();
  #tick: NodeJS.Timeout | undefined;

  constructor(options: VerdictDriverOptions) {
    this.#options = options;
    this.#capacity = new CapacityTracker((key, factor) => this.#factorChanged(key, factor));
    this.runner = new HealthRunner({
      clock: options.clock,
      random: options.random,
      vantage: options.vantage,
      ...(options.icmpSender === undefined ? {} : { icmpSender: options.icmpSender }),
      onTransitions: (batch) => this.#transitions(batch),
      onOutlook: (batch) => this.#apply(batch, "when verdicts can change"),
      onReport: (report) => {
        if (report.load !== undefined)
          this.#capacity.reading(report.key, report.load.load, options.clock.monotonicMs());
      },
    });
  }

  /** Verdicts go to this world's slots from now on. */
  adopt(
    world: World,
    targets: readonly ProbeTarget[],
    rules: ReadonlyMap<string, CapacityRule>,
  ): void {
    this.#world = world;
    this.#slotOf = new Map(targets.map(({ key }) => [key, world.slotOfKey(key64(key))]));
    const restored = new Map<string, VerdictWord>();
    for (const { key } of targets) {
      const slot = this.#slotOf.get(key) ?? -1;
      if (slot >= 0) restored.set(key, verdictWord(this.#options.overlay.read(slot) & 3));
    }
    this.#capacity.setRules(rules, this.#options.clock.monotonicMs());
    this.#resetFactors(world, rules);
    this.runner.setTargets(targets, restored);
    this.#apply(
      [...this.runner.states()].filter(({ verdict }) => verdict !== "unknown"),
      "verdicts known before this snapshot",
    );
  }

  start(): void {
    if (this.#tick !== undefined) return;
    this.runner.start();
    this.#tick = setInterval(() => {
      this.#capacity.tick(this.#options.clock.monotonicMs());
      this.#flushFactors();
    }, CAPACITY_TICK_MS);
    this.#tick.unref();
  }

  async close(): Promise<void> {
    clearInterval(this.#tick);
    await this.runner.close();
  }

  #transitions(batch: readonly Transition[]): void {
    const [first] = batch;
    if (first === undefined) return;
    const more = batch.length > 1 ? ` and ${batch.length - 1} more` : "";
    this.#apply(batch, `${first.key} ${first.verdict}: ${first.reason}${more}`);
    this.#options.onTransitions(batch);
  }

  #apply(
    batch: readonly {
      readonly key: string;
      readonly earliestChangeMs: number;
      readonly verdict?: VerdictWord;
    }[],
    text: string,
  ): void {
    const changes: SlotChange[] = [];
    for (const { key, verdict, earliestChangeMs } of batch) {
      const slot = this.#slotOf.get(key) ?? -1;
      if (slot < 0) continue;
      const was = this.#options.overlay.read(slot);
      const cleared = (was & ~(0x1f << CHANGE_SHIFT)) >>> 0;
      const judged = verdict === undefined ? cleared : ((cleared & ~3) | Verdict[verdict]) >>> 0;
      changes.push({
        slot,
        value: (judged | (secondsLog2(earliestChangeMs) << CHANGE_SHIFT)) >>> 0,
      });
    }
    if (this.#world !== undefined) this.#options.overlay.apply(changes, { kind: "health", text });
  }

  #factorChanged(key: string, factor: number): void {
    this.#factors.set(key, factor);
  }

  /** Endpoints whose load nobody reads any more have all of their capacity again. */
  #resetFactors(world: World, rules: ReadonlyMap<string, CapacityRule>): void {
    const changes: SlotChange[] = [];
    for (let slot = 0; slot < world.pools.endpointCount; slot++) {
      const was = this.#options.overlay.read(slot);
      if (((was >>> CAPACITY_SHIFT) & 0x3ff) === PER_MILLE || rules.has(world.endpointName(slot)))
        continue;
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
      const slot = this.#slotOf.get(key) ?? -1;
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
