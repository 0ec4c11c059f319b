// SPDX-License-Identifier: Apache-2.0

// Read your writes (Terry, Demers, Petersen, Spreitzer, Theimer and Welch, "Session guarantees for weakly consistent replicated data", 1994): what a
// process reads includes its own writes before. As a cell's replicas all follow one order of revisions, "includes" means: the read shows a state
// at the revision of the process's last acknowledged write in that cell, or later. One pass for each process; a read is right iff there is such a
// position in the timeline where everything it saw stands.

import type { History, Verdict, Write } from "./operation.ts";
import { conflictIn, processesOf, timelinesOf, violationOf } from "./session-history.ts";

export function checkReadYourWrites(history: History): Verdict {
  const timelines = timelinesOf(history);
  const conflict = conflictIn(timelines);
  if (conflict !== undefined) return conflict;
  let checked = 0;
  for (const operations of processesOf(history)) {
    const own = new Map<string, Write>();
    for (const operation of operations) {
      const timeline = timelines.get(operation.cell)!;
      const last = own.get(operation.cell);
      if (operation.kind === "write" && operation.outcome === "ok") {
        const isLater = (operation.revision ?? 0) > (last?.revision ?? 0);
        if (isLater) own.set(operation.cell, operation);
      }
      if (operation.kind !== "read") continue;
      checked++;
      const floor = last?.revision ?? 0;
      if (timeline.firstPosition(operation.values, floor) === undefined)
        return violationOf(
          last === undefined
            ? "A read saw what never stood there"
            : "A process reads what does not include its own write",
          last === undefined ? [operation] : [last, operation],
        );
    }
  }
  return { kind: "ok", checked };
}
