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
