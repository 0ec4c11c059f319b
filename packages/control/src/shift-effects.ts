// SPDX-License-Identifier: Apache-2.0
import {
  Admin,
  DIAL_SHIFT,
  FENCED_BIT,
  HASTENED,
  MOVE_MASK,
  PER_MILLE,
  type World,
} from "@meridian/snapshot";
import type { MaskedChange } from "@meridian/health";
import { shiftPrecedences, type Model, type ShiftPrecedence } from "@meridian/model";
import { member } from "./documents/document-key.ts";
import { reachedBy } from "./reached-endpoints.ts";
import type { ShiftCourse } from "./shift-course.ts";
import type { RankedShift } from "./shift-precedence.ts";

/** The bits of an endpoint's slot that shifts and switches say: what moves it, whether a shift is about to begin, and whether a fenced panel governs it. */
const SHIFT_MASK = (MOVE_MASK | HASTENED | FENCED_BIT) >>> 0;

/** A temporary move of traffic away from a target, as it is kept and shown. */
export interface Shift extends ShiftCourse {
  readonly id: string;
  /** `site/NAME`, `pool/NS/NAME` or `endpoint/NS/POOL/NAME`. */
  readonly target: string;
  readonly reason: string;
  readonly actor: string;
  /** Who moves it; `manual` where left out. */
  readonly precedence?: ShiftPrecedence | undefined;
}

/** What a shift does at a moment: the share moved away from a target, 0..100; 100 is a drain. */
export interface ShiftEffect extends Pick<Shift, "target" | "percent"> {
  /** It begins so soon that caches are to keep the answers of before for as short as they may. */
  readonly isAnnounced?: boolean;
}

/** A routing control that is Off. */
export interface SwitchedOff {
  /** `NAMESPACE/NAME`. */
  readonly control: string;
  /** As those of shifts. */
  readonly targets: readonly string[];
  /** It is to be On as soon as its hand-over is done. */
  readonly isPending?: boolean;
}

/** True where a shift of `target` reaches the endpoint: itself, its pool, its site or a site around that. */
export function shiftReaches(
  model: Pick<Model, "siteChain">,
  world: World,
  target: string,
  endpoint: number,
): boolean {
  const name = world.endpointName(endpoint);
  if (target === name) return true;
  const [kind = "", ...rest] = target.split("/");
  if (kind === "pool") return name.startsWith(`endpoint/${rest.join("/")}/`);
  if (kind !== "site") return false;
  return model
    .siteChain(world.pools.siteOf(endpoint))
    .some(({ metadata }) => metadata.name === rest.join("/"));
}

/**
 * Slot changes that bring every endpoint's admin state and dial to what routing controls and the running shifts say: a control that is Off
 * stands above any shift, and the strongest shift counts. `fenced` is what panels with fenced hand-over govern.
 */
export function shiftChanges(
  model: Pick<Model, "siteChain">,
  world: World,
  overlay: { read(slot: number): number },
  shifts: readonly ShiftEffect[],
  off: readonly SwitchedOff[] = [],
  fenced: readonly string[] = [],
): MaskedChange[] {
  const changes: MaskedChange[] = [];
  const { endpointCount } = world.pools;
  const percents = new Float64Array(endpointCount);
  for (const { target, percent } of shifts)
    for (const endpoint of reachedBy(model, world, target))
      percents[endpoint] = Math.max(percents[endpoint] ?? 0, percent);
  const marked = (targets: readonly string[]): Uint8Array => {
    const marks = new Uint8Array(endpointCount);
    for (const target of targets)
      for (const endpoint of reachedBy(model, world, target)) marks[endpoint] = 1;
    return marks;
  };
  const switchedOff = marked(off.flatMap(({ targets }) => targets));
  const announced = marked(
    shifts.filter((each) => each.isAnnounced === true).map(({ target }) => target),
  );
  const governed = marked(fenced);
  for (let endpoint = 0; endpoint < endpointCount; endpoint++) {
    const percent = percents[endpoint] ?? 0;
    const isOff = switchedOff[endpoint] === 1;
    const admin = isOff ? Admin.disabled : percent >= 100 ? Admin.drained : Admin.active;
    const isWhole = isOff || percent >= 100;
    const dial = isWhole ? PER_MILLE : Math.round(((100 - percent) * PER_MILLE) / 100);
    const was = overlay.read(endpoint);
    const marks =
      (announced[endpoint] === 1 ? HASTENED : 0) | (governed[endpoint] === 1 ? FENCED_BIT : 0);
    const value = ((admin << 2) | (dial << DIAL_SHIFT) | marks) >>> 0;
    if ((was & SHIFT_MASK) >>> 0 !== value)
      changes.push({ slot: endpoint, mask: SHIFT_MASK, value });
  }
  return changes;
}

/** The shift that does most to an endpoint at a moment, of those that decide. */
export function shiftOf(
  model: Pick<Model, "siteChain">,
  world: World,
  shifts: readonly RankedShift[],
  endpoint: number,
): Shift | undefined {
  return shifts
    .filter(({ percent, overruledBy }) => percent > 0 && overruledBy === undefined)
    .filter(({ shift }) => shiftReaches(model, world, shift.target, endpoint))
    .toSorted((a, b) => b.percent - a.percent)[0]?.shift;
}

/** The first control, of those that are Off, that keeps traffic from an endpoint. */
export function switchedOffBy(
  model: Pick<Model, "siteChain">,
  world: World,
  off: readonly SwitchedOff[],
  endpoint: number,
): string | undefined {
  const found = off.find(({ targets }) =>
    targets.some((target) => shiftReaches(model, world, target, endpoint)),
  );
  if (found === undefined) return undefined;
  return found.isPending === true ? `${found.control}, until its hand-over is done` : found.control;
}

/** Whether something read from disk or from a store is a shift. */
export function isShift(raw: unknown): raw is Shift {
  if (typeof raw !== "object" || raw === null) return false;
  const field = (name: string): unknown => Reflect.get(raw, name);
  const back = field("return");
  return (
    ["id", "target", "reason", "actor"].every((name) => typeof field(name) === "string") &&
    ["percent", "createdAtMs", "expiresAtMs"].every((name) => Number.isFinite(field(name))) &&
    (field("startsAtMs") === undefined || Number.isFinite(field("startsAtMs"))) &&
    (field("precedence") === undefined ||
      shiftPrecedences.some((each) => each === field("precedence"))) &&
    (back === undefined ||
      [member(back, "percent"), member(back, "everyMs")].every((value) => Number(value) > 0))
  );
}
