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
  Publication,
  Reload,
} from "./embedded-options.ts";
export { readDocumentFiles } from "./file-loader.ts";
export { declaredLatches } from "./declared-latches.ts";
export { shiftChanges, type Shift } from "./shift-effects.ts";
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
export { DocumentService } from "./documents/document-service.ts";
export { renderClientTypes } from "./http/client-types.ts";
export { renderApiReference } from "./http/reference-page.ts";
export { certificateFileEnd } from "./expiries.ts";
export { Notifier, type Fleet } from "./notifications/notifier.ts";
export { EdgeHub, type EdgeStream, type Staging } from "./edges/edge-hub.ts";
export { SettledFile, type RevisionId, type Settled } from "./edges/settled-file.ts";
export { storedPublication } from "./edges/stored-publication.ts";
export { SharedRollOut, type RollOutWord } from "./replicas/shared-roll-out.ts";
export { EdgeGateway, controlVantage } from "./edges/edge-gateway.ts";
export { DocumentSet } from "./documents/document-set.ts";
export type { ControlView } from "./edges/control-peers.ts";
export { ControlReplica } from "./replicas/control-replica.ts";
export { StateDocuments } from "./state/state-documents.ts";
export { sealingKey } from "./state/sealing-key.ts";
