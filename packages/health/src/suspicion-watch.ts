// SPDX-License-Identifier: Apache-2.0

import type { Entry } from "./entry.ts";
import type { ProbeOutcome } from "./probe.ts";
import { suspect, type SuspicionPolicy, type SuspicionState } from "./suspicion.ts";

/**
 * Keeps the counts that `suspect` looks at. The targets are walked only when the last one that answered has stopped and enough of them may have
 * stopped with it: where nothing ever answered, a walk for each first result would be 100,000 walks of 100,000.
 */
export class SuspicionWatch {
  state: SuspicionState = { kind: "trusting" };
  isolated = false;
  readonly #policy: SuspicionPolicy;
  #probedCount = 0;
  #failingCount = 0;
  /** By site, those that began to fail with a healthy verdict, in that order; what has become of them is looked at when it counts. */
  readonly #suspects = new Map<string, Set<Entry>>();
  /** At least the slowest round of those that fail. */
  #roundMsMax = 0;

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
    if (after === "failing" && before !== "failing") this.#begin(entry, nowMs);
    const allFail = this.#failingCount === this.#probedCount;
    const justTurned = allFail && before !== after;
    if (!justTurned && this.state.kind === "trusting") return;
    const isEnough = justTurned && this.#mayBeEnough(nowMs);
    const sudden = isEnough ? suddenFailures(entries, nowMs) : noFailures;
    const counts = { probedCount: this.#probedCount, failingCount: this.#failingCount };
    const view = { ...counts, ...sudden, isolated: this.isolated };
    this.state = suspect(this.#policy, this.state, view, nowMs);
  }

  /** A target is gone. */
  forget(entry: Entry): void {
    if (entry.direct !== "unseen") this.#probedCount--;
    if (entry.direct === "failing") this.#failingCount--;
    entry.direct = "unseen";
    this.#drop(entry);
  }

  #begin(entry: Entry, nowMs: number): void {
    entry.failingSinceMs = nowMs;
    const roundMs = roundMsOf(entry);
    this.#roundMsMax = this.#failingCount === 1 ? roundMs : Math.max(this.#roundMsMax, roundMs);
    if (entry.state.verdict !== "healthy") return;
    const site = siteOf(entry);
    const known = this.#suspects.get(site);
    // To add it again takes half a microsecond, on the day on which all fail and come back.
    if (known !== undefined && known === entry.suspects) return;
    const suspects = known ?? new Set();
    if (known === undefined) this.#suspects.set(site, suspects);
    entry.suspects?.delete(entry);
    entry.suspects = suspects.add(entry);
  }

  /** Whether a walk may find enough: each that does not count any more is met once. */
  #mayBeEnough(nowMs: number): boolean {
    const { minTargets, minTargetsIsolated, minSites } = this.#policy;
    const wanted = this.isolated ? minTargetsIsolated : minTargets;
    let siteCount = 0;
    let count = 0;
    for (const [site, suspects] of this.#suspects) {
      let found = 0;
      for (const entry of suspects) {
        if (this.#isSuspect(entry, nowMs)) found++;
        else this.#drop(entry);
        if (found === wanted) break;
      }
      if (suspects.size === 0) this.#suspects.delete(site);
      if (found > 0) siteCount++;
      count += found;
    }
    return count >= wanted && (this.isolated || siteCount >= minSites);
  }

  #drop(entry: Entry): void {
    entry.suspects?.delete(entry);
    entry.suspects = undefined;
  }

  #isSuspect({ direct, state, failingSinceMs }: Entry, nowMs: number): boolean {
    const isFailing = direct === "failing" && state.verdict === "healthy";
    return isFailing && nowMs - failingSinceMs <= this.#roundMsMax;
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
    intervalMs = Math.max(intervalMs, entry.target.check.intervalMs);
    roundMs = Math.max(roundMs, roundMsOf(entry));
    if (entry.state.verdict === "healthy") candidates.push(entry);
  }
  const sudden = candidates.filter((entry) => nowMs - entry.failingSinceMs <= roundMs);
  const sites = new Set(sudden.map(siteOf));
  return { suddenCount: sudden.length, suddenSiteCount: sites.size, intervalMs };
}

function roundMsOf({ target: { check } }: Entry): number {
  return check.intervalMs * (1 + check.jitter) + check.timeoutMs;
}

function siteOf({ target }: Entry): string {
  return target.site ?? "";
}
