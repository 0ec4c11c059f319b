// SPDX-License-Identifier: Apache-2.0
export {
  compile,
  type Compiled,
  type CompileOptions,
  type CompileProblem,
  type ResolversCompiler,
} from "./compile.ts";
export type { ClassifierCompiler, CompiledClassifier } from "./compile-policies.ts";
export { Embedded } from "./embedded.ts";
export { worldOf } from "@meridian/snapshot";
export type {
  EdgeLink,
  EmbeddedOptions,
  Logger,
  Persistence,
  BroughtSections,
  CarriedFrom,
  Publication,
  Reload,
} from "./embedded-options.ts";
export { readDocumentFiles } from "./file-loader.ts";
export { declaredLatches } from "./declared-latches.ts";
export { shiftChanges, type Shift } from "./shift-effects.ts";
export { drainTallies } from "./shift-views.ts";
export { DiskPersistence } from "./disk-persistence.ts";
export { publicationOf, restorePair, type RestoredPair } from "./restored-pair.ts";
export { OverlayJournal, type JournalEntry } from "./overlay-journal.ts";
export { SnapshotStore, StateDir } from "@meridian/snapshot/disk";
export { resolversCompiler } from "./data-sets/resolvers-compiler.ts";
export { classifierCompiler } from "./data-sets/classifier-compiler.ts";
export { DataSets, demoSource, sourceOf, type DataSetSource } from "./data-sets/data-sets.ts";
export {
  mergeLatencySamples,
  readLatencyCsv,
  type LatencySample,
  type LatencyTable,
} from "./data-sets/latency-table.ts";
export {
  LatencySamples,
  type LatencySamplesOptions,
  type ReportedLatency,
} from "./latency-samples.ts";
export { metricDefinitions } from "./metrics.ts";
export { Api, type ApiAccess, type ApiOptions } from "./api.ts";
export type { EdgeFigures, EdgeFiguresSource } from "@meridian/snapshot/surface";
export { TransitionHistory } from "@meridian/health";
export { explain, type Explanation } from "@meridian/snapshot/surface";
export { readBackup, writeBackup } from "./store/backup-file.ts";
export { copyOf, loadCopy, type CopyProgress } from "./store/store-copy.ts";
export { openStore } from "./store/open-store.ts";
export { parseStoreLocation, type StoreLocation } from "./store/store-location.ts";
export type {
  ChangeSet as StoredChangeSet,
  ChangeSetRequest,
  DocumentKey,
  DocumentPage,
  DocumentWrite,
  Head,
  HeadReading,
  HistoryQuery,
  Lease,
  ListQuery,
  LoadStart,
  Store,
  StoredDocument,
  StoreLoad,
  Write,
} from "./store/store.ts";
export { RefusalLog } from "./access/refusal-log.ts";
export { consistencyKey, sharedConsistencyKey } from "./http/consistency-key.ts";
export { ShrinkAllowance } from "./documents/shrink-allowance.ts";
export { DecidedPublisher } from "./publishing/decided-publisher.ts";
export type { DecidedName } from "./publishing/publish-message.ts";
export { DynamicUpdates } from "./updates/dynamic-updates.ts";
export { DrillKeeper } from "./drills/drill-keeper.ts";
export { Approvals, type Standing } from "./approvals/approvals.ts";
export type { Act } from "./approvals/act.ts";
export { DocumentService } from "./documents/document-service.ts";
export { renderClientTypes } from "./http/client-types.ts";
export { renderApiReference } from "./http/reference-page.ts";
export { certificateFileEnd } from "./expiries.ts";
export { Notifier, type Fleet } from "./notifications/notifier.ts";
export { broughtSections, type PackedRevision } from "./brought-sections.ts";
export { carriedFrom } from "./carried-from.ts";
export { EdgeHub, type EdgeStream, type Staging } from "./edges/edge-hub.ts";
export { SettledFile, type RevisionId, type Settled } from "./edges/settled-file.ts";
export { storedPublication } from "./edges/stored-publication.ts";
export { SharedRollOut, type RollOutWord } from "./replicas/shared-roll-out.ts";
export { EdgeGateway, controlVantage } from "./edges/edge-gateway.ts";
export { DocumentSet } from "./documents/document-set.ts";
export type { ControlView } from "./edges/control-peers.ts";
export { ControlReplica } from "./replicas/control-replica.ts";
export type { Leading } from "./cells/cell-keeper.ts";
export { WeightOverrides, type WeightOverride } from "./weights/weight-overrides.ts";
export type { WeightsReach } from "./weights/weights-reach.ts";
export { figure, flowPicture } from "./plan/flow-picture.ts";
export { RolloutKeeper } from "./rollouts/rollout-keeper.ts";
export { EdgeLeases } from "./edges/edge-leases.ts";
export {
  TERM_MS,
  handOverWaits,
  type ControlLeases,
  type HandOverWait,
} from "./routing/hand-over-waits.ts";
export {
  fencedChange,
  isRunning,
  noFence,
  settledChange,
  wantedStandings,
  type ControlFence,
} from "./routing/control-fence.ts";
export { unset, type ControlStanding, type ControlState } from "./routing/control-change.ts";
export { HandOvers, type HandOverFigures, type ServedOverlay } from "./routing/hand-overs.ts";
export { RoutingControls } from "./routing/routing-controls.ts";

export { outsideWork } from "./recovery/outside-steps.ts";
export { Secrets } from "./secrets/secrets.ts";
export type { ChangeGate } from "./documents/document-service.ts";
export { PlanCapacity } from "./recovery/plan-capacity.ts";
export { PlanEvaluations } from "./recovery/plan-evaluation.ts";
export { RecoveryTriggers } from "./recovery/recovery-triggers.ts";
export { RecoveryRuns } from "./recovery/recovery-runs.ts";
export { ITSELF, type AnsweringEdges } from "./recovery/run-measures.ts";
export { ServedTraffic } from "./recovery/served-traffic.ts";
export { shiftWrites } from "./replicas/control-replica.ts";
export { CookieKeeper } from "./cookies/cookie-keeper.ts";
export { ZoneKeeper } from "./dnssec/zone-keeper.ts";
export { keepMaterials, keptMaterials } from "./dnssec/kept-materials.ts";
export { ServedOrigins } from "./dnssec/served-zones.ts";
export { StateDocuments } from "./state/state-documents.ts";
export { addSealingKey, sealingKeys, type KeyPlace } from "./state/sealing-key.ts";
export { PrimaryConnection } from "./secondary/primary-connection.ts";
export { SecondaryKeeper, type SecondaryView } from "./secondary/secondary-keeper.ts";
export { readScenario, type ReadScenario } from "./simulate/read-scenario.ts";
export {
  simulate,
  type SimulatedDocuments,
  type SimulatedView,
  type SimulationOptions,
} from "./simulate/simulate.ts";
export type { OtherAnswers } from "./simulate/simulated-caches.ts";
export type {
  SimulatedChange,
  SimulatedEvent,
  SimulatedExpectation,
  SimulatedPlace,
  SimulatedRecovery,
  SimulatedTraffic,
  SimulatedTransition,
  SimulationReport,
} from "./simulate/report.ts";
export { placeCells, simulatedPage, simulatedPicture } from "./simulate/simulated-picture.ts";
export { timeText } from "./simulate/course-picture.ts";
