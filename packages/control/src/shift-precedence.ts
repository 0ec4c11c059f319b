// SPDX-License-Identifier: Apache-2.0

// Which of several shifts of one target decides: what a person says stands above what an automatism says, that above an experiment, and that
// above a drill (AWS Application Recovery Controller: manual shift, autoshift, experiment, practice run).

import { outranks, type ShiftPrecedence } from "@meridian/model";
import { isAnnouncedAt, percentAt } from "./shift-course.ts";
import type { Shift, ShiftEffect } from "./shift-effects.ts";

/** A shift and, where another one of its target decides at that moment, that one's id. */
export interface RankedShift {
  readonly shift: Shift;
  /** Share that it moves away by itself, 0..100. */
  readonly percent: number;
  readonly overruledBy?: string;
}

export function precedenceOf({
  precedence = "manual",
}: Pick<Shift, "precedence">): ShiftPrecedence {
  return precedence;
}

/** Each shift with what it moves at `nowMs`, and whether another one decides. One that moves nothing yet decides nothing. */
export function rankedShifts(shifts: readonly Shift[], nowMs: number): RankedShift[] {
  const moved = shifts.map((shift) => ({ shift, percent: percentAt(shift, nowMs) }));
  return moved.map(({ shift, percent }) => {
    const above = moved
      .filter((other) => other.percent > 0 && other.shift.target === shift.target)
      .find((other) => outranks(precedenceOf(other.shift), precedenceOf(shift)));
    return { shift, percent, ...(above === undefined ? {} : { overruledBy: above.shift.id }) };
  });
}

/** How long before its start a shift of a target lowers the TTL of what it reaches. */
export type LeadOf = (target: string) => number;

/**
 * What the shifts do together at `nowMs`: of one target those of the highest precedence, of several targets all; and those that are about to
 * begin, where `leadMsOf` says how long that is.
 */
export function shiftEffects(
  shifts: readonly Shift[],
  nowMs: number,
  leadMsOf: LeadOf = () => 0,
): ShiftEffect[] {
  const moving = rankedShifts(shifts, nowMs)
    .filter(({ percent, overruledBy }) => percent > 0 && overruledBy === undefined)
    .map(({ shift: { target }, percent }) => ({ target, percent }));
  const announced = shifts
    .filter((shift) => isAnnouncedAt(shift, nowMs, leadMsOf(shift.target)))
    .map(({ target }) => ({ target, percent: 0, isAnnounced: true }));
  return [...moving, ...announced];
}
