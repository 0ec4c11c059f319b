// SPDX-License-Identifier: Apache-2.0

// Monotonic writes (Terry and others, 1994): the writes of a process take effect in the order in which it made them, so in a cell their revisions grow.
// A write without an answer is the last of its process (operation.ts); where somebody saw it, its revision is known and has to be later, too. That two
// writes have one revision is a violation at once.

import type { History, Verdict, Write } from "./operation.ts";
import { conflictIn, processesOf, timelinesOf, violationOf } from "./session-history.ts";

export function checkMonotonicWrites(history: History): Verdict {
  const timelines = timelinesOf(history);
  const conflict = conflictIn(timelines);
  if (conflict !== undefined) return conflict;
  let checked = 0;
  for (const operations of processesOf(history)) {
    const last = new Map<string, Write>();
    for (const operation of operations) {
      if (operation.kind !== "write") continue;
      const timeline = timelines.get(operation.cell)!;
      const revision = timeline.revisionOf(operation);
      if (revision === undefined) continue;
      checked++;
      const before = last.get(operation.cell);
      if (before !== undefined && (timeline.revisionOf(before) ?? 0) >= revision)
        return violationOf("A process's writes took effect in another order", [before, operation]);
      last.set(operation.cell, operation);
    }
  }
  return { kind: "ok", checked };
}
