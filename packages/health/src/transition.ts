// SPDX-License-Identifier: Apache-2.0

import type { Verdict } from "./check.ts";

/** A changed verdict. */
export interface Transition {
  readonly key: string;
  readonly verdict: Verdict;
  readonly previous: Verdict;
  readonly reason: string;
  readonly vantage: string;
  /** Wall time. */
  readonly atMs: number;
  /** Time until the verdict could change again at the earliest, for the TTL of answers. */
  readonly earliestChangeMs: number;
  /** Counts the transitions of this runner, from 1. */
  readonly sequence: number;
}

/** A transition as its runner tells it. */
export interface NumberedTransition extends Transition {
  /** Number of the endpoint, a small one, which another endpoint may have once this one is gone. */
  readonly endpoint: number;
}
