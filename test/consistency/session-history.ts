// SPDX-License-Identifier: Apache-2.0

// What the checkers of session guarantees have in common: the timeline of each cell, and the operations of each process in their order.

import { byInvocation, describe, type History, type Operation, type Verdict } from "./operation.ts";
import { Timeline } from "./timeline.ts";

export function timelinesOf(history: History): ReadonlyMap<string, Timeline> {
  const cells = Map.groupBy(history, ({ cell }) => cell);
  return new Map([...cells].map(([cell, operations]) => [cell, new Timeline(operations)]));
}

export function processesOf(history: History): readonly (readonly Operation[])[] {
  return [...Map.groupBy(history, ({ process }) => process).values()].map((operations) =>
    operations.toSorted(byInvocation),
  );
}

/** The violation that two change sets got the same revision; undefined where none did. */
export function conflictIn(timelines: ReadonlyMap<string, Timeline>): Verdict | undefined {
  for (const { conflict } of timelines.values())
    if (conflict !== undefined)
      return violationOf("Two change sets have the same revision", conflict);
  return undefined;
}

/** `about`: what is wrong, then the operations that show it. */
export function violationOf(about: string, operations: History): Verdict {
  const shown = [...new Set(operations)];
  const text = [`${about}:`, ...shown.map((operation) => `  ${describe(operation)}`)].join("\n");
  return { kind: "violation", operations: shown, text };
}
