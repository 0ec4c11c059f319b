// SPDX-License-Identifier: Apache-2.0

// What travels between the thread that probes and the one that started it. Plain data and shared buffers: the same could go between
// processes.

import type { SharedWorld, VantagePlace } from "@meridian/snapshot";
import type { EndpointState } from "./entry.ts";
import type { DeclaredLatch } from "./latch-driver.ts";
import type { Cause, ChangeSet, PackedChangeSets } from "./change-set.ts";
import type { Adoption, MaskedChange } from "./overlay-driver.ts";
import type { PackedTargets } from "./packed-plan.ts";
import type { PlanChange } from "./probe-plan.ts";
import type { Roster, VantageView } from "./quorum/quorum.ts";
import type { HealthCounters } from "./runner-options.ts";
import type { PackedTransitions } from "./transition-batch.ts";
import type { NumberedTransition } from "./transition.ts";

/** A snapshot whose slots verdicts go to. */
export interface SnapshotToJudge {
  readonly revision: number;
  readonly world: SharedWorld;
  /** The overlay's first sequence is the next one, where none is running. */
  readonly lastSequence: number;
  /** The overlay of a thread that is gone, to go on with. */
  readonly resumed?: SharedArrayBuffer;
}

/** A status from outside. */
export interface PushedStatus {
  readonly check: string;
  readonly key: string;
  readonly status: "healthy" | "unhealthy";
  readonly reason: string;
}

/** What is asked, and answered under its name in `VerdictAnswers`. */
export type VerdictQuestion =
  | { readonly kind: "adopt"; readonly snapshot: SnapshotToJudge }
  | {
      readonly kind: "apply";
      /** Of another revision than the present one they are without effect: slots are others. */
      readonly revision: number;
      readonly changes: readonly MaskedChange[];
      readonly cause: Cause;
    }
  | { readonly kind: "push"; readonly status: PushedStatus }
  | { readonly kind: "failback"; readonly node: string }
  | { readonly kind: "states"; readonly keys: readonly string[] }
  | { readonly kind: "figures" }
  | { readonly kind: "close" };

/** Answers by kind of question. */
export interface VerdictAnswers {
  readonly adopt: Adoption & { readonly buffer: SharedArrayBuffer };
  /** After it is published. */
  readonly apply: true;
  /** False where no push check of that name judges that endpoint. */
  readonly push: boolean;
  /** False where the node holds no latch. */
  readonly failback: boolean;
  /** Parts come in `states` reports before. */
  readonly states: true;
  readonly figures: VerdictFigures;
  readonly close: true;
}

/** What the thread counts. */
export interface VerdictFigures {
  readonly counters: HealthCounters;
  readonly targetCount: number;
  /** The vantages that are known, this one first; none where it judges alone. */
  readonly vantages: readonly VantageView[];
}

/** What is sent to the thread: questions, and orders that need no answer. */
export type VerdictCommand =
  | { readonly kind: "question"; readonly id: number; readonly question: VerdictQuestion }
  | { readonly kind: "plan"; readonly change: PackedPlanChange }
  | { readonly kind: "latches"; readonly latches: ReadonlyMap<string, DeclaredLatch> }
  /** A report of another vantage. */
  | { readonly kind: "hear"; readonly from: VantagePlace; readonly payload: Uint8Array }
  /** Loads that were read elsewhere than in answers of probes, by endpoint key. */
  | { readonly kind: "loads"; readonly loads: readonly (readonly [string, number])[] }
  | { readonly kind: "start" };

/** A change of what is probed as it travels. */
export interface PackedPlanChange extends Pick<PlanChange, "gone" | "rules"> {
  readonly changed: PackedTargets;
}

/** What the thread tells. Of an answer only its question says what it holds. */
export type VerdictReport<Answer = unknown> =
  | { readonly kind: "answer"; readonly id: number; readonly value: Answer }
  /** Change sets, in order, and the transitions that made them. */
  | {
      readonly kind: "changed";
      readonly changes: PackedChangeSets;
      readonly transitions: readonly PackedTransitions[];
    }
  | { readonly kind: "states"; readonly id: number; readonly part: readonly EndpointState[] }
  | { readonly kind: "roster"; readonly roster: Roster }
  /** What this process says as a vantage, for other controls. */
  | { readonly kind: "own report"; readonly payload: Uint8Array }
  | { readonly kind: "first round" };

/** What a keeper reports, before it is packed. */
export type KeeperReport =
  | Exclude<VerdictReport, { readonly kind: "changed" }>
  | { readonly kind: "changed"; readonly changeSet: ChangeSet }
  | { readonly kind: "transitions"; readonly batch: readonly NumberedTransition[] };
