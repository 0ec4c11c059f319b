// SPDX-License-Identifier: Apache-2.0

// A world is a snapshot as one thread reads it: the shared sections with their links resolved into this thread's typed arrays.

import { Classifier } from "./location/classifier.ts";
import {
  branchMaxOf,
  classifierError,
  locationMapError,
  resolversError,
} from "./location/location-check.ts";
import { LocationMap } from "./location/location-map.ts";
import { ResolverTable } from "./location/resolver-table.ts";
import { INITIAL_ENDPOINT_SLOT, PER_MILLE, branchSlot } from "./overlay.ts";
import {
  BranchWord,
  NO_LINK,
  NodeKind,
  NodeWord,
  PoliciesTable,
} from "./policies/policies-format.ts";
import { policiesError } from "./policies/policies-check.ts";
import { PolicyTable } from "./policies/policy-table.ts";
import { addressesError } from "./pools/address-table.ts";
import { PoolTable } from "./pools/pool-table.ts";
import { poolsError } from "./pools/pools-check.ts";
import { PoolWord, PoolsTable } from "./pools/pools-format.ts";
import {
  SECTION_FLAG_REQUIRED,
  SectionKind,
  SharedTable,
  type Section,
  type SectionError,
} from "./section.ts";
import { TargetKind } from "./zone/zone-format.ts";
import { ZoneTable } from "./zone/zone-table.ts";

export { TargetKind } from "./zone/zone-format.ts";

/** A failover node whose active tier the control plane latches. */
export interface FailoverNode {
  readonly node: number;
  readonly slot: number;
  readonly key: bigint;
  readonly tierCount: number;
}

const knownKinds: ReadonlySet<number> = new Set(Object.values(SectionKind));

export class World {
  readonly seed: number;
  readonly pools: PoolTable;
  readonly policies: PolicyTable;
  readonly zones: ZoneTable;
  /** Where the clients of resolvers are that send no client subnet, if anything is known of that. */
  readonly resolvers: ResolverTable | undefined;
  readonly classifiers: readonly Classifier[];
  /** Classifier index by link index of the policies section, −1 elsewhere. */
  readonly classifierOfLink: Int32Array;
  readonly slotCount: number;
  readonly #endpointKeys: number;
  readonly #branchKeys: number;
  /** First slots of each kind: endpoints at 0, then pool epochs, branches, latches. */
  readonly poolEpochSlots: number;
  readonly branchSlots: number;
  readonly latchSlots: number;

  private constructor(parts: {
    seed: number;
    pools: PoolTable;
    policies: PolicyTable;
    zones: ZoneTable;
    resolvers: ResolverTable | undefined;
    classifiers: readonly Classifier[];
    classifierOfLink: Int32Array;
  }) {
    this.seed = parts.seed;
    this.pools = parts.pools;
    this.policies = parts.policies;
    this.zones = parts.zones;
    this.resolvers = parts.resolvers;
    this.classifiers = parts.classifiers;
    this.classifierOfLink = parts.classifierOfLink;
    this.#endpointKeys = this.pools.section.wordBase(PoolsTable.endpointKeys);
    this.#branchKeys = this.policies.section.wordBase(PoliciesTable.branchKeys);
    this.poolEpochSlots = this.pools.endpointCount;
    this.branchSlots = this.poolEpochSlots + this.pools.poolCount;
    this.latchSlots = this.branchSlots + this.policies.branchCount;
    this.slotCount = this.latchSlots + this.policies.nodeCount;
  }

