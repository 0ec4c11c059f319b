// SPDX-License-Identifier: Apache-2.0

// Whether what remains could carry the demand of a namespace's TrafficProfiles, once a plan's steps have moved what they move.

import { setImmediate as nextTurn } from "node:timers/promises";
import type { RecoveryStep } from "@meridian/model";
import type { DocumentSet } from "../documents/document-set.ts";
import type { Embedded } from "../embedded.ts";
import { controlsOf } from "../routing/routing-documents.ts";
import type { SwitchedOff } from "../shift-effects.ts";
import { lacking, pairAt, profilesOf, type Moves } from "../traffic/capacity-check.ts";
import {
  decideLoad,
  demandsOf,
  type DecidedDemand,
  type ServedPair,
} from "../traffic/decided-load.ts";
import { placeLoads } from "../traffic/place-loads.ts";
import {
  branchTarget,
  type WeightOverride,
  type WeightOverrides,
} from "../weights/weight-overrides.ts";
import type { RunMode } from "./run-state.ts";
import { weightsOwner } from "./weights-step.ts";

/** Demands that are decided for one plan, the largest: some 10 ms each, with other work in between. */
const DEMANDS_MAX = 16;

export interface PlanCapacityOptions {
  readonly embedded: Embedded;
  readonly documents: () => DocumentSet;
  /** Routing controls that are Off. */
  readonly off: () => readonly SwitchedOff[];
  readonly weights: Pick<WeightOverrides, "all">;
  readonly nowMs: () => number;
}

export class PlanCapacity {
  readonly #options: PlanCapacityOptions;

  constructor(options: PlanCapacityOptions) {
    this.#options = options;
  }

  /** What would be lacking after these steps of a namespace's plan, in sentences with numbers. */
  async lacks(namespace: string, steps: readonly RecoveryStep[]): Promise<readonly string[]> {
    const { embedded, documents, off } = this.#options;
    const { model, world } = embedded;
    const profiles = profilesOf(documents()).filter(
      ({ metadata }) => metadata.namespace === namespace,
    );
    if (model === undefined || world === undefined || profiles.length === 0) return [];
    const served = { model, world, overlay: embedded.overlay, off: off(), profiles };
    const now: Moves = { shifts: embedded.shifts(), atMs: this.#options.nowMs() };
    const before = pairAt(served, now);
    const found = new Set<string>();
    for (const mode of ["graceful", "ungraceful"] as const) {
      const own = steps.filter(({ only = mode }) => only === mode);
      // The other kind of run moves the same.
      if (mode === "ungraceful" && !steps.some((step) => step.only !== undefined && isMove(step)))
        break;
      const after = pairAt(served, this.#moved(namespace, own, now));
      for (const profile of profiles) {
        const demands = demandsOf(profile.spec)
          .toSorted((a, b) => b.rate - a.rate)
          .slice(0, Math.ceil(DEMANDS_MAX / profiles.length));
        const loads = await Promise.all(
          [before, after].map(async (pair) =>
            placeLoads(model, pair, await decided(pair, demands)),
          ),
        );
        const { name } = profile.metadata;
        const [then, later] = loads;
        if (then === undefined || later === undefined) continue;
        for (const text of lacking(then, later, profile.spec.unit))
          found.add(`${inMode(mode, steps)}${text} (TrafficProfile ${namespace}/${name})`);
      }
    }
    return [...found];
  }

  /** What is moved once all of these steps are done, one after the other. */
  #moved(namespace: string, steps: readonly RecoveryStep[], now: Moves): Moves {
    const { documents, off: offNow, weights: given } = this.#options;
    const controls = new Map(
      controlsOf(documents()).map(({ document: { metadata, spec } }) => [
        `${metadata.namespace}/${metadata.name}`,
        spec.targets,
      ]),
    );
    const shifts = new Map(now.shifts.map((each) => [each.id, each]));
    const off = new Map(offNow().map((each) => [each.control, each]));
    const weights = new Map(given.all().map((each) => [`${each.policy}/${each.node}`, each]));
    for (const [at, { shift, endShift, controls: turned, weights: changed }] of steps.entries()) {
      if (shift !== undefined) {
        const { target, percent } = shift;
        const started = { target, percent, reason: "", actor: "", precedence: "manual" as const };
        const times = { createdAtMs: now.atMs, expiresAtMs: now.atMs + 1 };
        const id = `step ${at}`;
        shifts.set(id, { id, ...started, ...times });
      }
      for (const { id, target } of shifts.values())
        if (target === endShift?.target) shifts.delete(id);
      for (const [name, state] of Object.entries(turned?.states ?? {})) {
        const control = `${namespace}/${name}`;
        if (state === "On") off.delete(control);
        else off.set(control, { control, targets: controls.get(control) ?? [] });
      }
      if (changed !== undefined) {
        const policy = `${namespace}/${changed.policy}`;
        const key = `${policy}/${changed.node}`;
        weights.set(key, withBranches(namespace, policy, changed, weights.get(key)));
      }
    }
    const [list, all] = [[...shifts.values()], [...weights.values()]];
    return { ...now, shifts: list, off: [...off.values()], weights: all };
  }
}

function withBranches(
  namespace: string,
  policy: string,
  { node, branches }: NonNullable<RecoveryStep["weights"]>,
  held: WeightOverride | undefined,
): WeightOverride {
  const given = branches.map((each) => [branchTarget(namespace, each), each.weight] as const);
  return {
    ...{ policy, node, owner: weightsOwner(namespace), cause: "", sinceMs: 0 },
    weights: { ...held?.weights, ...Object.fromEntries(given) },
  };
}

/** One demand a turn, as this thread answers the API, too. */
async function decided(
  pair: ServedPair,
  demands: ReturnType<typeof demandsOf>,
): Promise<DecidedDemand[]> {
  const all: DecidedDemand[] = [];
  for (const demand of demands) {
    await nextTurn();
    all.push(...decideLoad(pair, [demand]));
  }
  return all;
}

function isMove({ shift, endShift, controls, weights }: RecoveryStep): boolean {
  return [shift, endShift, controls, weights].some((each) => each !== undefined);
}

function inMode(mode: RunMode, steps: readonly RecoveryStep[]): string {
  return steps.some((step) => step.only !== undefined && isMove(step)) ? `${mode}: ` : "";
}
