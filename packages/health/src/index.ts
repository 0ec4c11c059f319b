// SPDX-License-Identifier: Apache-2.0
export {
  CHILD_MARK,
  defaultHttpFields,
  defaultTiming,
  detectionBoundMs,
  type CalculatedCheck,
  type CheckSpec,
  type CheckTiming,
  type DnsCheck,
  type GrpcCheck,
  type HttpCheck,
  type HttpFields,
  type HttpsCheck,
  type IcmpCheck,
  type LoadSource,
  type ProbeTarget,
  type PrometheusCheck,
  type PushCheck,
  type StatusRange,
  type TcpCheck,
  type TlsCheck,
  type TlsFields,
  type Verdict,
} from "./check.ts";
export { DETECTION_SLACK_MS, EARLIEST_CHANGE_MAX_MS, PROBES_IN_FLIGHT_MAX } from "./limits.ts";
export type { LoadReading, Probe, ProbeOutcome, ProbeResult } from "./probe.ts";
export {
  initialState,
  restoredState,
  step,
  earliestChangeMs,
  type Condition,
  type QuorumOpinion,
  type VerdictChange,
  type VerdictInput,
  type VerdictState,
  type VerdictStep,
} from "./verdict.ts";
export { judge, type Judgement, type JudgeRule, type VantageReport } from "./judge.ts";
export { calculate, type Calculation } from "./calculated.ts";
export { defaultSuspicionPolicy, type SuspicionPolicy, type SuspicionState } from "./suspicion.ts";
export type { EndpointState } from "./entry.ts";
export {
  readPrometheusSeries,
  type PrometheusSample,
  type PrometheusSeries,
} from "./probes/prometheus/prometheus-answer.ts";
export { NativeDialer } from "./dial/native-dialer.ts";
export { HealthRunner } from "./runner.ts";
export {
  emptyCounters,
  probesByOutcome,
  type HealthCounters,
  type HealthRunnerOptions,
  type Opinion,
  type Outlook,
  type ProbeReport,
} from "./runner-options.ts";
export type { Transition } from "./transition.ts";
export type { TransitionBatch } from "./transition-batch.ts";
export { TransitionHistory } from "./transition-history.ts";
export { TransitionLog } from "./transition-log.ts";
export type { IcmpAvailability, IcmpSender } from "./probes/icmp/icmp-sender.ts";
export { echoesUnavailable, findIcmpSender } from "./probes/icmp/find-icmp-sender.ts";
export {
  defaultCapacityRule,
  initialCapacity,
  stepCapacity,
  targetFactor,
  type CapacityInput,
  type CapacityRule,
  type CapacityState,
} from "./load/capacity-factor.ts";
export { CapacityTracker } from "./load/capacity-tracker.ts";
export { carriedSlots } from "./carried-slots.ts";
export { changesIn, comesByItself, type Cause, type ChangeSet } from "./change-set.ts";
export {
  OverlayDriver,
  adoptionChangeSet,
  beginOverlay,
  type Adoption,
  type BegunOverlay,
  type MaskedChange,
} from "./overlay-driver.ts";
export { VerdictDriver, type QuorumSettings, type VerdictDriverOptions } from "./verdict-driver.ts";
export { isPackedTargets, packTargets, unpackTargets } from "./packed-plan.ts";
export { probePlanIn, probePlanText } from "./probe-plan-text.ts";
export { secretsIn, withSecrets } from "./secret-headers.ts";
export { PlanKeeper, type PlanChange, type ProbePlan } from "./probe-plan.ts";
export { SharedOverlay, type SendChanges } from "./shared-overlay.ts";
export {
  VerdictThread,
  type AdoptionRequest,
  type VerdictThreadOptions,
} from "./verdict-thread.ts";
export { RevisionRehearsal } from "./revision-rehearsal.ts";
export { GarbageCollections } from "./young-collector.ts";
export type { PushedStatus, SnapshotToJudge, VerdictFigures } from "./verdict-messages.ts";
export { keepLastKnown } from "./last-known.ts";
export {
  LatchDriver,
  type DeclaredLatch,
  type LatchOverlay,
  type RecordedLatch,
} from "./latch-driver.ts";
export {
  FRESH_MS,
  Quorum,
  type QuorumOptions,
  type Roster,
  type VantageView,
  type Witness,
} from "./quorum/quorum.ts";
export { OwnOpinions } from "./quorum/own-opinions.ts";
export { TargetOrder } from "./quorum/target-order.ts";
export { Vantage, type VantageOptions } from "./quorum/vantage.ts";
