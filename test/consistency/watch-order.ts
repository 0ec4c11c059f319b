// SPDX-License-Identifier: Apache-2.0

// What a watch is told: every change set after the revision where it began, in order, none left out or doubled, and each as it was written. One pass:
// revisions grow by one, and the values at a revision are those of the write that was acknowledged, or seen, with it.

import type { Change, History, Value, Values, Verdict } from "./operation.ts";
import { processesOf, timelinesOf, violationOf } from "./session-history.ts";

export function checkWatchOrder(history: History): Verdict {
  const timelines = timelinesOf(history);
  let checked = 0;
  for (const operations of processesOf(history)) {
    let before: Change | undefined;
    for (const operation of operations) {
      if (operation.kind !== "change") continue;
      checked++;
      const expected = (before?.revision ?? operation.from) + 1;
      const told = before === undefined ? [operation] : [before, operation];
      if (operation.revision > expected)
        return violationOf(`A watch left out revision ${expected}`, told);
      if (operation.revision < expected)
        return violationOf(`A watch repeats revision ${operation.revision}`, told);
      const write = timelines.get(operation.cell)?.writeAt(operation.revision);
      if (write !== undefined && !isSame(write.values, operation.values))
        return violationOf("A watch tells another change set than was written", [write, operation]);
      before = operation;
    }
  }
  return { kind: "ok", checked };
}

function isSame(a: Values, b: Values): boolean {
  const sorted = (values: Values): string =>
    JSON.stringify(
      values.toSorted(([one], [other]) => (one < other ? -1 : 1)) satisfies (readonly [
        string,
        Value,
      ])[],
    );
  return sorted(a) === sorted(b);
}
