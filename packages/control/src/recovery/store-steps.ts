// SPDX-License-Identifier: Apache-2.0

// Steps whose effect lies in the store: it is committed together with the mark that the step is done, so that it is there once, whoever dies.

import { MeridianError, parseDuration, reasonOf } from "@meridian/core";
import { limits, stepKindOf, type StepKind } from "@meridian/model";
import { Caller } from "../access/caller.ts";
import type { ControlState } from "../routing/control-change.ts";
import type { RoutingControls } from "../routing/routing-controls.ts";
import { isShift, type Shift } from "../shift-effects.ts";
import type { StateWrite } from "../state/state-documents.ts";
import type { Outcome } from "./run-advance.ts";
import { HANDOVER, type RecoveryRun, type RunStep } from "./run-state.ts";
import type { ServedTraffic } from "./served-traffic.ts";
import { weightsEffect, type WeightsPlaces } from "./weights-step.ts";

/** Where shifts are that a run starts and ends. */
export interface ShiftPlace {
  list(): readonly Shift[];
  /** What a change of them writes; absent where they are not in the store. */
  writes?(put: readonly Shift[], ended: readonly Shift[]): readonly StateWrite[];
  /** Where they are not: done when it resolves, and no more when it is done again. */
  change(put: readonly Shift[], ended: readonly Shift[]): Promise<void>;
}

/** What else steps look at. */
export interface StorePlaces extends WeightsPlaces {
  readonly traffic: WeightsPlaces["traffic"] & Pick<ServedTraffic, "endpoints">;
}

/** What a step does to the store. */
export interface StoreEffect {
  readonly outcome: Outcome;
  readonly writes: readonly StateWrite[];
  /** To be done before the outcome is committed. */
  readonly before?: () => Promise<void>;
  /** There is nothing to do before then, Unix milliseconds. */
  readonly dueAtMs?: number;
}

/** How often it is looked whether a hand-over is done. */
const LOOK_MS = 250;

const storeKinds: ReadonlySet<StepKind> = new Set(["controls", "shift", "endShift", "weights"]);

export class StoreSteps {
  readonly #routing: RoutingControls;
  readonly #shifts: ShiftPlace;
  readonly #places: StorePlaces;

  constructor(routing: RoutingControls, shifts: ShiftPlace, places: StorePlaces) {
    this.#routing = routing;
    this.#shifts = shifts;
    this.#places = places;
  }

  /** Whether a step is one of those. */
  static has({ what }: RunStep): boolean {
    return storeKinds.has(stepKindOf(what));
  }

  /** What a step that is running or being undone comes to; decided by the documents as they were last seen. */
  effect(run: RecoveryRun, step: RunStep, nowMs: number): StoreEffect {
    const isUndo = step.state === "undoing";
    try {
      if (step.what.weights !== undefined) return weightsEffect(run, step, this.#places, nowMs);
      if (step.what.controls !== undefined) return this.#turn(run, step, nowMs);
      const started = this.#started(run, step);
      if (started !== undefined && !isUndo) this.#refuseGone(started.target);
      const memo: unknown = JSON.parse(step.memo["shifts"] ?? "[]");
      const kept = (Array.isArray(memo) ? memo : []).filter(isShift);
      if (step.what.shift !== undefined && started !== undefined)
        return isUndo
          ? this.#change(
              [],
              this.#running(({ id }) => id === started.id),
              "ended its shift",
            )
          : this.#change([started], [], `shifted ${started.target}`);
      // What has ended by itself meanwhile is over again at once.
      if (isUndo) return this.#change(kept, [], `started ${kept.length} shifts again`);
      const { target } = step.what.endShift ?? { target: "" };
      const ended = this.#running((shift) => shift.target === target);
      const effect = this.#change([], ended, `ended ${ended.length} shifts of ${target}`);
      const remembered = { shifts: JSON.stringify(ended) };
      return { ...effect, outcome: { ...effect.outcome, memo: remembered } };
    } catch (error) {
      const detail = error instanceof MeridianError ? error.message : reasonOf(error);
      return { outcome: { result: "failed", detail }, writes: [] };
    }
  }

