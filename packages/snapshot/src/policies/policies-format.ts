// SPDX-License-Identifier: Apache-2.0

// The policies section (kind 3): each policy is a run of nodes (its root first), each node a run of branches. Branches name nodes
// of the same section by index and pools by link, so a policy changes only when its own document does.

/** Tables of the policies section. */
export const PoliciesTable = {
  policies: 16,
  policyKeys: 17,
  nodes: 18,
  latchKeys: 19,
  branches: 20,
  branchKeys: 21,
  texts: 22,
} as const;

export const NodeKind = {
  geo: 1,
  proximity: 2,
  latency: 3,
  subnet: 4,
  asn: 5,
  failover: 6,
  weighted: 7,
  multivalue: 8,
  roundRobin: 9,
  capacity: 10,
  sticky: 11,
} as const;

/** Kinds by name, for explain and metrics. */
export const nodeKindName: Readonly<Record<number, string>> = Object.fromEntries(
  Object.entries(NodeKind).map(([name, value]) => [value, name]),
);

export const OnAllUnhealthy = { parent: 0, open: 1, closed: 2, lastKnown: 3, fallback: 4 } as const;

export const POLICY_WORDS = 4;
export const PolicyWord = { root: 0, nodeStart: 1, nodeCount: 2, clientLocation: 3 } as const;

export const NODE_WORDS = 8;
export const NodeWord = {
  /** kind | onAllUnhealthy << 8 | answers << 16. */
  settings: 0,
  branchStart: 1,
  /** Branches that selection sees; a fallback branch lies behind them. */
  branchCount: 2,
  /** Link index of the classifier section, or NO_LINK. */
  classifier: 3,
  minHealthy: 4,
  /** Separates the draws of nodes: hash of policy and node name (sticky: of policy and salt). */
  salt: 5,
  /** sticky: IPv4 prefix | IPv6 prefix << 8. failover: number of tiers. */
  extra: 6,
  /** Index of the policy, for names. */
  policy: 7,
} as const;

export const BRANCH_WORDS = 4;
export const BranchWord = {
  /** target kind | flags << 8 | tier << 16. */
  settings: 0,
  /** node index, link index of a pool, or heap offset of a wire name. */
  target: 1,
  weight: 2,
  /** Thousandths. */
  dial: 3,
} as const;

export const BranchTarget = { node: 0, pool: 1, name: 2 } as const;
export const BranchFlag = { fence: 1, evaluateHealth: 2 } as const;
export const NO_LINK = 0xffff_ffff;

/** Most nested nodes (design §4). */
export const DEPTH_MAX = 16;
/** Most branches of a node and members of a pool (design §6). */
export const CANDIDATES_MAX = 1024;
/** Most answers of one decision. */
export const ANSWERS_MAX = 32;
