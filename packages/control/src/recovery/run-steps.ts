// SPDX-License-Identifier: Apache-2.0

// What a plan comes to when it is run: its steps and those of its child plans in one list, each with the steps that have to be settled before.
//
//   sequence: [a, both, child, z]        a ─┬─► b ─┬─► child/x ─► child/y ─► z
//   both: parallel [b, c]                   └─► c ─┘

import { limits, type RecoveryPlanDocument, type RecoveryStep } from "@meridian/model";
import type { RunStep } from "./run-state.ts";

/** Plans that follow one another down. */
const DEPTH_MAX = 8;

/** Plans of one namespace by name. */
export type KnownPlans = ReadonlyMap<string, RecoveryPlanDocument>;

/** The steps of a plan, or why it cannot be run: a child that is not there, a circle, too many. */
export function stepsOfPlan(
  plan: string,
  plans: KnownPlans,
): { readonly steps: readonly RunStep[] } | { readonly problem: string } {
  const listing = new StepListing(plans);
  listing.add(plan, "", [], []);
  return listing.problem === undefined ? { steps: listing.steps } : { problem: listing.problem };
}

class StepListing {
  readonly #plans: KnownPlans;
  readonly steps: RunStep[] = [];
  problem: string | undefined;

  constructor(plans: KnownPlans) {
    this.#plans = plans;
  }

  /** Adds the steps of a plan; gives the indices that are settled last. */
  add(
    name: string,
    prefix: string,
    after: readonly number[],
    above: readonly string[],
  ): readonly number[] {
    const plan = this.#plans.get(name);
    const path = [...above, name];
    if (above.includes(name)) this.#fail(`its plans lead back: ${path.join(" → ")}`);
    else if (above.length >= DEPTH_MAX)
      this.#fail(`its plans are more than ${DEPTH_MAX} deep: ${path.join(" → ")}`);
    else if (plan === undefined)
      this.#fail(
        `there is no RecoveryPlan "${name}"${above.length > 0 ? `, which ${above.at(-1) ?? ""} names` : ""}`,
      );
    if (this.problem !== undefined || plan === undefined) return after;
    const { sequence, steps } = plan.spec;
    let ends = after;
    for (const each of sequence) ends = this.#step(each, steps, { prefix, after: ends, path });
    return ends;
  }

  #step(
    name: string,
    steps: RecoveryPlanDocument["spec"]["steps"],
    at: {
      readonly prefix: string;
      readonly after: readonly number[];
      readonly path: readonly string[];
    },
  ): readonly number[] {
    const what = steps[name];
    if (what === undefined || this.problem !== undefined) return at.after;
    if (what.parallel !== undefined) {
      const inner = passedOn(what, what.parallel.steps, steps);
      return unique(what.parallel.steps.flatMap((each) => this.#step(each, inner, at)));
    }
    if (what.plan !== undefined) {
      const from = this.steps.length;
      const ends = this.add(what.plan.name, `${at.prefix}${name}/`, at.after, at.path);
      if (what.only !== undefined)
        for (let index = from; index < this.steps.length; index++) this.#restrict(index, what.only);
      return ends;
    }
    if (this.steps.length >= limits.runStepsMax) {
      this.#fail(`it has more than ${limits.runStepsMax} steps, those of its plans included`);
      return at.after;
    }
    const index = this.steps.length;
    const fresh = { state: "waiting", tries: 0, detail: "", memo: {} } as const;
    this.steps.push({ name: `${at.prefix}${name}`, what, after: at.after, ...fresh });
    return [index];
  }

  /** What is only part of a run of one kind is not part of the other by being in a plan that is. */
  #restrict(index: number, only: NonNullable<RecoveryStep["only"]>): void {
    const step = this.steps[index];
    if (step === undefined || step.what.only === only) return;
    const isNever = step.what.only !== undefined;
    const what = { ...step.what, only };
    this.steps[index] = isNever
      ? { ...step, state: "skipped", detail: "part of no run of either kind" }
      : { ...step, what };
  }

  #fail(problem: string): void {
    this.problem ??= problem;
  }
}

/** Steps side by side are part of the runs that what holds them is part of. */
function passedOn(
  outer: RecoveryStep,
  names: readonly string[],
  steps: RecoveryPlanDocument["spec"]["steps"],
): RecoveryPlanDocument["spec"]["steps"] {
  const { only } = outer;
  if (only === undefined) return steps;
  return Object.fromEntries(
    Object.entries(steps).map(([name, what]) => [
      name,
      names.includes(name) ? { ...what, only: what.only ?? only } : what,
    ]),
  );
}

function unique(indices: readonly number[]): readonly number[] {
  return [...new Set(indices)];
}
