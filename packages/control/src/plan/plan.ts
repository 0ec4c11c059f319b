// SPDX-License-Identifier: Apache-2.0

// What a change would do to traffic: two served pairs are compared, that of now and that of then. Pure, but for giving way between names.

import type { TrafficProfileSpec } from "@meridian/model";
import { Outcome, Selector } from "@meridian/snapshot";
import { budgetOf } from "../explain-source.ts";
import type { ServedModel } from "../served-model.ts";
import { Audiences } from "../traffic/audience.ts";
import {
  DECISIONS,
  boundName,
  decideEach,
  decideLoad,
  demandsOf,
  type Demand,
  type ServedPair,
} from "../traffic/decided-load.ts";
import { leafPlace, loadCourse, usualResolvers, type LoadCourse } from "../traffic/load-course.ts";
import { placeLoads } from "../traffic/place-loads.ts";
import { nameChanges, targetOf, type NameChanges } from "./name-changes.ts";

/** Names whose failover budget is told. */
const BUDGETS_MAX = 200;
const MAP_LISTED_MIN = 1e-9;

/** A pair with the documents behind it. */
export interface PlannedPair extends ServedPair {
  readonly model: ServedModel;
}

/** A profile by its name. */
export interface NamedProfile {
  /** `NAMESPACE/NAME`. */
  readonly name: string;
  readonly spec: TrafficProfileSpec;
  /** Its unit is another than that of capacities. */
  readonly isUnweighed?: boolean;
}

/** Load of a place before and after. */
export interface PlannedLoad {
  readonly target: string;
  readonly before: number;
  readonly after: number;
  /** Half-width of the 95 % interval of `after`. */
  readonly error: number;
  readonly capacity?: number;
  /** It carries more than it can, after; and before already. */
  readonly isOver: boolean;
  readonly wasOver: boolean;
}

/** Load that goes from one place to another, or stays. */
export interface Flow {
  readonly from: string;
  readonly to: string;
  readonly load: number;
}

export interface PlannedTraffic {
  readonly profile: string;
  readonly unit: string;
  readonly total: number;
  readonly withheld: { readonly before: number; readonly after: number };
  readonly loads: readonly PlannedLoad[];
  readonly flows: readonly Flow[];
  readonly course: LoadCourse;
  /** Demands that no policy or pool decides after the change, and why. */
  readonly undecided: readonly { readonly demand: string; readonly reason: string }[];
}

/** How long after a failure clients of a name have left, at worst, in milliseconds. */
export interface PlannedBudget {
  readonly name: string;
  readonly detectionMs: number;
  readonly decisionMs: number;
  readonly publishMs: number;
  readonly ttlMs: number;
  readonly drainMs: number;
  readonly totalMs: number;
}

export interface PlannedEffect {
  readonly names: NameChanges;
  readonly budgets: readonly PlannedBudget[];
  readonly traffic?: PlannedTraffic;
}

/** Compares two pairs; traffic is compared where there is a profile. */
export async function plannedEffect(
  before: PlannedPair,
  after: PlannedPair,
  profile: NamedProfile | undefined,
): Promise<PlannedEffect> {
  const demands = profile === undefined ? [] : demandsOf(profile.spec);
  const names = await nameChanges(
    before,
    after,
    demands.map(({ from }) => from),
  );
  return {
    names,
    budgets: budgetsOf(after, names),
    ...(profile === undefined ? {} : { traffic: trafficOf(before, after, profile, demands) }),
  };
}

function budgetsOf({ world, model }: PlannedPair, names: NameChanges): PlannedBudget[] {
  const budget = budgetOf(model);
  return names.changed.slice(0, BUDGETS_MAX).flatMap(({ name }) => {
    const found = boundName(world, name, 4);
    if (typeof found === "string") return [];
    const parts = budget?.(targetOf(world, found), found.set.ttlMax * 1000);
    return parts === undefined ? [] : [{ name, ...parts }];
  });
}

function trafficOf(
  before: PlannedPair,
  after: PlannedPair,
  { name, spec, isUnweighed = false }: NamedProfile,
  demands: readonly Demand[],
): PlannedTraffic {
  const audiences = new Audiences([before.world, after.world]);
  const old = decideLoad(before, demands, audiences);
  const now = decideLoad(after, demands, audiences);
  const [was, is] = [placeLoads(before.model, before, old), placeLoads(after.model, after, now)];
  const known = new Map(was.places.map((place) => [place.target, place]));
  const gone = was.places.filter(({ target }) => !is.places.some((each) => each.target === target));
  const loads = [...is.places, ...gone.map((place) => ({ ...place, load: 0, error: 0 }))];
  const isOver = (load: number, capacity: number | undefined): boolean =>
    capacity !== undefined && load > capacity;
  return {
    profile: name,
    unit: spec.unit,
    total: is.total,
    withheld: { before: was.withheld, after: is.withheld },
    loads: loads.map(({ target, load, error, capacity: declared }) => {
      const capacity = isUnweighed ? undefined : declared;
      const earlier = known.get(target);
      const couldCarry = isUnweighed ? undefined : earlier?.capacity;
      return {
        target,
        before: earlier?.load ?? 0,
        after: load,
        error,
        ...(capacity === undefined ? {} : { capacity }),
        isOver: isOver(load, capacity),
        wasOver: isOver(earlier?.load ?? 0, couldCarry),
      };
    }),
    flows: flowsOf(before, after, demands, audiences),
    course: loadCourse(before, after, demands, spec.resolvers ?? usualResolvers, audiences),
    undecided: now.flatMap(({ label, reason }) =>
      reason === undefined ? [] : [{ demand: label, reason }],
    ),
  };
}

/** Who goes from where to where: each client is asked before and after, with one draw. */
function flowsOf(
  before: ServedPair,
  after: ServedPair,
  demands: readonly Demand[],
  audiences: Audiences,
): Flow[] {
  const flows = new Map<string, Flow>();
  const sides = [before, after].map((pair) => ({ pair, selector: new Selector(pair.world) }));
  for (const { name, from, rate } of demands) {
    const audience = audiences.of(from);
    const [was = [], is = []] = sides.map(({ pair, selector }) => {
      const targets = Array.from({ length: DECISIONS }, () => "nowhere");
      const found = boundName(pair.world, name, audience.family);
      if (typeof found === "string") return targets;
      decideEach(selector, pair.slots, found, audience, DECISIONS, (outcome, index) => {
        if (outcome === Outcome.alias)
          targets[index] = `name/${pair.world.policies.nameAtByte(selector.aliasOffset)}`;
        else if (outcome === Outcome.endpoints) {
          // Of several, one that is the same on both sides where the answer is.
          const at = index % selector.chosenCount;
          targets[index] = leafPlace(pair.world, selector.chosen[at] ?? 0);
        }
      });
      return targets;
    });
    for (let index = 0; index < DECISIONS; index++) {
      const [source = "", target = ""] = [was[index], is[index]];
      const key = `${source} ${target}`;
      const load = (flows.get(key)?.load ?? 0) + rate / DECISIONS;
      flows.set(key, { from: source, to: target, load });
    }
  }
  return [...flows.values()]
    .filter(({ load }) => load > MAP_LISTED_MIN)
    .toSorted((a, b) => b.load - a.load);
}