  /** Throws where a shift would move nothing. */
  #refuseGone(target: string): void {
    const { traffic } = this.#places;
    if (traffic.isServed && traffic.endpoints(target).length === 0)
      throw new Error(`${target} has no endpoint`);
  }

  #running(isWanted: (shift: Shift) => boolean): readonly Shift[] {
    return this.#shifts.list().filter(isWanted);
  }

  #change(put: readonly Shift[], ended: readonly Shift[], detail: string): StoreEffect {
    const isFull = this.#shifts.list().length + put.length > limits.shiftsMax;
    if (isFull && put.length > 0)
      throw new Error(`${limits.shiftsMax} shifts are running, expected fewer`);
    const outcome: Outcome = { result: "done", detail };
    const writes = this.#shifts.writes?.(put, ended);
    if (writes !== undefined) return { outcome, writes };
    return { outcome, writes: [], before: () => this.#shifts.change(put, ended) };
  }

  /** The same each time: who does it again does nothing more. */
  #started(run: RecoveryRun, { name, what, startedAtMs = 0 }: RunStep): Shift | undefined {
    if (what.shift === undefined) return undefined;
    const { target, percent, for: length } = what.shift;
    const lengthMs = Math.min(parseDuration(length) ?? 0, limits.shiftMsMax);
    return {
      id: `${run.id}-${name.replaceAll("/", "-")}`,
      target,
      percent,
      reason: `recovery plan ${run.namespace}/${run.plan}: ${run.reason}`.slice(0, 1024),
      actor: run.actor,
      precedence: run.trigger === undefined ? "manual" : "automatic",
      createdAtMs: startedAtMs,
      expiresAtMs: startedAtMs + lengthMs,
    };
  }

  #turn(run: RecoveryRun, step: RunStep, nowMs: number): StoreEffect {
    const isUndo = step.state === "undoing";
    // Turned once, whatever others turn meanwhile: what is left is the hand-over.
    const waiting = step.memo[HANDOVER];
    if (waiting?.startsWith(`${step.state} `) === true) {
      const panel = waiting.slice(step.state.length + 1);
      return this.#routing.isSettled(panel)
        ? { outcome: { result: "done", detail: `${step.detail}: done` }, writes: [] }
        : {
            outcome: { result: "going", detail: step.detail },
            writes: [],
            dueAtMs: nowMs + LOOK_MS,
          };
    }
    const { states = {}, override = [] } = step.what.controls ?? {};
    const wanted: Readonly<Record<string, ControlState>> = isUndo
      ? statesIn(step.memo["controls"])
      : states;
    if (Object.keys(wanted).length === 0)
      return { outcome: { result: "done", detail: "nothing to undo" }, writes: [] };
    const { namespace, plan, reason } = run;
    const request = {
      namespace,
      states: new Map(Object.entries(wanted)),
      override,
      reason: `recovery plan ${plan}: ${reason}`.slice(0, 1024),
    };
    const rules = [{ verbs: ["set" as const], kinds: ["RoutingControl"], namespaces: [namespace] }];
    const caller = new Caller(run.actor, undefined, "", rules);
    const { changed, before, writes, handsOver } = this.#routing.prepare(request, caller);
    const said = changed.map((name) => `${name} ${wanted[name] ?? ""}`).join(", ");
    const detail = said === "" ? "they were so already" : `set ${said}`;
    const memo = isUndo ? {} : { controls: JSON.stringify(Object.fromEntries(before)) };
    if (handsOver === undefined) return { outcome: { result: "done", detail, memo }, writes };
    const waits = { ...memo, [HANDOVER]: `${step.state} ${handsOver}` };
    const going = `${detail}; the hand-over of ControlPanel ${handsOver}`;
    return { outcome: { result: "going", detail: going, memo: waits }, writes };
  }
}

function statesIn(text: string | undefined): Record<string, ControlState> {
  const raw: unknown = JSON.parse(text ?? "{}");
  return Object.fromEntries(
    Object.entries(typeof raw === "object" && raw !== null ? raw : {}).map(
      ([name, state]: [string, unknown]) => [name, state === "Off" ? "Off" : "On"],
    ),
  );
}
