// SPDX-License-Identifier: Apache-2.0
export {
  addressBytes,
  addressKind,
  formatAddress,
  formatPrefix,
  parsePrefix,
  type AddressKind,
  type Prefix,
} from "./address.ts";
export {
  documentIdOf,
  formatDocumentId,
  isKind,
  kinds,
  schemas,
  type DataSetDocument,
  type RecordSetDocument,
  type Document,
  type DocumentId,
  type EndpointSetDocument,
  type HealthCheckDocument,
  type Kind,
  type PoolDocument,
  type RecordDocument,
  type ShiftDocument,
  type SiteDocument,
  type Source,
  type TrafficPolicyDocument,
  type ViewDocument,
  type ZoneDocument,
} from "./documents.ts";
export {
  builtinDataSets,
  dataSetKindOf,
  dataSetKinds,
  type DataSetKind,
  type DataSetSpec,
} from "./kinds/data-set.ts";
export {
  probeKindOf,
  probeKinds,
  probeTiming,
  type HealthCheckSpec,
  type ProbeKind,
} from "./kinds/health-check.ts";
export {
  accessVerbs,
  type AccessVerb,
  type RoleMember,
  type RoleRule,
  type TokenDocument,
} from "./kinds/access.ts";
export {
  notificationEvents,
  receiverKindOf,
  type NotificationDocument,
  type NotificationEvent,
  type NotificationSpec,
  type ReceiverKind,
} from "./kinds/notification.ts";
export type {
  RolloutAnalysis,
  RolloutDocument,
  RolloutSpec,
  RolloutStep,
  RolloutWave,
  ValueCondition,
} from "./kinds/rollout.ts";
export { prometheusSource, type PrometheusSource } from "./kinds/prometheus-source.ts";
export type { SecretReference } from "./kinds/shared.ts";
export type { CellDocument } from "./kinds/cell.ts";
export type { DrillAlarm, DrillDocument } from "./kinds/drill.ts";
export type { ChangePolicyDocument } from "./kinds/change-policy.ts";
export { weekDays, type ChangeWindows } from "./kinds/change-windows.ts";
export type {
  ControlPanelDocument,
  RoutingControlDocument,
  SafetyRuleDocument,
} from "./kinds/routing-control.ts";
export type {
  DemandSource,
  TrafficProfileDocument,
  TrafficProfileSpec,
} from "./kinds/traffic-profile.ts";
export {
  eventKindOf,
  parseScenario,
  scenarioSchema,
  type ScenarioDocument,
  type ScenarioEvent,
  type ScenarioEventKind,
  type ScenarioSpec,
} from "./kinds/scenario.ts";
export {
  recoveryStepSchema,
  stepKindOf,
  type PrometheusCondition,
  type RecoveryPlanDocument,
  type RecoveryPlanSpec,
  type RecoveryStep,
  type RecoveryTrigger,
  type StepKind,
} from "./kinds/recovery-plan.ts";
export { countedKinds, type GrantDocument, type TenantDocument } from "./kinds/tenant.ts";
export {
  isStoreKind,
  parseStoreDocument,
  storeKinds,
  type StoreDocument,
  type StoreKind,
} from "./store-kinds.ts";
export { apiVersion } from "./kinds/metadata.ts";
export type {
  EndpointSetSpec,
  LoadSpec,
  MemberSpec,
  MinHealthySpec,
  PoolSpec,
} from "./kinds/pool.ts";
export { recordTypes, type RecordSpec, type RecordType } from "./kinds/record.ts";
export {
  parseShiftLength,
  parseTarget,
  shiftLengthUntil,
  type ShiftSpec,
  type ShiftTarget,
} from "./kinds/shift.ts";
export { outranks, shiftPrecedences, type ShiftPrecedence } from "./kinds/shift-precedence.ts";
export type { SiteSpec } from "./kinds/site.ts";
export {
  branchTargets,
  nodeKinds,
  type BranchSpec,
  type NodeKind,
  type NodeSpec,
  type TrafficPolicySpec,
} from "./kinds/traffic-policy.ts";
export type { ZoneSpec } from "./kinds/zone.ts";
export type { ZonePublishTo } from "./kinds/zone-publishing.ts";
export type { ZoneDnssec } from "./kinds/zone-dnssec.ts";
export type { ZoneSecondary } from "./kinds/zone-secondary.ts";
export { limits } from "./limits.ts";
export {
  locateProblems,
  parseDocument,
  parseDocuments,
  DocumentReader,
  type FilePart,
  readRawDocuments,
  type InputFile,
  type Parsed,
  type RawDocument,
  type ReadDocuments,
} from "./parse.ts";
export {
  formatPath,
  formatProblem,
  problemCodes,
  type Path,
  type Problem,
  type ProblemCode,
} from "./problem.ts";
export { yamlText } from "./read-yaml.ts";
export { hasErrors } from "./reading.ts";
export {
  failoverBudget,
  targetBudget,
  detectionBoundMs,
  poolsOfRecord,
  type BudgetModel,
  type FailoverBudget,
} from "./failover-budget.ts";
export { documentChanges, type DocumentChanges } from "./document-changes.ts";
export {
  PatchedModel,
  type ModelPatch,
  type PatchedOwner,
  type PatchedPart,
} from "./model-patch.ts";
export {
  recordsOfSet,
  type CopyChange,
  type PatchedCopy,
  type PatchedRecords,
} from "./patched-record-sets.ts";
export { lint, lintSome, type LintFacts } from "./lint.ts";
export { loadModel, type Loaded, type LoadOptions } from "./load.ts";
export { Model, type BuildOptions, type DataSet, type Member, type Pool } from "./model.ts";
export {
  backoutOf,
  branchesOf,
  nodeKindOf,
  reachableNodes,
  reachablePools,
  type PlacedBranch,
} from "./policy-graph.ts";
export { indexKey } from "./model-index.ts";
export { nameText } from "./checks/zones.ts";
export { NameKey, NameTable } from "./name-table.ts";
export { RecordList, RecordTable, type RecordShape } from "./record-table.ts";
export { StaticRecords, type StaticRecord } from "./static-records.ts";
export { pathBeside, wholeSeconds, type ReadFile } from "./zone-data.ts";
export {
  decodeZoneCopyFacts,
  encodeZoneCopyFacts,
  isZoneCopyPath,
  zoneCopyPath,
  type ZoneCopyFacts,
  zoneCopyOf,
} from "./zone-copy.ts";
export { readCatalog } from "./catalog-members.ts";
export { SIGNED_SECONDS_MIN, signedUntilOf } from "./lints/presigned.ts";
export { zoneKeyOf, type Zone } from "./zone-table.ts";
export { examples } from "./examples.ts";
export {
  crdSchemaOf,
  jsonSchemaOf,
  storeSchemaOf,
  structuralViolations,
  type JsonSchema,
} from "./json-schema.ts";
export { referenceFileOf, renderReference, renderReferences } from "./reference.ts";
export type { Imported, Unmapped, WrittenDocument } from "./importers/imported.ts";
export {
  importMasterFile,
  importNamedConf,
  readMaster,
  type MasterRecords,
  type MasterSource,
} from "./importers/master.ts";
export { importGdnsd, type ListFolder } from "./importers/gdnsd.ts";
export { importPowerdnsGeoip } from "./importers/powerdns-geoip.ts";
export { importPowerdnsLua } from "./importers/powerdns-lua.ts";
