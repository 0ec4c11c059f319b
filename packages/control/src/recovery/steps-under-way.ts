// SPDX-License-Identifier: Apache-2.0

// The work of steps that is under way at the control that leads: begun once the store has it that a step runs, ended when it runs no more, or
// another control leads.

import { stepKindOf } from "@meridian/model";
import { doStep, stepKey, type OutsideWork } from "./outside-steps.ts";
import type { Outcome } from "./run-advance.ts";
import { runName, type RecoveryRun } from "./run-state.ts";

/** The work of a step. */
interface Doing {
  readonly run: string;
  readonly index: number;
  readonly ended: AbortController;
  outcome: Outcome | undefined;
}

/** What came of steps of a run, by index. */
export interface StepOutcomes {
  readonly outcomes: ReadonlyMap<number, Outcome>;
  /** To be called once the store has them. */
  taken(): void;
}

export class StepsUnderWay {
  readonly #work: OutsideWork;
  readonly #onOutcome: () => void;
  /** By run, step and when that began. */
  readonly #doing = new Map<string, Doing>();
  /** How steps go that wait: for who looks now; the store has it with the next change. */
  readonly #details = new Map<string, string>();

  /** `onOutcome` is told when something came of a step. */
  constructor(work: OutsideWork, onOutcome: () => void) {
    this.#work = work;
    this.#onOutcome = onOutcome;
  }

  /** Ends the work of runs that are no more wanted. */
  keep(isWanted: (run: string) => boolean): void {
    for (const [key, { run }] of this.#doing) if (!isWanted(run)) this.#end(key);
    if (this.#doing.size === 0) this.#details.clear();
  }

  outcomesOf(run: string): StepOutcomes {
    const told = [...this.#doing].flatMap(([key, { run: name, index, outcome }]) =>
      name === run && outcome !== undefined ? [{ key, index, outcome }] : [],
    );
    return {
      outcomes: new Map(told.map(({ index, outcome }) => [index, outcome])),
      taken: () => {
        for (const { key } of told) this.#doing.delete(key);
      },
    };
  }

  /** Begins the work of steps that the store has as running, unless it is under way here, and ends that of others of the run. */
  follow(run: RecoveryRun, work: readonly number[]): void {
    const name = runName(run);
    const wanted = new Set<string>();
    for (const index of work) {
      const step = run.steps[index];
      if (step === undefined || this.#work[stepKindOf(step.what)] === undefined) continue;
      const key = `${name} ${index} ${step.state} ${step.startedAtMs ?? 0}`;
      wanted.add(key);
      if (!this.#doing.has(key)) this.#begin(key, run, index);
    }
    for (const [key, doing] of this.#doing)
      if (doing.run === name && !wanted.has(key)) this.#end(key);
  }

  /** How a step goes, as far as it is known here. */
  detailOf(run: RecoveryRun, index: number): string {
    const step = run.steps[index];
    const isOn = step?.state === "running" || step?.state === "undoing";
    const told = this.#details.get(`${run.id} ${index}`);
    return (isOn ? told : undefined) ?? step?.detail ?? "";
  }

  #begin(key: string, run: RecoveryRun, index: number): void {
    const step = run.steps[index];
    if (step === undefined) return;
    const ended = new AbortController();
    const doing: Doing = { run: runName(run), index, ended, outcome: undefined };
    this.#doing.set(key, doing);
    const report = (detail: string): void => {
      if (detail === step.detail || doing.outcome !== undefined) return;
      this.#details.set(`${run.id} ${index}`, detail);
    };
    const { signal } = ended;
    const context = { run, step, key: stepKey(run, step), signal, report };
    void doStep(this.#work, context).then((outcome) => {
      doing.outcome = outcome;
      if (!signal.aborted) this.#onOutcome();
    });
  }

  #end(key: string): void {
    this.#doing.get(key)?.ended.abort();
    this.#doing.delete(key);
  }
}
