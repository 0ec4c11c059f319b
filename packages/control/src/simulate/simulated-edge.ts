// SPDX-License-Identifier: Apache-2.0

// An edge of the simulated world: it probes and reports as every vantage does, answers with an overlay of its own that follows control's, and
// goes on by itself when control is not heard of.

import type { Clock, Random } from "@meridian/core";
import {
  LatchDriver,
  OverlayDriver,
  Vantage,
  type DeclaredLatch,
  type ProbePlan,
} from "@meridian/health";
import { Verdict, type VantagePlace, type World } from "@meridian/snapshot";
import { SimulatedProbes, type LookAt } from "./simulated-probes.ts";

/** Silence of control after which an edge goes on alone (design: `isolationAfter`). */
const ISOLATION_MS = 5000;

export interface SimulatedEdgeOptions {
  readonly name: string;
  readonly site: string;
  readonly isolation: "local" | "freeze";
  readonly clock: Clock;
  readonly random: Random;
  readonly world: World;
  readonly plan: ProbePlan;
  readonly latches: ReadonlyMap<string, DeclaredLatch>;
  readonly lookAt: LookAt;
  /** A report is on its way to control. */
  readonly onReport: (payload: Uint8Array) => void;
}

/** What an edge follows. */
export interface Followed {
  readonly sequence: number;
  readonly slots: Uint32Array;
  readonly live: readonly VantagePlace[];
}

export class SimulatedEdge {
  readonly name: string;
  readonly overlay: OverlayDriver;
  readonly #options: SimulatedEdgeOptions;
  readonly #vantage: Vantage;
  readonly #probes: SimulatedProbes;
  readonly #latches: LatchDriver;
  #heardAtMs: number;
  #followed = -1;
  #live: readonly VantagePlace[] = [];
  #isIsolated = false;

  constructor(options: SimulatedEdgeOptions) {
    const { name, site, clock, random, world, plan, lookAt, onReport } = options;
    this.name = name;
    this.#options = options;
    this.#heardAtMs = clock.monotonicMs();
    this.#probes = new SimulatedProbes(lookAt, random, () => clock.monotonicMs());
    this.#vantage = new Vantage({
      name,
      site,
      clock,
      random,
      onReport,
      onTransitions: () => {},
      timers: "manual",
      createProbe: this.#probes.make,
    });
    this.overlay = new OverlayDriver({ wallMs: () => clock.wallMs(), onChangeSet: () => {} });
    this.overlay.adopt(world, 1);
    this.#latches = new LatchDriver(this.overlay, () => clock.monotonicMs());
    this.#vantage.setPlan(plan, () => undefined);
    this.#vantage.start();
  }

  /** Probes what is due. */
  advance(): void {
    this.#probes.deliver();
    this.#vantage.runner.advance();
  }

  /** Reports all it has; each second. */
  tick(): void {
    this.#vantage.tick();
  }

  /** Takes over what control says, or goes on without it where that is undefined. */
  follow(followed: Followed | undefined): void {
    const nowMs = this.#options.clock.monotonicMs();
    if (followed === undefined) {
      if (nowMs - this.#heardAtMs >= ISOLATION_MS) this.#goOnAlone();
      return;
    }
    this.#heardAtMs = nowMs;
    if (this.#isIsolated) this.#return();
    if (followed.live !== this.#live) {
      this.#live = followed.live;
      this.#vantage.setLive("control", followed.live);
    }
    if (followed.sequence !== this.#followed) {
      this.#followed = followed.sequence;
      this.#copy(followed.slots);
    }
  }

  async close(): Promise<void> {
    this.#latches.close();
    this.overlay.close();
    await this.#vantage.close();
  }

  #copy(slots: Uint32Array): void {
    const { poolEpochSlots, branchSlots, slotCount } = this.#options.world;
    const changes: { slot: number; value: number }[] = [];
    const copyRange = (from: number, to: number): void => {
      for (let slot = from; slot < to; slot++) changes.push({ slot, value: slots[slot] ?? 0 });
    };
    copyRange(0, poolEpochSlots);
    copyRange(branchSlots, slotCount);
    this.overlay.apply(changes, { kind: "health", text: "as control says" });
  }

  #goOnAlone(): void {
    const { isolation, world, latches } = this.#options;
    if (!this.#isIsolated) {
      this.#isIsolated = true;
      this.#vantage.runner.setIsolated(true);
      const downOnly = [...latches].map(([name, latch]): [string, DeclaredLatch] => [
        name,
        { ...latch, isDownOnly: true },
      ]);
      if (isolation === "local") this.#latches.adopt(world, new Map(downOnly));
    }
    if (isolation === "freeze") return;
    const changes: { slot: number; mask: number; value: number }[] = [];
    for (let endpoint = 0; endpoint < world.pools.endpointCount; endpoint++) {
      const state = this.#vantage.runner.state(world.endpointName(endpoint));
      if (state === undefined || state.verdict === "unknown") continue;
      changes.push({ slot: endpoint, mask: 3, value: Verdict[state.verdict] });
    }
    const before = this.overlay.sequence;
    this.overlay.apply(changes, { kind: "health", text: "judged alone" });
    if (this.overlay.sequence !== before) this.#latches.step();
  }

  #return(): void {
    this.#isIsolated = false;
    this.#followed = -1;
    this.#vantage.runner.setIsolated(false);
    this.#latches.pause();
  }
}
