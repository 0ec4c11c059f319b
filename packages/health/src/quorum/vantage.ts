// SPDX-License-Identifier: Apache-2.0

// A process that probes for others: it keeps opinions, and reports them.

import type { Clock, Random } from "@meridian/core";
import { Suspicion, type VantagePlace } from "@meridian/snapshot";
import { PlanKeeper, type ProbePlan } from "../probe-plan.ts";
import type { Probe } from "../probe.ts";
import type { ProbeTarget, Verdict } from "../check.ts";
import type { IcmpSender } from "../probes/icmp/icmp-sender.ts";
import { HealthRunner } from "../runner.ts";
import type { Opinion } from "../runner-options.ts";
import type { Transition } from "../transition.ts";
import { candidateOf, chooseVantages, type Candidate } from "./choose-vantages.ts";
import { OpinionReports } from "./opinion-reports.ts";
import { OwnOpinions } from "./own-opinions.ts";
import { PaceKeeper } from "./pace-keeper.ts";
import { TargetOrder } from "./target-order.ts";

const TABLE_MS = 1000;

export interface VantageOptions extends VantagePlace {
  readonly clock: Clock;
  readonly random: Random;
  readonly icmpSender?: IcmpSender;
  /** A report is to be sent to all controls. */
  readonly onReport: (payload: Uint8Array) => void;
  readonly onTransitions: (batch: readonly Transition[]) => void;
  /** `manual`: the caller moves the clock, calls `advance` of the runner and `tick` here. */
  readonly timers?: "real" | "manual";
  readonly createProbe?: (target: ProbeTarget) => Probe | undefined;
}

export class Vantage {
  readonly runner: HealthRunner;
  readonly #options: VantageOptions;
  readonly #plan = new PlanKeeper();
  readonly #pace: PaceKeeper;
  readonly #reports: OpinionReports;
  #order = TargetOrder.of([]);
  #own = new OwnOpinions(this.#order);
  /** Live vantages as each control has them. */
  readonly #live = new Map<string, readonly Candidate[]>();
  #timer: NodeJS.Timeout | undefined;

  constructor(options: VantageOptions) {
    this.#options = options;
    const { clock, random, name, icmpSender, onTransitions, timers, createProbe } = options;
    const session = random.next32();
    this.runner = new HealthRunner({
      clock,
      random,
      vantage: name,
      ...(icmpSender === undefined ? {} : { icmpSender }),
      ...(timers === undefined ? {} : { timers }),
      ...(createProbe === undefined ? {} : { createProbe }),
      onTransitions,
      onOpinion: (opinion) => this.#changed(opinion),
    });
    this.#pace = new PaceKeeper(this.runner);
    this.#reports = new OpinionReports(this.#own, {
      session,
      nowMs: () => clock.monotonicMs(),
      suspicion: () => Suspicion[this.runner.suspicion.kind],
      onReport: options.onReport,
    });
  }

  /** Targets by key, as the plan has them. */
  get targets(): ReadonlyMap<string, ProbeTarget> {
    return this.#plan.targets;
  }

  start(): void {
    this.runner.start();
    if (this.#options.timers !== "manual")
      this.#timer ??= setInterval(() => this.tick(), TABLE_MS).unref();
  }

  async close(): Promise<void> {
    clearInterval(this.#timer);
    await this.runner.close();
  }

  /** What is probed from now on; of what is new, `restored` is the verdict to begin with. */
  setPlan(plan: ProbePlan, restored: (key: string) => Verdict | undefined): void {
    const change = this.#plan.take({ ...plan, targets: seenFromHere(plan.targets) });
    if (change === undefined) return;
    this.#pace.change(change.changed, change.gone, restored);
    const before = this.#order;
    const next = before.next(change.changed, change.gone);
    this.#order = next.order;
    this.#own = this.#own.next(next);
    for (const { key, address, port } of change.changed) {
      const was = before.targets[before.placeOf(key)];
      const place = this.#order.placeOf(key);
      if (place >= 0 && (was?.address !== address || was.port !== port)) this.#own.forget(place);
    }
    this.#reports.follow(this.#own);
    this.#follow();
    this.tick();
  }

  /** The live vantages as `control` has them. What any control has chosen this one for is probed at full pace. */
  setLive(control: string, live: readonly VantagePlace[]): void {
    const candidates = live.map(candidateOf).toSorted((a, b) => (a.name < b.name ? -1 : 1));
    this.#live.set(control, candidates);
    this.#follow();
  }

  /** Reports all there is; each second, and when a control has come. */
  tick(): void {
    this.#reports.tick();
  }

  #follow(): void {
    const { targets, hashes } = this.#order;
    const lists = [...this.#live.values()].flatMap((candidates) => {
      const own = candidates.findIndex(({ name }) => name === this.#options.name);
      return own < 0 ? [] : [{ candidates, own }];
    });
    this.#pace.follow(targets, (place) => {
      const check = targets[place]?.check;
      const hash = hashes[place] ?? 0;
      return (
        check !== undefined &&
        lists.some(({ candidates, own }) => chooseVantages(candidates, hash, check).includes(own))
      );
    });
  }

  #changed(opinion: Opinion): void {
    const place = this.#own.set(opinion);
    if (place >= 0) this.#reports.changed(place);
  }
}

/** Statuses that are pushed and what a Prometheus server says come to controls; nor is judged here what is counted of such. */
function seenFromHere(targets: readonly ProbeTarget[]): ProbeTarget[] {
  const elsewhere = new Set(
    targets.flatMap(({ key, check: { kind } }) =>
      kind === "push" || kind === "prometheus" ? [key] : [],
    ),
  );
  return targets.filter(
    ({ key, check }) =>
      !elsewhere.has(key) &&
      (check.kind !== "calculated" || !check.children.some((child) => elsewhere.has(child))),
  );
}
