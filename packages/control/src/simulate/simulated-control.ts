// SPDX-License-Identifier: Apache-2.0

// The control plane of the simulated world: the code that runs in one, under the virtual clock. Verdicts, load, latches, shifts, routing
// controls and weights all come into one overlay, as they do in a process that serves.

import { parseDuration, type Clock, type Random } from "@meridian/core";
import {
  LatchDriver,
  OverlayDriver,
  VerdictDriver,
  type ChangeSet,
  type DeclaredLatch,
  type ProbePlan,
  type Transition,
} from "@meridian/health";
import type {
  Model,
  RoutingControlDocument,
  SafetyRuleDocument,
  ScenarioEvent,
  TrafficProfileDocument,
} from "@meridian/model";
import type { VantagePlace, World } from "@meridian/snapshot";
import { changeControls, type ControlStanding } from "../routing/control-change.ts";
import { overAtMs } from "../shift-course.ts";
import { ShiftReaches } from "../shift-lead.ts";
import { shiftChanges, type Shift, type ShiftEffect, type SwitchedOff } from "../shift-effects.ts";
import { shiftEffects } from "../shift-precedence.ts";
import { capacityLacks } from "../traffic/capacity-check.ts";
import { weightChanges } from "../weights/overridden-weights.ts";
import type { WeightOverride } from "../weights/weight-overrides.ts";
import { SimulatedProbes, type LookAt } from "./simulated-probes.ts";
import { CONTROL } from "./troubles.ts";

export interface SimulatedControlOptions {
  readonly clock: Clock;
  readonly random: Random;
  readonly model: Model;
  readonly world: World;
  readonly plan: ProbePlan;
  readonly latches: ReadonlyMap<string, DeclaredLatch>;
  readonly controls: readonly RoutingControlDocument[];
  readonly rules: readonly SafetyRuleDocument[];
  /** Edges that report. */
  readonly edgeCount: number;
  readonly lookAt: LookAt;
  readonly onTransitions: (batch: readonly Transition[]) => void;
  readonly onChangeSet: (set: ChangeSet) => void;
}

export class SimulatedControl {
  readonly overlay: OverlayDriver;
  /** Vantages that count, as edges are told. */
  live: readonly VantagePlace[] = [];
  readonly #options: SimulatedControlOptions;
  readonly #verdicts: VerdictDriver;
  readonly #latches: LatchDriver;
  readonly #probes: SimulatedProbes;
  #shifts: readonly Shift[] = [];
  readonly #reaches = new ShiftReaches();
  #shiftCount = 0;
  #effects = "[]";
  #standings: ReadonlyMap<string, ControlStanding> = new Map();
  #weights: readonly WeightOverride[] = [];

