// SPDX-License-Identifier: Apache-2.0

export { Edge, formatEdgeAddress } from "./edge.ts";
export type {
  EdgeAddress,
  EdgeMessage,
  EdgeOptions,
  EdgeStatus,
  EdgeWorkerStatus,
  EncryptedListens,
} from "./edge.ts";
export { AnswerCounter, wordsOf, type AnswerTotals } from "./answer-counter.ts";
export { SILENT_LOGGER } from "./edge-logger.ts";
export type { EdgeLogger } from "./edge-logger.ts";
export { HandoverServer } from "./handover.ts";
export { holdFolder } from "./handover-wait.ts";
export type { HandoverServerOptions, Takeover } from "./handover.ts";
export type {
  HandlerBinding,
  HandlerContext,
  HandlerModule,
  PacketHandler,
} from "./packet-handler.ts";
export { TCP_LIMITS } from "./tcp-server.ts";
export type { TcpLimits } from "./tcp-server.ts";
export { formatListenAddress, parseListenAddress } from "./transport-address.ts";
export type { ListenAddress } from "./transport-address.ts";
export type { TransportCounter, TransportCounts } from "./transport-counters.ts";
export { activatedSockets } from "./transport-sockets.ts";
export type { OpenSocket } from "./transport-sockets.ts";
export {
  CounterSum,
  FixedCounter,
  RCODES,
  SnapshotCounters,
  counterShape,
} from "./counter-layout.ts";
export type { CounterShape } from "./counter-layout.ts";
export {
  answersDigest,
  compareAnswers,
  objectionTo,
  type AnswerComparison,
  type AskedPair,
} from "./answer-comparison.ts";
export { WorkerCounters } from "./counters.ts";
export {
  isHandlerReport,
  isTransferNotice,
  isUpdateNotice,
  isZoneNotified,
  openWorld,
} from "./handler.ts";
export {
  UpdateRequests,
  type UpdateNotice,
  type UpdatedMessage,
} from "./updates/update-requests.ts";
export type { Certificate, EncryptedService } from "./tcp-encryption.ts";
export { EdgeFront, RATE_LIMIT_MAX, type FrontOptions } from "./edge-front.ts";
export { ResponseLimiter } from "./response-limiter.ts";
export { ServerCookies } from "./cookie.ts";
export type {
  CookiesMessage,
  HandlerData,
  HandlerReport,
  SecretsMessage,
  SnapshotMessage,
} from "./handler.ts";
export { formatLogLine, type LogNames } from "./query-log-line.ts";
export type { LogLine } from "./query-log-line.ts";
export { QueryLogReader, QueryLogWriter, makeLogBuffer } from "./query-log.ts";
export type { LogPrivacy, LogRecord } from "./query-log.ts";
export { AheadSigner } from "./dnssec/ahead-signer.ts";
export { EdgeSigning } from "./dnssec/edge-signing.ts";
export type { SigningView } from "./dnssec/signing-explanation.ts";
export { SigningRole } from "./dnssec/signing-role.ts";
export type { SigningMessage } from "./dnssec/signed-answers.ts";
export { UDP_BYTES_MAX } from "./opt-writer.ts";
export { QueryHandler } from "./query-handler.ts";
export type { QueryHandlerOptions } from "./query-handler.ts";
export { ServedSnapshot } from "./query-state.ts";
export { TOP_NAMES_BYTES, TopNames, topNames } from "./top-names.ts";
export type { TopName } from "./top-names.ts";
export { queryHandlerModule } from "./query-handler-module.ts";
export { CertificateRenewal, type CertificateRenewalOptions } from "./link/certificate-renewal.ts";
export { readIdentity, roleOf, writeIdentity, type EdgeIdentity } from "./link/edge-identity.ts";
export { EdgeProcess, type EdgeProcessOptions } from "./link/edge-process.ts";
export { joinControl } from "./link/join-control.ts";
export { FenceLease, type LeasedSlots } from "./link/fence-lease.ts";
export {
  EdgeReplica,
  type EdgeReplicaOptions,
  type FetchSection,
  type LoadedRevision,
  type ReplicaState,
} from "./link/edge-replica.ts";
export { EdgeState } from "./link/edge-state.ts";
export { OverlayMirror } from "./link/overlay-mirror.ts";
export { rehearseRevision, type RehearsedRevision } from "./link/revision-rehearsal.ts";
export {
  ISOLATION_AFTER_MS,
  Isolation,
  type IsolationMode,
  type IsolationOptions,
} from "./link/isolation.ts";
export { ProbeProcess, type ProbeProcessOptions } from "./vantage/probe-process.ts";
export { ReportLink, type ReportLinkOptions } from "./vantage/report-link.ts";
export { LocalServer, type LocalServerOptions } from "./local/local-server.ts";
export { linkMetricDefinitions } from "./local/local-metrics.ts";
export { pastOf, type PastOfEdge } from "./local/local-past.ts";
export { processEnded } from "./process-ended.ts";
export { RoutedRecords } from "./transfers/routed-records.ts";
export type { TransferNotice } from "./transfers/transfer-notices.ts";
export { Transfers } from "./transfers/transfers.ts";
