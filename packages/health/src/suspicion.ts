// SPDX-License-Identifier: Apache-2.0

// Self-suspicion: when everything that answered a moment ago stops answering within one round, the likelier cause is this
// machine's own network. Then verdicts are frozen for a bounded time instead of all turning unhealthy. The first endpoint that answers
// ends it (our network works after all, so the others are really down), and so does the time: what still fails then is believed.
//
// Pure, like the verdict machine. Counters are kept instead of lists, so one result costs the same however many targets there are.

/** When to doubt oneself. */
export interface SuspicionPolicy {
  /** Failing targets at the least… */
  readonly minTargets: number;
  /** …in so many different sites… */
  readonly minSites: number;
  /** …unless the process is cut off from its control plane: then so many suffice, wherever they are. */
  readonly minTargetsIsolated: number;
  /** The freeze ends after this many intervals (of the slowest check), and what is then seen is believed. */
  readonly holdIntervals: number;
}

/** Three regions on one machine that die together are believed at once; a fleet that vanishes is not. */
export const defaultSuspicionPolicy: SuspicionPolicy = {
  minTargets: 5,
  minSites: 2,
  minTargetsIsolated: 3,
  holdIntervals: 3,
};

/** What suspicion looks at. */
export interface SuspicionView {
  /** Targets that are probed directly and have had a result. */
  readonly probedCount: number;
  /** Of those, how many failed their last probe. */
  readonly failingCount: number;
  /** Of those, how many have a healthy verdict still and began to fail within the last round. */
  readonly suddenCount: number;
  /** Different sites among the sudden ones. */
  readonly suddenSiteCount: number;
  readonly isolated: boolean;
  /** Longest interval among the probed targets. */
  readonly intervalMs: number;
}

/** Not frozen, frozen until a time, or believed (until something answers again). */
export type SuspicionState =
  | { readonly kind: "trusting" }
  | { readonly kind: "frozen"; readonly untilMs: number; readonly reason: string }
  | { readonly kind: "believing" };

/** The next state. */
export function suspect(
  policy: SuspicionPolicy,
  state: SuspicionState,
  view: SuspicionView,
  nowMs: number,
): SuspicionState {
  const anyAnswers = view.failingCount < view.probedCount;
  if (anyAnswers || view.probedCount === 0) {
    return state.kind === "trusting" ? state : { kind: "trusting" };
  }
  if (state.kind === "frozen") return nowMs >= state.untilMs ? { kind: "believing" } : state;
  if (state.kind === "believing") return state;
  const enough = view.isolated
    ? view.suddenCount >= policy.minTargetsIsolated
    : view.suddenCount >= policy.minTargets && view.suddenSiteCount >= policy.minSites;
  if (!enough) return state;
  return {
    kind: "frozen",
    untilMs: nowMs + policy.holdIntervals * view.intervalMs,
    reason: `all ${view.probedCount} probed endpoints failed at once`,
  };
}
