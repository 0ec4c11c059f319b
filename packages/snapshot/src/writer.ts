// SPDX-License-Identifier: Apache-2.0
export {
  writePolicies,
  type BranchInput,
  type NodeInput,
  type PolicyInput,
} from "./policies/policies-writer.ts";
export { MinHealthyKind, type MinHealthy } from "./pools/pools-format.ts";
export {
  compareText,
  writePools,
  type EndpointInput,
  type PoolInput,
} from "./pools/pools-writer.ts";
export { SectionWriter, type WrittenSection } from "./section-writer.ts";