  /**
   * Loads opened sections. Refuses a required section of an unknown kind, a policy whose classifier is missing, and whatever a look-up
   * could be led astray by: the sections may be of another writer than ours.
   */
  static load(sections: readonly Section[], seed: number): World | SectionError {
    const byKind = (kind: number): Section[] => sections.filter((section) => section.kind === kind);
    for (const section of sections) {
      if (!knownKinds.has(section.kind) && (section.flags & SECTION_FLAG_REQUIRED) !== 0) {
        return {
          error: `Section kind is ${section.kind}, expected one of ${[...knownKinds].join(", ")}`,
        };
      }
    }
    const [poolsSection] = byKind(SectionKind.pools);
    const [policiesSection] = byKind(SectionKind.policies);
    if (poolsSection === undefined || policiesSection === undefined) {
      return {
        error: `Snapshot has ${sections.length} sections, expected one of pools and one of policies among them`,
      };
    }
    const malformed = firstError(sections);
    if (malformed !== undefined) return { error: malformed };
    const [addresses] = byKind(SectionKind.addresses);
    const pools = new PoolTable(poolsSection, addresses);
    const policies = new PolicyTable(policiesSection, pools, addresses);
    const maps = new Map(
      byKind(SectionKind.locationMap).map((section) => [section.key, LocationMap.open(section)]),
    );
    const classifierSections = byKind(SectionKind.classifier);
    const classifiers = classifierSections.map((section) =>
      Classifier.open(section, (key) => maps.get(key)),
    );
    const classifierIndex = new Map(
      classifierSections.map((section, index) => [section.key, index]),
    );
    const classifierOfLink = Int32Array.from(policies.poolOfLink, (pool, link) =>
      pool >= 0 ? -1 : (classifierIndex.get(policies.section.keyAt(SharedTable.links, link)) ?? -1),
    );
    const dangling = danglingLink(policies, classifierSections, classifiers, classifierOfLink);
    if (dangling !== undefined) return { error: dangling };
    const zoneSections = [...byKind(SectionKind.zone), ...byKind(SectionKind.names)];
    const zones = ZoneTable.load(zoneSections, (kind, low, high) =>
      kind === TargetKind.policy ? policies.policyAt(low, high) : pools.poolAt(low, high),
    );
    if ("error" in zones) return zones;
    const [resolversSection] = byKind(SectionKind.resolvers);
    const resolvers =
      resolversSection === undefined ? undefined : ResolverTable.open(resolversSection);
    return new World({ seed, pools, policies, zones, resolvers, classifiers, classifierOfLink });
  }

  /** Slot of an endpoint, pool epoch, branch or latch key; −1 where this snapshot has none. */
  slotOfKey(key: bigint): number {
    return this.#slotIndex().get(key) ?? -1;
  }

  #slots: Map<bigint, number> | undefined;
  /** Built on first use: only the overlay's writer looks slots up by key. */
  #slotIndex(): ReadonlyMap<bigint, number> {
    if (this.#slots !== undefined) return this.#slots;
    const slots = new Map<bigint, number>();
    for (let slot = 0; slot < this.slotCount; slot++) {
      if (slot < this.poolEpochSlots || slot >= this.branchSlots)
        slots.set(this.slotKey(slot), slot);
    }
    this.#slots = slots;
    return slots;
  }

  /** The stable key of a slot (pool epochs: the pool's key). */
  slotKey(slot: number): bigint {
    if (slot < this.poolEpochSlots) return this.pools.endpointKeyAt(slot);
    if (slot < this.branchSlots) return this.pools.poolKeyAt(slot - this.poolEpochSlots);
    if (slot < this.latchSlots) return this.policies.branchKeyAt(slot - this.branchSlots);
    return this.policies.latchKeyAt(slot - this.latchSlots);
  }

  /** The overlay before anything was observed: unknown verdicts, declared weights and dials, no latch. */
  initialSlots(): Uint32Array {
    const slots = new Uint32Array(this.slotCount);
    slots.fill(INITIAL_ENDPOINT_SLOT, 0, this.poolEpochSlots);
    for (let branch = 0; branch < this.policies.branchCount; branch++) {
      const weight = this.policies.branchWord(branch, BranchWord.weight);
      const dial = this.policies.branchWord(branch, BranchWord.dial);
      slots[this.branchSlots + branch] = branchSlot(weight, Math.min(dial, PER_MILLE));
    }
    return slots;
  }

