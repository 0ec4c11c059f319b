// SPDX-License-Identifier: Apache-2.0
import type { Embedded } from "./embedded.ts";
import { loweredAtMs } from "./shift-course.ts";
import type { Shift } from "./shift-effects.ts";
import { precedenceOf, rankedShifts } from "./shift-precedence.ts";

/** A shift as it is shown. */
export interface ShiftView extends Shift {
  /** Share that it moves away now. */
  readonly moves: number;
  /** The shift of the same target that decides instead. */
  readonly overruledBy?: string;
  /** From when on TTLs are the least, before one that is still to start. */
  readonly ttlLoweredAtMs?: number;
}

/** Shifts as they are shown: with who decides where several name one target. */
export function shiftViews(embedded: Embedded): ShiftView[] {
  return rankedShifts(embedded.shifts(), Date.now()).map(({ shift, percent, overruledBy }) => ({
    ...shift,
    precedence: precedenceOf(shift),
    moves: overruledBy === undefined ? percent : 0,
    ...(overruledBy === undefined ? {} : { overruledBy }),
    ...loweringOf(embedded, shift),
  }));
}

/** When TTLs are lowered before a shift starts; nothing for one that has started. */
export function loweringOf(
  embedded: Pick<Embedded, "shiftLeadMs">,
  shift: Pick<Shift, "target" | "createdAtMs" | "startsAtMs" | "expiresAtMs" | "percent">,
): { readonly ttlLoweredAtMs?: number } {
  if ((shift.startsAtMs ?? 0) <= Date.now()) return {};
  const leadMs = embedded.shiftLeadMs(shift.target);
  const sinceMs = leadMs === 0 ? undefined : loweredAtMs(shift, leadMs);
  return sinceMs === undefined ? {} : { ttlLoweredAtMs: sinceMs };
}
