// SPDX-License-Identifier: Apache-2.0

// Which tier of a failover node is active, where the policy does not simply fall back (`failback: hold | manual`). Pure: the driver
// gives health and time, and writes the latch that comes out into the overlay.

/** 0: none, the first tier is active; else the active tier counted from 1. */
export interface LatchState {
  readonly latch: number;
  /** Since when each tier has been healthy without a break, or undefined while it is not. */
  readonly healthySinceMs: readonly (number | undefined)[];
}

export interface LatchRule {
  readonly failback: "auto" | "hold" | "manual";
  /** `hold`: how long an earlier tier must have been healthy. */
  readonly holdForMs: number;
}

export const unlatched: LatchState = { latch: 0, healthySinceMs: [] };

/**
 * One step: a failing active tier hands over to the next healthy one (later ones first, then from the start, as selection does); under
 * `hold` an earlier tier that has been healthy long enough takes over again; under `manual` only a command does.
 */
export function stepLatch(
  state: LatchState,
  rule: LatchRule,
  healthy: readonly boolean[],
  nowMs: number,
): LatchState {
  const healthySinceMs = healthy.map((is, tier) =>
    is ? (state.healthySinceMs[tier] ?? nowMs) : undefined,
  );
  if (rule.failback === "auto") return { latch: 0, healthySinceMs };
  const active = state.latch === 0 ? 0 : state.latch - 1;
  let next = active;
  if (healthy[active] !== true) {
    const order = [...healthy.keys()].map((offset) => (active + offset) % healthy.length);
    next = order.find((tier) => healthy[tier] === true) ?? active;
  } else if (rule.failback === "hold") {
    const ready = healthySinceMs.findIndex(
      (since, tier) => tier < active && since !== undefined && nowMs - since >= rule.holdForMs,
    );
    if (ready >= 0) next = ready;
  }
  return { latch: next === 0 ? 0 : next + 1, healthySinceMs };
}

/** When `stepLatch` should run again though nothing changed: an earlier tier's hold ends. Undefined where nothing is pending. */
export function nextLatchMs(state: LatchState, rule: LatchRule): number | undefined {
  if (rule.failback !== "hold" || state.latch === 0) return undefined;
  const ends = state.healthySinceMs
    .slice(0, state.latch - 1)
    .flatMap((since) => (since === undefined ? [] : [since + rule.holdForMs]));
  return ends.length === 0 ? undefined : Math.min(...ends);
}
