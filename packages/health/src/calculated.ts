// SPDX-License-Identifier: Apache-2.0

import type { Verdict } from "./check.ts";

/** What a calculated check says, and why. */
export interface Calculation {
  readonly verdict: Verdict;
  readonly reason: string;
}

/**
 * Healthy when at least `threshold` of `children` are (Route 53: 0 is always healthy, more than there are is never). Unknown
 * children leave the result unknown where they could still decide it.
 */
export function calculate(threshold: number, children: readonly Verdict[]): Calculation {
  const healthyCount = children.filter((verdict) => verdict === "healthy").length;
  const unknownCount = children.filter((verdict) => verdict === "unknown").length;
  const reason = `${healthyCount} of ${children.length} children healthy, wanted ${threshold}`;
  if (healthyCount >= threshold) return { verdict: "healthy", reason };
  if (healthyCount + unknownCount < threshold) return { verdict: "unhealthy", reason };
  return { verdict: "unknown", reason };
}
