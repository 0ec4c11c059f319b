// SPDX-License-Identifier: Apache-2.0

import { isDeepStrictEqual } from "node:util";
import type { ProbeTarget, Verdict } from "./check.ts";
import type { Witness } from "./quorum/quorum.ts";
import type { Probe } from "./probe.ts";
import { phaseOf } from "./schedule.ts";
import type { Condition, VerdictState } from "./verdict.ts";

/** What is known of an endpoint now. */
export interface EndpointState {
  readonly key: string;
  readonly checkName: string;
  readonly kind: ProbeTarget["check"]["kind"];
  readonly verdict: Verdict;
  /** Cause of the verdict. */
  readonly reason: string;
  /** Wall time of the last change of the verdict (of the first sight, before one). */
  readonly sinceMs: number;
  /** Why the verdict is not simply what the last results say. */
  readonly condition: Condition;
  readonly conditionReason: string;
  /** What the results alone say, which is what other vantages are told. */
  readonly opinion: Verdict;
  readonly lastReason: string;
  /** Wall time of the last result; undefined before the first. */
  readonly lastProbeMs: number | undefined;
  readonly lastDurationMs: number | undefined;
  readonly failures: number;
  readonly successes: number;
  readonly earliestChangeMs: number;
  /** Number of changes of the verdict. */
  readonly sequence: number;
  /** What each vantage says, where several judge. */
  readonly witnesses?: readonly Witness[];
  /** What it said of its load, smoothed, 0 idle to 1 full, and how long ago; where that is read. */
  readonly load?: number;
  readonly loadAgeMs?: number;
}

/** What the runner keeps of one target. There may be 100,000, in the heap of a thread that answers wait for: none has what all may share. */
export class Entry {
  target: ProbeTarget;
  readonly index: number;
  /** In 2⁻³², as a whole number: V8 keeps any other in an object of its own. */
  readonly #phase: number;
  state: VerdictState;
  probe: Probe | undefined;
  inFlight: boolean;
  /** The next probe is due while one is on its way. */
  isDueAgain: boolean;
  startedAtMs: number;
  lastAtMs: number | undefined;
  lastDurationMs: number | undefined;
  sinceMs: number;
  outlookBucket: number;
  /** For self-suspicion: what the last direct probe gave, and since when it fails. */
  direct: "unseen" | "passing" | "failing";
  failingSinceMs: number;
  /** Those that it is among, which began to fail at its site with a healthy verdict. */
  suspects: Set<Entry> | undefined;

  constructor(
    target: ProbeTarget,
    index: number,
    place: { readonly vantage: string; readonly clock: { wallMs(): number } },
    state: VerdictState,
  ) {
    this.target = target;
    this.index = index;
    this.#phase = (phaseOf(place.vantage, target.key) * 2 ** 32) | 0;
    this.state = state;
    this.probe = undefined;
    this.inFlight = false;
    this.isDueAgain = false;
    this.startedAtMs = 0;
    this.lastAtMs = undefined;
    this.lastDurationMs = undefined;
    this.sinceMs = place.clock.wallMs();
    this.outlookBucket = -1;
    this.direct = "unseen";
    this.failingSinceMs = 0;
    this.suspects = undefined;
  }

  /** Place in every interval, 0 ≤ phase < 1. */
  get phase(): number {
    return (this.#phase >>> 0) / 2 ** 32;
  }

  /** Whether results come by themselves. */
  get isProbed(): boolean {
    const { kind, disabled } = this.target.check;
    return !disabled && kind !== "push" && kind !== "calculated";
  }

  /** Whether results come from the endpoint itself, over this machine's network. */
  get isDirect(): boolean {
    return this.isProbed && this.target.check.kind !== "prometheus";
  }

  equals(target: ProbeTarget): boolean {
    return this.target === target || isDeepStrictEqual(this.target, target);
  }

  /** Whether `target` is the same endpoint, so that what was learnt still holds. */
  isSamePlace(target: ProbeTarget): boolean {
    const known = this.target;
    const same = known.address === target.address && known.port === target.port;
    return same && known.check.kind === target.check.kind;
  }

  view(earliestChangeMs: number): EndpointState {
    const { target, state } = this;
    return {
      key: target.key,
      checkName: target.checkName,
      kind: target.check.kind,
      verdict: state.verdict,
      reason: state.reason,
      sinceMs: this.sinceMs,
      condition: state.condition,
      conditionReason: conditionReason(state),
      opinion: state.opinion,
      lastReason: state.lastReason,
      lastProbeMs: this.lastAtMs,
      lastDurationMs: this.lastDurationMs,
      failures: state.failures,
      successes: state.successes,
      earliestChangeMs,
      sequence: state.sequence,
    };
  }
}

function conditionReason(state: VerdictState): string {
  switch (state.condition) {
    case "none":
      return "";
    case "suspect":
      return state.freezeReason;
    case "disabled":
      return "check is disabled";
    case "hold-down":
      return "kept out by hold-down";
    case "damped":
      return "kept out by flap damping";
    case "stale":
      return state.lastReason;
  }
}
