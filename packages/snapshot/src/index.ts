// SPDX-License-Identifier: Apache-2.0
export { Client, FAMILY_IPV4, FAMILY_IPV6, maskWord } from "./client.ts";
export { DRAW_BITS_IPV4, DRAW_BITS_IPV6, decisionDraw, decisionWord } from "./draw.ts";
export { aliasKeyText } from "./policies/alias-addresses.ts";
export { distribution, type Distribution } from "./distribution.ts";
export {
  CanonicalOrder,
  forEachNode,
  nameStart,
  orderProofs,
  orderZone,
} from "./dnssec/canonical-order.ts";
export type { OrderedZone } from "./dnssec/ordered-zone.ts";
export { HashedOrder, NSEC3_HASH_BYTES, hashZone, nsec3Hash } from "./dnssec/hashed-order.ts";
export {
  Denial,
  SIGNING_MATERIAL_BYTES_MAX,
  encodeSigningMaterial,
  parseSigningMaterial,
  SigningMaterials,
  withMaterial,
  type PresignedSet,
  type SigningMaterial,
  type ZoneKey,
} from "./dnssec/signing-material.ts";
export { Classifier } from "./location/classifier.ts";
export {
  containsPrefix,
  formatPrefix,
  parsePrefix,
  wordsOf,
  type AddressPrefix,
} from "./location/prefix.ts";
export { PrefixList } from "./location/prefix-list.ts";
export { LocationMap, NOWHERE, type Place } from "./location/location-map.ts";
export { ResolverTable } from "./location/resolver-table.ts";
export {
  Admin,
  CAPACITY_SHIFT,
  CHANGE_SHIFT,
  HASTENED,
  FENCED_BIT,
  BRANCH_DIAL_MASK,
  BRANCH_OVERRIDDEN,
  BRANCH_WEIGHT_MASK,
  DIAL_SHIFT,
  INITIAL_ENDPOINT_SLOT,
  MOVE_MASK,
  OVERLAY_WORKERS_MAX,
  OverlayReader,
  adminOf,
  OverlayWriter,
  PER_MILLE,
  Verdict,
  branchSlot,
  UNMOVED,
  endpointSlot,
  overlayBytes,
  type SlotChange,
} from "./overlay.ts";
export { KeyedSlots, type StoredSlots } from "./keyed-slots.ts";
export { OverlayObserver, type OverlayMoment } from "./overlay-observer.ts";
export {
  BranchFlag,
  BranchTarget,
  BranchWord,
  CANDIDATES_MAX,
  DEPTH_MAX,
  NodeKind,
  NodeWord,
  OnAllUnhealthy,
  nodeKindName,
} from "./policies/policies-format.ts";
export { healthyTiers, isTierUnjudged } from "./policies/failover/tiers.ts";
export { PolicyTable } from "./policies/policy-table.ts";
export { LAST_KNOWN_BIT, Mode, Standing, isConfigured, isEligible } from "./pools/candidates.ts";
export { ADDRESSES_KEY_TEXT, AddressesTable, RESOLVED_MAX } from "./pools/addresses-format.ts";
export { PoolTable } from "./pools/pool-table.ts";
export { EndpointFlag, EndpointWord, PoolWord, Serve } from "./pools/pools-format.ts";
export {
  SECTION_BYTES_MAX,
  Section,
  SectionKind,
  openSection,
  sectionError,
  type SectionError,
} from "./section.ts";
export { LookAhead, type CounterWords } from "./look-ahead.ts";
export { openMade } from "./made-section.ts";
export { applySectionDelta, encodeSectionDelta, isShifted } from "./section-delta.ts";
export { countedIn, sectionFlaw } from "./section-flaw.ts";
export { SpareCopy } from "./spare-copy.ts";
export { rehearsedWorld, type LoadedSnapshot } from "./rehearsed-world.ts";
export { SectionPack, type NamedSection, type OnSlab } from "./section-pack.ts";
export { NODE_AUDIENCES_MAX, SelectionCounts, SelectionLayout } from "./selection-counts.ts";
export { ANSWERS_MAX, Outcome, Selector, WithheldEde } from "./selector.ts";
export { Status, type Trace, type TraceEvent } from "./trace.ts";
export {
  TargetKind,
  World,
  type FailoverNode,
  type ResolvedLinks,
  type SharedWorld,
} from "./world.ts";
export { boundSetOf, type BoundSet } from "./bound-name.ts";
export { Found, NameLookup, findSet } from "./zone/name-lookup.ts";
export { NO_TARGET } from "./zone/name-targets.ts";
export type { NamesChunk, NamesTargets } from "./zone/names-chunk.ts";
export { readPublishedZone, type PublishedZone } from "./zone/published-zone.ts";
export { NO_VIEW, type ViewTable } from "./views/view-table.ts";
export { QueryName } from "./zone/query-name.ts";
export {
  UPDATE_ANSWER_BYTES_MAX,
  UPDATE_BYTES_MAX,
  UPDATE_CLIENT_HEADER,
  UPDATE_MS_MAX,
  decodeUpdateAnswer,
  encodeUpdateAnswer,
  type UpdateAnswer,
} from "./link/update-answer.ts";
export {
  readTransferSettings,
  transferForms,
  transferSecrets,
  type TransferAs,
  type TransferKey,
  type CertificateRule,
  type TransferRule,
  type NotifiedSecondary,
  type TransferSettings,
} from "./zone/transfer-settings.ts";
export {
  readSecondarySettings,
  type NotifySource,
  type SecondarySettings,
} from "./zone/secondary-settings.ts";
export {
  BOUND_SET,
  BoundType,
  ClientLocation,
  NODE_HEADER_BYTES,
  NodeFlag,
  SET_BYTES,
  Shape,
  boundTypeBit,
} from "./zone/zone-format.ts";
export { sampleOwners } from "./zone/owner-names.ts";
export {
  walkChunk,
  walkNode,
  type WalkedBinding,
  type WalkedOwner,
  type WalkedRecord,
} from "./zone/zone-walk.ts";
export { ZoneTable, shiftedSerial, type LoadedZone } from "./zone/zone-table.ts";
export {
  encodeManifest,
  FIRST_EPOCH,
  cutManifest,
  isLater,
  makeManifest,
  parseManifest,
  wholeOf,
  type Manifest,
  type ManifestSection,
} from "./manifest.ts";
export { decodeAnswerCounts, encodeAnswerCounts, type AnswerCounts } from "./link/answer-counts.ts";
export {
  TRAFFIC_ENTRIES_MAX,
  decodeTrafficCounts,
  encodeTrafficCounts,
  type AudienceWord,
  type KeyedCount,
  type TrafficCounts,
} from "./link/traffic-counts.ts";
export { decodeDiskTrouble, encodeDiskTrouble, type DiskTrouble } from "./link/disk-trouble.ts";
export { worldOf } from "./world-of.ts";
export {
  FRAME_HEADER_BYTES,
  FrameDecoder,
  FrameKind,
  encodeFrame,
  type Frame,
} from "./link/frame.ts";
export {
  decodeNotified,
  encodeNotified,
  CARRIED_CHANGES_MAX,
  CONTROL_NAME,
  PROBE_UNIT,
  LINK_PROTOCOL,
  TAKES_DISK,
  TAKES_HEADER,
  TAKES_TRAFFIC,
  TAKES_UNMOVED,
  LINK_SLOTS_MAX,
  LinkPath,
  SILENCE_MS_MAX,
  TABLE_MS,
  decodeAcknowledgement,
  isTaken,
  decodeCarried,
  decodeChanges,
  decodeHello,
  decodeManifestText,
  decodeSentSection,
  decodeTable,
  encodeAcknowledgement,
  encodeCarried,
  encodeChangeColumns,
  encodeChanges,
  encodeHello,
  encodeManifestMessage,
  encodeSentSection,
  encodeTable,
  type Acknowledgement,
  type CarriedSlots,
  type Hello,
  type Position,
  type SentSection,
  type SlotChanges,
  type SlotTable,
} from "./link/messages.ts";
export {
  REPORT_REASONS,
  REPORT_REASON_BYTES,
  Suspicion,
  decodeReport,
  encodeReport,
  reportTableBytes,
  type Report,
  type ReportChange,
  type ReportChanges,
  type ReportTable,
} from "./link/reports.ts";
export {
  decodeVantageHello,
  decodeVantagePlan,
  encodeVantageHello,
  encodeVantagePlan,
  type PlanSection,
  type VantageHello,
  type VantagePlace,
  type VantagePlan,
} from "./link/vantage-plan.ts";
export {
  decodeStage,
  decodeStatus,
  encodeStage,
  encodeStatus,
  type Stage,
  type StageStatus,
} from "./link/stage.ts";
export {
  COOKIE_SECRETS,
  encodeSecrets,
  encodeSigning,
  openSecrets,
  sealSecrets,
} from "./link/sealed-secrets.ts";
export { joinStatement, parseJoinToken, type JoinRequest, type JoinToken } from "./link/join.ts";
export type { KeyRun } from "./key-runs.ts";
export { LEASE_MS, isLeaseHeld, leaseClock, leaseWord } from "./lease-word.ts";
export { fencedSlots } from "./fenced-slots.ts";
export {
  decodeGrant,
  decodeLeaseRequest,
  encodeGrant,
  encodeLeaseRequest,
  isAtLeast,
  type LeaseGrant,
  type LeaseRequest,
  type StoreMark,
} from "./link/lease.ts";
export {
  decodeRoutingControls,
  encodeRoutingControls,
  type ToldControls,
} from "./link/routing-controls.ts";
