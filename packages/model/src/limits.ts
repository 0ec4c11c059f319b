// SPDX-License-Identifier: Apache-2.0

/**
 * The bounds of what is read, each with its unit in its name. A document beyond one of them is
 * refused with a sentence that names the limit, so that a runaway file never costs more than this.
 */
export const limits = {
  /** A file of documents; a larger one is to be split. */
  fileBytesMax: 64 * 1024 * 1024,
  /** A YAML file: reading takes 1 to 1.5 s a MiB, against 0.05 s of JSON lines. */
  yamlBytesMax: 16 * 1024 * 1024,
  /** Levels of mappings and lists in a document; the deepest schema needs 9. */
  nestingMax: 32,
  /** Nodes that one alias of a YAML document may expand to. */
  yamlExpansionMax: 100,
  /** Aliases of one YAML document. */
  yamlAliasesMax: 1000,
  /** Problems reported for one set of files; the rest are counted. */
  problemsMax: 1000,
  /** Nodes from the root of a policy to its deepest leaf, both counted. */
  policyDepthMax: 16,
  /** Ways from the root of a policy to its leaves: what one query may have to try when all is unhealthy. */
  policyPathsMax: 16_384,
  /** Nodes of one policy. */
  policyNodesMax: 1024,
  /** Branches of one node. */
  branchesMax: 1024,
  /** Members of one pool, inline and contributed. */
  poolMembersMax: 1024,
  /** Networks of all views together. */
  viewNetworksMax: 4096,
  /** Children of a calculated check (the Route 53 API model says 256). */
  calculatedChildrenMax: 256,
  /** How long a Shift may last (AWS ARC zonal shift: 72 h). */
  shiftMsMax: 72 * 3_600_000,
  /** How long before its start a Shift may be made. */
  shiftLeadMsMax: 168 * 3_600_000,
  /** Routing controls of a panel, and of one change (AWS ARC: 100 a panel). */
  controlsMax: 100,
  /** Steps of a RecoveryPlan. */
  planStepsMax: 100,
  /** Steps of a run, those of child plans included. */
  runStepsMax: 500,
  /** Shifts that run at once. */
  shiftsMax: 1000,
  /** The shortest interval of a probe. */
  probeIntervalMsMin: 100,
  /** The timeout of a probe whose document gives none is half its interval, at most this. */
  probeTimeoutDefaultMsMax: 5000,
} as const;
