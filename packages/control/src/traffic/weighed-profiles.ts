// SPDX-License-Identifier: Apache-2.0

// What demand is weighed against capacity: what is declared, else what was measured, as far as endpoints say what that is of their capacity.

import type { CapacityRule } from "@meridian/health";
import type { TrafficProfileSpec } from "@meridian/model";
import { CAPACITY_SHIFT, PER_MILLE } from "@meridian/snapshot";
import { capacityRules } from "../capacity-rules.ts";
import type { DocumentSet } from "../documents/document-set.ts";
import type { Embedded } from "../embedded.ts";
import type { ServedModel } from "../served-model.ts";
import { profilesOf, type ShiftedTraffic } from "./capacity-check.ts";
import { decideLoad, demandsOf, type ServedPair } from "./decided-load.ts";
import type { MeasuredProfile } from "./measured-demand.ts";

type CapacityModel = Pick<ServedModel, "pools" | "policies">;

/** Demand as it was measured, and whether it is in the unit of capacities. */
export interface ScaledProfile extends MeasuredProfile {
  readonly isWeighed: boolean;
}

/** Of each window: half a second of deciding is not done again for the same. */
const scales = new WeakMap<TrafficProfileSpec, number>();

/** What a shift is weighed by: the declared profiles, else what was measured where that can be weighed; undefined for nothing. */
export function weighedProfiles(
  embedded: Pick<Embedded, "model" | "world" | "overlay" | "traffic">,
  documents: DocumentSet,
  nowMs: number,
): Pick<ShiftedTraffic, "profiles" | "measured"> | undefined {
  const profiles = profilesOf(documents);
  if (profiles.length > 0) return { profiles };
  const found = measuredProfile(embedded, nowMs);
  if (found?.isWeighed !== true) return undefined;
  return { profiles, measured: { name: measuredText(found), spec: found.spec } };
}

/** `demand measured over 60 s, 12 s old`. */
export function measuredText({ seconds, ageMs }: MeasuredProfile): string {
  return `demand measured over ${Math.round(seconds)} s, ${Math.round(ageMs / 1000)} s old`;
}

/** What is served, and what was counted of it. */
interface MeasuredPlace extends Pick<Embedded, "world" | "traffic"> {
  readonly model: CapacityModel | undefined;
  readonly overlay: { moment(): Pick<ServedPair, "slots"> };
}

/** Demand as it was measured: in the unit of capacities where endpoints say how much of theirs it takes. */
export function measuredProfile(
  { model, world, overlay, traffic }: MeasuredPlace,
  nowMs: number,
): ScaledProfile | undefined {
  if (model === undefined || world === undefined) return undefined;
  const measured = traffic.demand.profile(world, nowMs);
  if (measured === undefined) return undefined;
  const pair = { world, slots: overlay.moment().slots };
  const scale = scales.get(measured.spec) ?? capacityScale(model, pair, measured.spec);
  if (scale === undefined) return { ...measured, isWeighed: false };
  scales.set(measured.spec, scale);
  const demand = Object.fromEntries(
    Object.entries(measured.spec.demand).map(([label, row]) => [
      label,
      { ...row, rate: row.rate * scale },
    ]),
  );
  return { ...measured, spec: { unit: "of capacity", demand }, isWeighed: true };
}

/** How much of what capacities are in one look-up a second stands for; undefined where no endpoint says what it carries. */
export function capacityScale(
  model: CapacityModel,
  pair: ServedPair,
  spec: TrafficProfileSpec,
): number | undefined {
  const reported = reportedLoads(model, pair);
  if (reported.size === 0) return undefined;
  let [carried, asked] = [0, 0];
  for (const load of reported.values()) carried += load;
  for (const { rate, endpoints } of decideLoad(pair, demandsOf(spec)))
    for (const [endpoint, share] of endpoints) if (reported.has(endpoint)) asked += rate * share;
  return carried > 0 && asked > 0 ? carried / asked : undefined;
}

/** What endpoints carry by what they say of their load, in the unit of their capacity. */
function reportedLoads(model: CapacityModel, { world, slots }: ServedPair): Map<number, number> {
  const rules = capacityRules(model);
  const loads = new Map<number, number>();
  for (let endpoint = 0; rules.size > 0 && endpoint < world.pools.endpointCount; endpoint++) {
    const name = world.endpointName(endpoint);
    const rule = rules.get(name);
    if (rule === undefined) continue;
    const [, namespace = "", pool = "", member = ""] = name.split("/");
    const capacity = model.pools.get(`${namespace}/${pool}`)?.members.get(member)?.spec.capacity;
    const factor = ((slots[endpoint] ?? 0) >>> CAPACITY_SHIFT) & 0x3ff;
    // At both ends it is not known how far beyond it is, or whether anything was read.
    if (capacity === undefined || factor === 0 || factor === PER_MILLE) continue;
    loads.set(endpoint, loadOf(rule, factor) * capacity);
  }
  return loads;
}

function loadOf(rule: CapacityRule, factor: number): number {
  const { highWatermark, lowWatermark } = rule;
  return highWatermark - ((highWatermark - lowWatermark) * factor) / PER_MILLE;
}
