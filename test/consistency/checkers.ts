// SPDX-License-Identifier: Apache-2.0

// Every checker by its name.

import { checkCausal } from "./causal.ts";
import { checkFencing } from "./fencing.ts";
import { checkLinearizableMap } from "./linearizable.ts";
import { checkMonotonicReads } from "./monotonic-reads.ts";
import { checkMonotonicWrites } from "./monotonic-writes.ts";
import type { History, Verdict } from "./operation.ts";
import { checkReadYourWrites } from "./read-your-writes.ts";
import { withToldRevisions } from "./timeline.ts";
import { checkWatchOrder } from "./watch-order.ts";

type Checker = (history: History) => Verdict;

export const checkers: Readonly<Record<string, Checker>> = {
  linearizable: checkLinearizableMap,
  "read your writes": checkReadYourWrites,
  "monotonic reads": checkMonotonicReads,
  "monotonic writes": checkMonotonicWrites,
  causal: checkCausal,
  "watch order": checkWatchOrder,
  fencing: checkFencing,
};

export interface Finding {
  readonly model: string;
  readonly text: string;
}

/** What the models say against a history; empty where all is well. */
export function findingsOf(recorded: History): readonly Finding[] {
  const history = withToldRevisions(recorded);
  return Object.entries(checkers).flatMap(([model, check]) => {
    const verdict = check(history);
    return verdict.kind === "ok" ? [] : [{ model, text: verdict.text }];
  });
}
