// SPDX-License-Identifier: Apache-2.0

// What demand is weighed against capacity: what is declared, else what was measured, as far as endpoints say what that is of their capacity.

import type { EndpointState } from "@meridian/health";
import type { TrafficProfileSpec } from "@meridian/model";
import { Admin, Verdict, adminOf } from "@meridian/snapshot";
import { capacityRules } from "../capacity-rules.ts";
import type { DocumentSet } from "../documents/document-set.ts";
import type { Embedded } from "../embedded.ts";
import type { ServedModel } from "../served-model.ts";
import { profilesOf, type ShiftedTraffic } from "./capacity-check.ts";
import { decideLoad, demandsOf, type ServedPair } from "./decided-load.ts";
import type { MeasuredProfile } from "./measured-demand.ts";

type CapacityModel = Pick<ServedModel, "pools" | "policies">;

/** Most endpoints that are asked what they carry: with more the scale is no truer. */
const ASKED_MAX = 10_000;

/** Part of `VerdictThread`. */
interface LoadStates {
  states(keys: readonly string[]): Promise<readonly LoadState[]>;
}

type LoadState = Pick<EndpointState, "key" | "load" | "loadAgeMs">;

/** What `reportedLoads` knows of an endpoint that it asks for. */
interface Asked {
  readonly endpoint: number;
  readonly capacity: number;
  readonly staleAfterMs: number;
}

type Weighed = Pick<Embedded, "model" | "world" | "overlay" | "traffic"> & {
  readonly verdicts: LoadStates;
};

/** Demand as it was measured, and whether it is in the unit of capacities. */
export interface ScaledProfile extends MeasuredProfile {
  readonly isWeighed: boolean;
}

/** Of each window: half a second of deciding is not done again for the same. */
const scales = new WeakMap<TrafficProfileSpec, number>();

/** What a shift is weighed by: the declared profiles, else what was measured where that can be weighed; undefined for nothing. */
export async function weighedProfiles(
  embedded: Weighed,
  documents: DocumentSet,
  nowMs: number,
): Promise<Pick<ShiftedTraffic, "profiles" | "measured"> | undefined> {
  const profiles = profilesOf(documents);
  if (profiles.length > 0) return { profiles };
  const found = await measuredProfile(embedded, nowMs);
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
  readonly verdicts: LoadStates;
}

/** Demand as it was measured: in the unit of capacities where endpoints say how much of theirs it takes. */
export async function measuredProfile(
  { model, world, overlay, traffic, verdicts }: MeasuredPlace,
  nowMs: number,
): Promise<ScaledProfile | undefined> {
  if (model === undefined || world === undefined) return undefined;
  const measured = traffic.demand.profile(world, nowMs);
  if (measured === undefined) return undefined;
  const pair = { world, slots: overlay.moment().slots.slice() };
  const scale =
    scales.get(measured.spec) ??
    capacityScale(pair, measured.spec, await reportedLoads(model, pair, verdicts));
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
  pair: ServedPair,
  spec: TrafficProfileSpec,
  carriedBy: ReadonlyMap<number, number>,
): number | undefined {
  if (carriedBy.size === 0) return undefined;
  let [carried, asked] = [0, 0];
  for (const load of carriedBy.values()) carried += load;
  for (const { rate, endpoints } of decideLoad(pair, demandsOf(spec)))
    for (const [endpoint, share] of endpoints) if (carriedBy.has(endpoint)) asked += rate * share;
  return carried > 0 && asked > 0 ? carried / asked : undefined;
}

/**
 * What endpoints carry by what they say of their load, in the unit of their capacity. One that is out or not healthy is left out: it carries what
 * it was sent before, or nothing.
 */
export async function reportedLoads(
  model: CapacityModel,
  { world, slots }: ServedPair,
  verdicts: LoadStates,
): Promise<Map<number, number>> {
  const rules = capacityRules(model);
  const asked = new Map<string, Asked>();
  for (let endpoint = 0; rules.size > 0 && endpoint < world.pools.endpointCount; endpoint++) {
    const slot = slots[endpoint] ?? 0;
    if (adminOf(slot) !== Admin.active || (slot & 3) !== Verdict.healthy) continue;
    const name = world.endpointName(endpoint);
    const rule = rules.get(name);
    if (rule === undefined) continue;
    const [, namespace = "", pool = "", member = ""] = name.split("/");
    const capacity = model.pools.get(`${namespace}/${pool}`)?.members.get(member)?.spec.capacity;
    if (capacity === undefined) continue;
    asked.set(name, { endpoint, capacity, staleAfterMs: rule.staleAfterMs });
    if (asked.size >= ASKED_MAX) break;
  }
  const loads = new Map<number, number>();
  if (asked.size === 0) return loads;
  for (const { key, load, loadAgeMs = 0 } of await verdicts.states([...asked.keys()])) {
    const found = asked.get(key);
    if (found === undefined || load === undefined || loadAgeMs >= found.staleAfterMs) continue;
    loads.set(found.endpoint, load * found.capacity);
  }
  return loads;
}