  constructor(options: SimulatedControlOptions) {
    this.#options = options;
    const { clock, random, world, plan, latches, edgeCount, lookAt } = options;
    this.#probes = new SimulatedProbes(lookAt, random, () => clock.monotonicMs());
    this.overlay = new OverlayDriver({
      wallMs: () => clock.wallMs(),
      onChangeSet: (set) => {
        options.onChangeSet(set);
        if (set.cause.kind !== "latch") this.#latches.step();
      },
    });
    this.#latches = new LatchDriver(this.overlay, () => clock.monotonicMs());
    this.#verdicts = new VerdictDriver({
      clock,
      random,
      vantage: CONTROL,
      overlay: this.overlay,
      onTransitions: options.onTransitions,
      timers: "manual",
      createProbe: this.#probes.make,
      ...(edgeCount === 0
        ? {}
        : {
            quorum: { site: "", expectedCount: edgeCount, isReporting: false },
            onRoster: ({ live }) => {
              this.live = live;
            },
          }),
    });
    this.overlay.adopt(world, 1);
    this.#verdicts.adopt(world);
    this.#latches.adopt(world, latches);
    this.#verdicts.setPlan({ changed: plan.targets, gone: [], rules: plan.rules });
    this.#verdicts.start();
  }

  /** Probes what is due. */
  advance(): void {
    this.#probes.deliver();
    this.#verdicts.runner.advance();
    this.#latches.step();
  }

  /** Looks at what comes with time; each second. */
  tick(): void {
    this.#verdicts.tick();
  }

  hear(from: VantagePlace, payload: Uint8Array): void {
    this.#verdicts.hear(from, payload);
  }

  push(check: string, key: string, isHealthy: boolean): void {
    const status = isHealthy ? "healthy" : "unhealthy";
    this.#verdicts.runner.push(check, key, { status, reason: `pushed ${status}` });
  }

  async close(): Promise<void> {
    this.#latches.close();
    this.overlay.close();
    await this.#verdicts.close();
  }

  /** Brings the overlay in line with shifts as time goes on. */
  followShifts(): void {
    const nowMs = this.#options.clock.wallMs();
    if (this.#shifts.some((shift) => overAtMs(shift) <= nowMs))
      this.#shifts = this.#shifts.filter((shift) => overAtMs(shift) > nowMs);
    const { model, world } = this.#options;
    const leadMsOf = (target: string): number => this.#reaches.of(model, world, target).leadMs;
    const effects = shiftEffects(this.#shifts, nowMs, leadMsOf);
    const off = this.#off();
    const text = JSON.stringify([effects, off]);
    if (text === this.#effects) return;
    this.#effects = text;
    this.overlay.apply(shiftChanges(model, world, this.overlay, effects, off), {
      kind: "shift",
      text: effectsText(effects, off),
    });
  }

  /** Moves traffic away; why not, where what remains cannot carry the `traffic` of now. */
  shift(wanted: NonNullable<ScenarioEvent["shift"]>, traffic: TrafficProfileDocument): string[] {
    const { target, percent, startsIn, expiresIn, return: back, override } = wanted;
    const { clock, model, world } = this.#options;
    const nowMs = clock.wallMs();
    const startsAtMs = nowMs + (parseDuration(startsIn) ?? 0);
    const shift: Shift = {
      id: `s${++this.#shiftCount}`,
      target,
      percent,
      reason: "simulated",
      actor: "scenario",
      createdAtMs: nowMs,
      ...(startsAtMs > nowMs ? { startsAtMs } : {}),
      expiresAtMs: startsAtMs + (parseDuration(expiresIn) ?? 0),
      ...(back === undefined
        ? {}
        : { return: { percent: back.percent, everyMs: parseDuration(back.every) ?? 1 } }),
    };
    const shifts = [...this.#shifts, shift];
    const { slots } = this.overlay;
    const lacks = override
      ? []
      : capacityLacks(
          {
            ...{ model, world, off: this.#off(), profiles: [traffic] },
            overlay: { moment: () => ({ slots }) },
          },
          { shifts: this.#shifts, atMs: nowMs },
          { shifts, atMs: startsAtMs },
        );
    if (lacks.length === 0) this.#shifts = shifts;
    return lacks;
  }

  /** Ends the shifts of a target; one that comes back by steps begins to. */
  unshift(target: string): void {
    const nowMs = this.#options.clock.wallMs();
    this.#shifts = this.#shifts.flatMap((shift) => {
      if (shift.target !== target) return shift;
      if (shift.return === undefined) return [];
      return shift.expiresAtMs > nowMs ? { ...shift, expiresAtMs: nowMs } : shift;
    });
  }

  /** Switches routing controls of one panel; which rules object, where some do. */
  switch({ set, override }: NonNullable<ScenarioEvent["control"]>): string[] {
    const { controls, rules, clock } = this.#options;
    const named = new Map(set.map(({ control, state }) => [fullName(control), state]));
    const [first = ""] = named.keys();
    const one = controls.find((control) => nameOf(control) === first);
    if (one === undefined) return [`there is no RoutingControl ${first}`];
    const { namespace } = one.metadata;
    const ofPanel = controls.filter(
      ({ metadata, spec }) => metadata.namespace === namespace && spec.panel === one.spec.panel,
    );
    const known = new Set(ofPanel.map(nameOf));
    const stranger = [...named.keys()].find((name) => !known.has(name));
    if (stranger !== undefined) return [`${stranger} is not of panel ${one.spec.panel}`];
    const shortName = (name: string): string => name.slice(namespace.length + 1);
    const standings = new Map(
      [...this.#standings]
        .filter(([name]) => known.has(name))
        .map(([name, standing]) => [shortName(name), standing]),
    );
    const outcome = changeControls(
      standings,
      rules.filter(
        ({ metadata, spec }) => metadata.namespace === namespace && spec.panel === one.spec.panel,
      ),
      {
        states: new Map([...named].map(([name, state]) => [shortName(name), state])),
        override: new Set(override),
        actor: "scenario",
        reason: "simulated",
        nowMs: clock.wallMs(),
      },
    );
    if ("objections" in outcome)
      return outcome.objections.map(({ rule, why }) => `SafetyRule ${rule} ${why}`);
    const after = new Map(this.#standings);
    for (const [name, standing] of outcome.standings) after.set(`${namespace}/${name}`, standing);
    this.#standings = after;
    return [];
  }

  /** Gives a node's branches other weights, or with none their own again. */
  weigh({ policy, node, branches }: NonNullable<ScenarioEvent["weights"]>): void {
    const name = fullName(policy);
    const others = this.#weights.filter((each) => each.policy !== name || each.node !== node);
    const weights = Object.fromEntries(branches.map(({ target, weight }) => [target, weight]));
    const given: WeightOverride = {
      policy: name,
      ...{ node, weights, owner: "scenario", cause: "simulated" },
      sinceMs: this.#options.clock.wallMs(),
    };
    this.#weights = branches.length === 0 ? others : [...others, given];
    const changes = weightChanges(this.#options.world, this.overlay, this.#weights);
    this.overlay.apply(changes, { kind: "weights", text: `weights of ${name}/${node}` });
  }

  #off(): SwitchedOff[] {
    return this.#options.controls.flatMap((control) => {
      const name = nameOf(control);
      if (this.#standings.get(name)?.state !== "Off") return [];
      return { control: name, targets: control.spec.targets };
    });
  }
}

/** `NAMESPACE/NAME` of a reference. */
export function fullName(reference: string): string {
  return reference.includes("/") ? reference : `default/${reference}`;
}

function nameOf({ metadata }: RoutingControlDocument): string {
  return `${metadata.namespace}/${metadata.name}`;
}

function effectsText(effects: readonly ShiftEffect[], off: readonly SwitchedOff[]): string {
  const parts = [
    ...effects.map(({ target, percent }) => `${percent} % away from ${target}`),
    ...off.map(({ control }) => `${control} Off`),
  ];
  return parts.length === 0 ? "no shift any more" : parts.join(", ");
}
