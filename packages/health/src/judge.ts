// SPDX-License-Identifier: Apache-2.0

// The judge: one verdict out of what several vantages say. Pure, so every control replica and every isolated edge comes to the
// same verdict from the same reports. A report that is too old, or that has no opinion, does not count at all; too few that
// count, or a tie, leave the verdict as it was.

import { opposite } from "./verdict.ts";
import type { Verdict } from "./check.ts";

/** What one vantage says of one endpoint. */
export interface VantageReport {
  readonly vantage: string;
  /** Opinion before inversion. */
  readonly verdict: Verdict;
  readonly reason: string;
  /** When it was said, on the clock that `judge` is given. */
  readonly atMs: number;
}

/** How reports are counted. */
export interface JudgeRule {
  /** Older reports do not count. */
  readonly freshForMs: number;
  /** Below this many fresh reports the verdict is held, ≥ 1. */
  readonly minVantages: number;
  /** `majority`: more than half; a number: healthy when more than that percentage is (Route 53: 18). */
  readonly quorum: "majority" | number;
  /** Applied after counting. */
  readonly inverted: boolean;
}

/** What came out, and by whose word. */
export interface Judgement {
  readonly verdict: Verdict;
  readonly held: boolean;
  readonly reason: string;
  readonly healthyCount: number;
  readonly freshCount: number;
  /** Vantages that said what the verdict says. */
  readonly vantages: readonly string[];
}

/** The verdict of `reports` at `nowMs`; `previous` is kept where they do not suffice. */
export function judge(
  rule: JudgeRule,
  previous: Verdict,
  reports: readonly VantageReport[],
  nowMs: number,
): Judgement {
  const fresh = reports.filter(
    (report) => report.verdict !== "unknown" && nowMs - report.atMs <= rule.freshForMs,
  );
  const healthyCount = fresh.filter((report) => report.verdict === "healthy").length;
  const counts = { healthyCount, freshCount: fresh.length };
  const opinion = countedOpinion(rule, healthyCount, fresh.length);
  if (fresh.length < rule.minVantages) {
    const reason = `${fresh.length} fresh vantages, wanted ${rule.minVantages}`;
    return { ...counts, verdict: previous, held: true, reason, vantages: [] };
  }
  if (opinion === undefined) {
    const reason = `${healthyCount} of ${fresh.length} vantages healthy, no majority`;
    return { ...counts, verdict: previous, held: true, reason, vantages: [] };
  }
  const witnesses = fresh.filter((report) => report.verdict === opinion);
  return {
    ...counts,
    verdict: rule.inverted ? opposite(opinion) : opinion,
    held: false,
    reason: witnesses[0]?.reason ?? `${healthyCount} of ${fresh.length} vantages healthy`,
    vantages: witnesses.map((report) => report.vantage),
  };
}

/** What so many of the fresh reports come to; undefined where the verdict is held. */
export function countedOpinion(
  { minVantages, quorum }: Pick<JudgeRule, "minVantages" | "quorum">,
  healthyCount: number,
  freshCount: number,
): "healthy" | "unhealthy" | undefined {
  if (freshCount < minVantages) return undefined;
  if (quorum !== "majority")
    return healthyCount * 100 > quorum * freshCount ? "healthy" : "unhealthy";
  if (healthyCount * 2 === freshCount) return undefined;
  return healthyCount * 2 > freshCount ? "healthy" : "unhealthy";
}
