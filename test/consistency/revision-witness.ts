// SPDX-License-Identifier: Apache-2.0

// The fast way to show that a history is linearizable: the store itself names an order, by its revisions, and that order is checked. As "Testing shared
// memories" (Gibbons and Korach, 1997) has it, to check an order is easy where to find one is not: one pass over a million operations.
//
// Writes stand at their revisions. Each read, and each refusal, is placed between them as early as it can be: at the first revision where what it saw
// stands, not before anything that was answered before it was called. As every constraint is a lower bound handed on to later operations, to place each
// as early as possible leaves most room to those: where this fails, nothing that keeps the order of the revisions succeeds. And where it succeeds the
// order is a linearization, whatever the store meant by the numbers: nothing is believed that is not checked here. A failure proves nothing yet;
// linearization-search.ts decides then.

import type { Step } from "./linearization-search.ts";
import { Timeline } from "./timeline.ts";

/** The first operation that the order of revisions does not explain, and when that shows; undefined where it explains all. */
export interface Contradiction {
  readonly step: Step;
  readonly atTime: number;
}

export function contradictionOf(steps: readonly Step[]): Contradiction | undefined {
  const timeline = new Timeline(steps);
  if (timeline.conflict !== undefined) {
    const [a, b] = timeline.conflict;
    const step = b.completed === Infinity ? a : b;
    return { step, atTime: step.completed };
  }
  const calls = steps.toSorted((a, b) => a.invoked - b.invoked);
  const answers = steps
    .filter(({ completed }) => completed !== Infinity)
    .toSorted((a, b) => a.completed - b.completed);
  const floors = new Map<Step, number>();
  let floor = 0;
  let answered = 0;
  const answerUntil = (time: number): Contradiction | undefined => {
    for (; answered < answers.length && answers[answered]!.completed < time; answered++) {
      const step = answers[answered]!;
      const position = positionOf(timeline, step, floors.get(step) ?? 0);
      if (position === undefined) return { step, atTime: step.completed };
      floors.delete(step);
      floor = Math.max(floor, position);
    }
    return undefined;
  };
  for (const step of calls) {
    const found = answerUntil(step.invoked);
    if (found !== undefined) return found;
    floors.set(step, floor);
    // Also of a write without an answer: once it was seen, it took effect after its call.
    if (
      step.kind === "write" &&
      step.outcome === "unknown" &&
      timeline.revisionOf(step) !== undefined
    )
      if (positionOf(timeline, step, floor) === undefined) return { step, atTime: Infinity };
  }
  return answerUntil(Infinity);
}

function positionOf(timeline: Timeline, step: Step, floor: number): number | undefined {
  if (step.kind === "read") return timeline.firstPosition(step.values, floor);
  if (step.outcome === "refused") return timeline.firstMismatch(step.expected, floor);
  const revision = timeline.revisionOf(step);
  if (revision === undefined || revision <= floor) return undefined;
  const isMet = step.expected.every(
    ([key, value]) => timeline.valueAt(key, revision - 1) === value,
  );
  return isMet ? revision : undefined;
}
