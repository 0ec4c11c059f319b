// SPDX-License-Identifier: Apache-2.0
export {
  ClassNumbers,
  MERGED_RANGES_MAX,
  writeClassifier,
  type ClassifiedPrefix,
  type ClassifierDraft,
} from "./location/classifier-writer.ts";
export { writeViews, type ViewInput } from "./views/view-table-writer.ts";
export { LocationMapWriter } from "./location/location-map-writer.ts";
export {
  comparePrefixes,
  containsPrefix,
  formatPrefix,
  parsePrefix,
  wordsOf,
  type AddressPrefix,
} from "./location/prefix.ts";
export { writeResolvers, type ResolverClients } from "./location/resolver-table-writer.ts";
export { RangePartition } from "./location/range-partition.ts";
export {
  patchPolicies,
  writePolicies,
  type BranchInput,
  type NodeInput,
  type PolicyInput,
} from "./policies/policies-writer.ts";
export { writeAddresses, type ResolvedEndpoint } from "./pools/addresses-writer.ts";
export { MinHealthyKind, type MinHealthy } from "./pools/pools-format.ts";
export {
  patchPools,
  writePools,
  type EndpointInput,
  type PoolInput,
} from "./pools/pools-writer.ts";
export { compareText } from "./section-patch.ts";
export { SectionWriter, type WrittenSection } from "./section-writer.ts";
export {
  ZoneWriter,
  type Binding,
  type ServiceBinding,
  type SharedBinding,
  type SrvBinding,
  type ZoneOptions,
} from "./zone/zone-writer.ts";
export { openSealed } from "./section.ts";
export { ZoneEditor, type NamedPart, type OwnerFacts } from "./zone/zone-editor.ts";
export type { EditedRecord } from "./zone/record-set.ts";
