// SPDX-License-Identifier: Apache-2.0

// Whether what remains can carry the load when traffic is moved: the demand of every TrafficProfile is decided anew, with the slots as they
// would be.

import {
  parseStoreDocument,
  type Model,
  type TrafficProfileDocument,
  type TrafficProfileSpec,
} from "@meridian/model";
import type { DocumentSet } from "../documents/document-set.ts";
import { plainDocument } from "../documents/document-text.ts";
import type { World } from "@meridian/snapshot";
import { shiftChanges, type Shift, type SwitchedOff } from "../shift-effects.ts";
import { shiftEffects } from "../shift-precedence.ts";
import { weightChanges } from "../weights/overridden-weights.ts";
import type { WeightOverride } from "../weights/weight-overrides.ts";
import { decideLoad, demandsOf, type ServedPair } from "./decided-load.ts";
import { placeLoads, type PlacesModel, type TrafficLoad } from "./place-loads.ts";

/** Demands of all profiles that one check decides, the largest first: some 10 ms each of the thread that answers the API. */
const DEMANDS_MAX = 32;
/** Less than this share of all demand is not worth an objection. */
const WITHHELD_MIN = 0.001;

/** What is served, and who keeps traffic from where. */
export interface ShiftedTraffic {
  readonly model: Pick<Model, "siteChain"> & PlacesModel;
  readonly world: World;
  readonly overlay: { moment(): { readonly slots: Uint32Array } };
  readonly off: readonly SwitchedOff[];
  readonly profiles: readonly TrafficProfileDocument[];
  /** Demand that nobody declared. */
  readonly measured?: WeighedProfile | undefined;
}

/** Demand, and what it is called in a sentence. */
export interface WeighedProfile {
  readonly name: string;
  readonly spec: TrafficProfileSpec;
}

export function profilesOf(documents: DocumentSet): TrafficProfileDocument[] {
  return [...documents.ofKind("TrafficProfile")].flatMap(({ text }) => {
    const parsed = parseStoreDocument("TrafficProfile", plainDocument(JSON.parse(text)));
    return "document" in parsed && parsed.document.kind === "TrafficProfile"
      ? [parsed.document]
      : [];
  });
}

/**
 * What `after` lacks that `before` does not, in sentences with numbers: places that would carry more than they can and more than now, and demand
 * that would get no endpoint. Both are shifts at a moment, Unix milliseconds.
 */
export function capacityLacks(
  served: ShiftedTraffic,
  before: { readonly shifts: readonly Shift[]; readonly atMs: number },
  after: { readonly shifts: readonly Shift[]; readonly atMs: number },
): string[] {
  const [pairBefore, pairAfter] = [pairAt(served, before), pairAt(served, after)];
  const profiles = [
    ...served.profiles.map(({ metadata: { namespace, name }, spec }): WeighedProfile => {
      return { name: `TrafficProfile ${namespace}/${name}`, spec };
    }),
    ...(served.measured === undefined ? [] : [served.measured]),
  ];
  return profiles.flatMap((profile) => {
    const demands = demandsOf(profile.spec)
      .toSorted((a, b) => b.rate - a.rate)
      .slice(0, Math.ceil(DEMANDS_MAX / profiles.length));
    const loads = (pair: ServedPair): TrafficLoad =>
      placeLoads(served.model, pair, decideLoad(pair, demands));
    return lacking(loads(pairBefore), loads(pairAfter), profile.spec.unit).map(
      (text) => `${text} (${profile.name})`,
    );
  });
}

/** What places lack after a move that they did not lack before, in sentences with numbers. */
export function lacking(before: TrafficLoad, after: TrafficLoad, unit: string): string[] {
  const then = new Map(before.places.map(({ target, load }) => [target, load]));
  const lacks = after.places.flatMap(({ target, load, capacity }) => {
    const now = then.get(target) ?? 0;
    if (capacity === undefined || load <= capacity || load <= now) return [];
    return `${target} would carry ${amountText(load)} of ${amountText(capacity)} ${unit}, now ${amountText(now)}`;
  });
  const more = after.withheld - before.withheld;
  return more > after.total * WITHHELD_MIN
    ? [...lacks, `${amountText(more)} ${unit} more would get no endpoint`]
    : lacks;
}

/** What people have moved, at a moment. */
export interface Moves {
  readonly shifts: readonly Shift[];
  /** Unix milliseconds. */
  readonly atMs: number;
  /** In the place of those that are Off now. */
  readonly off?: readonly SwitchedOff[];
  /** In the place of those that are given now. */
  readonly weights?: readonly WeightOverride[];
}

/** What is served, with the slots as they would be. */
export function pairAt(
  { model, world, overlay, off: offNow }: ShiftedTraffic,
  { shifts, atMs, off = offNow, weights }: Moves,
): ServedPair {
  const slots = overlay.moment().slots.slice();
  const read = (slot: number): number => slots[slot] ?? 0;
  const changes = [
    ...shiftChanges(model, world, { read }, shiftEffects(shifts, atMs), off),
    ...(weights === undefined ? [] : weightChanges(world, { read }, weights)),
  ];
  for (const { slot, mask, value } of changes)
    slots[slot] = ((slots[slot] ?? 0) & ~mask) | (value & mask);
  return { world, slots };
}

function amountText(value: number): string {
  return String(value >= 100 ? Math.round(value) : Math.round(value * 10) / 10);
}