  /** Lower half of a pool's key (0: no such pool). */
  poolSalt(pool: number): number {
    return pool < 0 ? 0 : this.pools.poolWord(pool, PoolWord.salt);
  }

  /** Lower half of an endpoint's key. */
  endpointSalt(endpoint: number): number {
    return this.pools.words[this.#endpointKeys + endpoint * 2]!;
  }

  /** Lower half of a branch's key. */
  branchSalt(branch: number): number {
    return this.policies.words[this.#branchKeys + branch * 2]!;
  }

  /** Upper half of an endpoint's key. */
  endpointSaltHigh(endpoint: number): number {
    return this.pools.words[this.#endpointKeys + endpoint * 2 + 1]!;
  }

  /** Number of addresses of `family` (4 or 6) that an endpoint's host name resolved to. */
  resolvedCount(endpoint: number, family: number): number {
    return this.pools.resolved.count(endpoint, family);
  }

  /** Writes one of them: four or sixteen bytes. */
  copyResolved(endpoint: number, family: number, index: number, out: Uint8Array, at: number): void {
    this.pools.resolved.copy(endpoint, family, index, out, at);
  }

  failoverNodes(): FailoverNode[] {
    const nodes: FailoverNode[] = [];
    for (let node = 0; node < this.policies.nodeCount; node++) {
      if (this.policies.kindOf(node) !== NodeKind.failover) continue;
      const slot = this.latchSlots + node;
      nodes.push({
        node,
        slot,
        key: this.slotKey(slot),
        tierCount: this.policies.nodeWord(node, NodeWord.extra),
      });
    }
    return nodes;
  }

  /** `endpoint/NAMESPACE/POOL/MEMBER`. */
  endpointName(endpoint: number): string {
    const pool = this.pools.poolOfEndpoint(endpoint);
    return `endpoint/${this.pools.poolName(pool)}/${this.pools.memberName(endpoint)}`;
  }
}

/** Why the first section that cannot be read by index cannot, or undefined. Zones look at theirs when they are opened. */
function firstError(sections: readonly Section[]): string | undefined {
  for (const section of sections) {
    const error = errorOf(section);
    if (error !== undefined) return error;
  }
  return undefined;
}

function errorOf(section: Section): string | undefined {
  switch (section.kind) {
    case SectionKind.pools:
      return poolsError(section);
    case SectionKind.policies:
      return policiesError(section);
    case SectionKind.locationMap:
      return locationMapError(section);
    case SectionKind.classifier:
      return classifierError(section);
    case SectionKind.addresses:
      return addressesError(section);
    case SectionKind.resolvers:
      return resolversError(section);
    default:
      return undefined;
  }
}

/** What a policy needs and the snapshot lacks, in words, or undefined. */
function danglingLink(
  policies: PolicyTable,
  sections: readonly Section[],
  classifiers: readonly Classifier[],
  classifierOfLink: Int32Array,
): string | undefined {
  const branchMax = sections.map(branchMaxOf);
  for (let node = 0; node < policies.nodeCount; node++) {
    const link = policies.nodeWord(node, NodeWord.classifier);
    if (link === NO_LINK) continue;
    const index = classifierOfLink[link] ?? -1;
    const classifier = classifiers[index];
    if (classifier === undefined)
      return `Node "${policies.nodeName(node)}" refers to a classifier section that is missing`;
    if (classifier.missingMap !== undefined)
      return `Node "${policies.nodeName(node)}" refers to a location map that is missing`;
    const count = policies.nodeWord(node, NodeWord.branchCount);
    if ((branchMax[index] ?? 0) >= count)
      return `Node "${policies.nodeName(node)}" has ${count} branches, its classifier names branch ${branchMax[index]}`;
  }
  return undefined;
}
