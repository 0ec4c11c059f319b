// SPDX-License-Identifier: Apache-2.0

// Monotonic reads (Terry and others, 1994): a process never sees a state older than one that it has seen. Each read is placed at the first position of
// the timeline where all it saw stands, but not before the position of the process's read before. To place early is best: it leaves the most
// positions to the reads that follow. So a read without a position has none in any placing.

import type { History, Read, Verdict } from "./operation.ts";
import { conflictIn, processesOf, timelinesOf, violationOf } from "./session-history.ts";

interface Placed {
  readonly read: Read;
  readonly position: number;
}

export function checkMonotonicReads(history: History): Verdict {
  const timelines = timelinesOf(history);
  const conflict = conflictIn(timelines);
  if (conflict !== undefined) return conflict;
  let checked = 0;
  for (const operations of processesOf(history)) {
    /** By cell: the read that made the position as late as it is. */
    const latest = new Map<string, Placed>();
    for (const operation of operations) {
      if (operation.kind !== "read") continue;
      checked++;
      const timeline = timelines.get(operation.cell)!;
      const before = latest.get(operation.cell);
      const position = timeline.firstPosition(operation.values, before?.position ?? 0);
      if (position === undefined)
        return violationOf(
          before === undefined
            ? "A read saw what never stood there"
            : "A process reads an older state than before",
          before === undefined ? [operation] : [before.read, operation],
        );
      if (before === undefined || position > before.position)
        latest.set(operation.cell, { read: operation, position });
    }
  }
  return { kind: "ok", checked };
}
