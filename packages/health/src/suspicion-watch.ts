// SPDX-License-Identifier: Apache-2.0

import type { Entry } from "./entry.ts";
import type { ProbeOutcome } from "./probe.ts";
import { suspect, type SuspicionPolicy, type SuspicionState } from "./suspicion.ts";

/** Keeps the counts that `suspect` looks at; the targets are walked only when the last one that answered has stopped. */
export class SuspicionWatch {
  state: SuspicionState = { kind: "trusting" };
  isolated = false;
  readonly #policy: SuspicionPolicy;
  #probedCount = 0;
  #failingCount = 0;

  constructor(policy: SuspicionPolicy) {
    this.#policy = policy;
  }

  /** Takes in one result of a direct probe; `entries` are all targets. */
  result(entry: Entry, outcome: ProbeOutcome, entries: Iterable<Entry>, nowMs: number): void {
    if (outcome === "hold" || !entry.isDirect) return;
    const before = entry.direct;
    const after = outcome === "pass" ? "passing" : "failing";
    entry.direct = after;
    if (before === "unseen") this.#probedCount++;
    if (before === "failing") this.#failingCount--;
    if (after === "failing") this.#failingCount++;
    if (after === "failing" && before !== "failing") entry.failingSinceMs = nowMs;
    const allFail = this.#failingCount === this.#probedCount;
    const justTurned = allFail && before !== after;
    if (!justTurned && this.state.kind === "trusting") return;
    const sudden = justTurned ? suddenFailures(entries, nowMs) : noFailures;
    const counts = { probedCount: this.#probedCount, failingCount: this.#failingCount };
    const view = { ...counts, ...sudden, isolated: this.isolated };
    this.state = suspect(this.#policy, this.state, view, nowMs);
  }

  /** A target is gone. */
  forget(entry: Entry): void {
    if (entry.direct !== "unseen") this.#probedCount--;
    if (entry.direct === "failing") this.#failingCount--;
    entry.direct = "unseen";
  }
}

interface SuddenFailures {
  readonly suddenCount: number;
  readonly suddenSiteCount: number;
  readonly intervalMs: number;
}

const noFailures: SuddenFailures = { suddenCount: 0, suddenSiteCount: 0, intervalMs: 0 };

/** Endpoints that are healthy by verdict and began to fail within one round of the slowest check. */
function suddenFailures(entries: Iterable<Entry>, nowMs: number): SuddenFailures {
  const candidates: Entry[] = [];
  let intervalMs = 0;
  let roundMs = 0;
  for (const entry of entries) {
    if (entry.direct !== "failing") continue;
    const { check } = entry.target;
    intervalMs = Math.max(intervalMs, check.intervalMs);
    roundMs = Math.max(roundMs, check.intervalMs * (1 + check.jitter) + check.timeoutMs);
    if (entry.state.verdict === "healthy") candidates.push(entry);
  }
  const sudden = candidates.filter((entry) => nowMs - entry.failingSinceMs <= roundMs);
  const sites = new Set(sudden.map((entry) => entry.target.site ?? ""));
  return { suddenCount: sudden.length, suddenSiteCount: sites.size, intervalMs };
}
