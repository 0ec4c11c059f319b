// SPDX-License-Identifier: Apache-2.0

// A world is a snapshot as one thread reads it: shared sections, and what their links to one another lead to.
//
//   load()    checks sections and resolves links, in the thread that publishes        share()    what other threads need
//   open()    takes over what another thread of this process loaded: a few views, whatever the snapshot's size
//
// So an edge worker that is handed a snapshot of a million names goes on answering after less than a millisecond.

import { assert, key64, keyHigh, keyLow, mix32 } from "@meridian/core";
import { KeyIndex } from "./key-index.ts";
import { keyRuns, type KeyRun } from "./key-runs.ts";
import { Classifier, ClassifierTableId } from "./location/classifier.ts";
import { branchMaxOf } from "./location/location-check.ts";
import { LocationMap } from "./location/location-map.ts";
import { ResolverTable } from "./location/resolver-table.ts";
import { BRANCH_OVERRIDDEN, INITIAL_ENDPOINT_SLOT, PER_MILLE, branchSlot } from "./overlay.ts";
import {
  BRANCH_WORDS,
  BranchTarget,
  BranchWord,
  NO_LINK,
  NodeKind,
  NodeWord,
  PoliciesTable,
} from "./policies/policies-format.ts";
import { resolveAliases, type AliasLinks } from "./policies/alias-addresses.ts";
import { PolicyTable, poolsOfLinks } from "./policies/policy-table.ts";
import { entriesOf } from "./pools/address-table.ts";
import { PoolTable } from "./pools/pool-table.ts";
import { PoolWord, PoolsTable } from "./pools/pools-format.ts";
import {
  SECTION_FLAG_REQUIRED,
  Section,
  SectionKind,
  SharedTable,
  Slab,
  type SectionError,
} from "./section.ts";
import { sharedFlaw } from "./section-flaw.ts";
import { audienceStarts } from "./selection-counts.ts";
import { NO_VIEW, ViewTable } from "./views/view-table.ts";
import { targetsOf, type NamesTable, type NamesWords } from "./zone/names-chunk.ts";
import { TargetKind, zoneKeyText } from "./zone/zone-format.ts";
import { ZoneTable, type LoadedZone } from "./zone/zone-table.ts";

export { TargetKind } from "./zone/zone-format.ts";

/** A failover node whose active tier the control plane latches. */
export interface FailoverNode {
  readonly node: number;
  readonly slot: number;
  readonly key: bigint;
  readonly tierCount: number;
}

/** Entries of one snapshot in another, by what they are. */
export interface WorldRuns {
  readonly pools: readonly KeyRun[];
  readonly endpoints: readonly KeyRun[];
  readonly policies: readonly KeyRun[];
  readonly nodes: readonly KeyRun[];
  readonly branches: readonly KeyRun[];
}

const routingKinds: ReadonlySet<number> = new Set([
  SectionKind.pools,
  SectionKind.policies,
  SectionKind.addresses,
]);

const knownKinds: ReadonlySet<number> = new Set(Object.values(SectionKind));

/** What the links of a snapshot lead to, by index. All in shared memory. */
interface WorldLinks {
  /** Pool by link of the policies section, −1 elsewhere. */
  readonly poolOfLink: Int32Array;
  /** Classifier by link of the policies section, −1 elsewhere. */
  readonly classifierOfLink: Int32Array;
  /** Entry of the addresses section by endpoint. */
  readonly addressEntryOf: Int32Array;
  /** Entries of the addresses section for names of branches. */
  readonly aliases: AliasLinks;
  /** Where the counters of each node's audiences begin. */
  readonly audienceStarts: Uint32Array;
  /** Of the names sections (names-chunk.ts). */
  readonly names: NamesWords;
}

/** A loaded world on its way to another thread of the process: buffers are shared, never copied. */
export interface SharedWorld {
  readonly seed: number;
  readonly slabs: readonly SharedArrayBuffer[];
  /** Slab and first byte of each section but the names sections. */
  readonly places: Uint32Array;
  readonly links: WorldLinks;
}

/** What takes longest to work out of a snapshot, in words that do not depend on where its sections lie. */
export interface ResolvedLinks {
  /** Pool by link of the policies section, −1 elsewhere. */
  readonly pools: Int32Array;
  /** What the links of names sections lead to. */
  readonly targets: Int32Array;
}

/** What a world is put together from; names sections are in `names` alone. */
interface WorldParts {
  readonly seed: number;
  readonly sections: readonly Section[];
  readonly slabs: readonly Slab[];
  readonly links: WorldLinks;
  readonly zones: ZoneTable;
}

export class World {
  readonly seed: number;
  readonly pools: PoolTable;
  readonly policies: PolicyTable;
  readonly zones: ZoneTable;
  /** Where the clients of resolvers are that send no client subnet, if anything is known of that. */
  readonly resolvers: ResolverTable | undefined;
  /** Which view a client sees; undefined where there are no views. */
  readonly views: ViewTable | undefined;
  /** By index of the view, made when it is asked for first: most views of a world are never seen by one thread. */
  readonly #viewZones: (ZoneTable | undefined)[] = [];
  readonly classifiers: readonly Classifier[];
  /** Classifier index by link index of the policies section, −1 elsewhere. */
  readonly classifierOfLink: Int32Array;
  /** Node n has the audience counters from `audienceStarts[n]` up to `audienceStarts[n + 1]`. */
  readonly audienceStarts: Uint32Array;
  readonly slotCount: number;
  readonly #endpointKeys: number;
  readonly #poolKeys: number;
  readonly #branchKeys: number;
  readonly #latchKeys: number;
  /** First slots of each kind: endpoints at 0, then pool epochs, branches, latches. */
  readonly poolEpochSlots: number;
  readonly branchSlots: number;
  readonly latchSlots: number;
  readonly #parts: WorldParts;

  private constructor(parts: WorldParts, pools: Section, policies: Section) {
    const { sections, links } = parts;
    this.#parts = parts;
    this.seed = parts.seed;
    const [addresses] = ofKind(sections, SectionKind.addresses);
    this.pools = new PoolTable(pools, addresses, links.addressEntryOf);
    this.policies = new PolicyTable(policies, links.poolOfLink, addresses, links.aliases);
    this.zones = parts.zones;
    const [resolvers] = ofKind(sections, SectionKind.resolvers);
    this.resolvers = resolvers === undefined ? undefined : ResolverTable.open(resolvers);
    const [views] = ofKind(sections, SectionKind.views);
    this.views = views === undefined ? undefined : ViewTable.open(views);
    this.classifiers = openClassifiers(sections);
    this.classifierOfLink = links.classifierOfLink;
    this.audienceStarts = links.audienceStarts;
    this.#endpointKeys = this.pools.section.wordBase(PoolsTable.endpointKeys);
    this.#poolKeys = this.pools.section.wordBase(PoolsTable.poolKeys);
    this.#branchKeys = this.policies.section.wordBase(PoliciesTable.branchKeys);
    this.#latchKeys = this.policies.section.wordBase(PoliciesTable.latchKeys);
    this.poolEpochSlots = this.pools.endpointCount;
    this.branchSlots = this.poolEpochSlots + this.pools.poolCount;
    this.latchSlots = this.branchSlots + this.policies.branchCount;
    this.slotCount = this.latchSlots + this.policies.nodeCount;
  }

  /**
   * Loads opened sections. Refuses a required section of an unknown kind, a policy whose classifier is missing, and whatever a look-up
   * could be led astray by: the sections may be of another writer than ours. Sections that are in `previous` too, the very objects, are
   * not looked at again, and links that lead where they led are copied. `isVerified`: all of them were loaded in another process before,
   * together, and are not looked into here; `resolved` is what came of it there.
   */
  static load(
    sections: readonly Section[],
    seed: number,
    previous?: World,
    isVerified: boolean = false,
    resolved?: ResolvedLinks,
  ): World | SectionError {
    const unknown = sections.find(
      ({ kind, flags }) => !knownKinds.has(kind) && (flags & SECTION_FLAG_REQUIRED) !== 0,
    );
    if (unknown !== undefined)
      return {
        error: `Section kind is ${unknown.kind}, expected one of ${[...knownKinds].join(", ")}`,
      };
    const [pools] = ofKind(sections, SectionKind.pools);
    const [policies] = ofKind(sections, SectionKind.policies);
    if (pools === undefined || policies === undefined) {
      return {
        error: `Snapshot has ${sections.length} sections, expected one of pools and one of policies among them`,
      };
    }
    const sound = new Set(previous === undefined ? [] : previous.#parts.sections);
    const malformed = isVerified ? undefined : firstError(sections, sound, previous);
    if (malformed !== undefined) return { error: malformed };
    const slabs = [...new Set(sections.map(({ slab }) => slab))];
    const poolKeys = new KeyIndex(pools, PoolsTable.poolKeys);
    const policyKeys = new KeyIndex(policies, PoliciesTable.policyKeys);
    const poolMoves = previous && movesOf(previous.pools.section, pools, PoolsTable.poolKeys);
    const knownNames = previous?.zones.names.known;
    const zones = ZoneTable.load(
      sections,
      slabs,
      {
        policyCount: policies.count(PoliciesTable.policies),
        poolCount: pools.count(PoolsTable.pools),
        find: (kind, low, high) =>
          kind === TargetKind.policy ? policyKeys.find(low, high) : poolKeys.find(low, high),
      },
      {
        before:
          previous === undefined || knownNames === undefined
            ? undefined
            : {
                ...knownNames,
                records: previous.zones.names.records,
                sections: previous.zones.chunks,
                policies: movesOf(previous.policies.section, policies, PoliciesTable.policyKeys),
                pools: poolMoves,
                keys: {
                  before: targetKeys(previous.policies.section, previous.pools.section),
                  after: targetKeys(policies, pools),
                },
              },
        isVerified,
        targets: resolved?.targets,
      },
    );
    if ("error" in zones) return zones;
    const strayView = strayViewOf(sections, zones);
    if (strayView !== undefined) return { error: strayView };
    const others = sections.filter(({ kind }) => kind !== SectionKind.names);
    if (previous !== undefined && hasSameShared(previous.#parts.sections, others)) {
      const links = { ...previous.#parts.links, names: wordsOf(zones.names) };
      return new World({ seed, sections: others, slabs, links, zones }, pools, policies);
    }
    const before = previous && {
      section: previous.policies.section,
      poolOfLink: previous.#parts.links.poolOfLink,
      moves: poolMoves,
    };
    const poolOfLink =
      resolved?.pools.length === policies.count(SharedTable.links)
        ? sharedWords(resolved.pools)
        : poolsOfLinks(policies, (low, high) => poolKeys.find(low, high), before);
    const links = resolveLinks(others, pools, policies, poolOfLink, zones);
    const world = new World({ seed, sections: others, slabs, links, zones }, pools, policies);
    if (resolved !== undefined) return world;
    const dangling = danglingLink(world, ofKind(others, SectionKind.classifier));
    return dangling === undefined ? world : { error: dangling };
  }

  /** Goes through what a policy more asks of the load after this one, and leaves nothing behind: V8 compiles it before somebody waits. */
  rehearseMoves(): void {
    const [pools, policies] = [this.pools.section, this.policies.section];
    const counts = {
      policyCount: policies.count(PoliciesTable.policies),
      poolCount: pools.count(PoolsTable.pools),
    };
    const keyOf = targetKeys(policies, pools);
    // The first one goes and comes back.
    const indexes = Int32Array.from({ length: counts.policyCount }, (_, at) => at).fill(-1, 0, 1);
    const moves = { policies: indexes, pools: undefined };
    const keys = { before: keyOf, after: keyOf };
    const places = this.zones.names.known?.places.moved(moves, counts, keys);
    if (counts.policyCount > 0) places?.numberOf(TargetKind.policy);
  }

  /**
   * Opens what `share()` of another thread of this process gave: it was checked there. Takes as long for a million names as for ten.
   * Zones of the origins in `withheld` are left out, as in a manifest that is cut.
   */
  static open(shared: SharedWorld, withheld: readonly string[] = []): World {
    const { seed, places, links } = shared;
    const slabs = shared.slabs.map((buffer) => new Slab(buffer));
    const sections: Section[] = [];
    for (let at = 0; at < places.length; at += 2)
      sections.push(new Section(slabs[places[at]!]!, places[at + 1]!));
    const names = { slabs, ...links.names };
    const gone = new Set(withheld.map((origin) => key64(zoneKeyText(origin))));
    const zones = ZoneTable.open(ofKind(sections, SectionKind.zone), names, [], gone);
    const [pools] = ofKind(sections, SectionKind.pools);
    const [policies] = ofKind(sections, SectionKind.policies);
    assert(pools !== undefined && policies !== undefined, "a shared world has pools and policies");
    return new World({ seed, sections, slabs, links, zones }, pools, policies);
  }

  /** The zones that a view shows, by its index; `zones` for `NO_VIEW`. */
  zonesOf(view: number): ZoneTable {
    if (view === NO_VIEW) return this.zones;
    const known = this.#viewZones[view];
    if (known !== undefined) return known;
    const name = this.views?.names[view];
    return name === undefined ? this.zones : (this.#viewZones[view] = this.zones.inView(name));
  }

  /** The zones that whoever sees this one sees. */
  zonesBeside({ view }: LoadedZone): ZoneTable {
    return view === undefined
      ? this.zones
      : this.zonesOf(this.views?.names.indexOf(view) ?? NO_VIEW);
  }

  /** What a later load of the very same sections need not work out again; in the thread that loaded them. */
  resolvedLinks(): ResolvedLinks {
    return { pools: this.#parts.links.poolOfLink, targets: targetsOf(this.zones.names) };
  }

  /** What another thread of this process opens. */
  share(): SharedWorld {
    const { seed, sections, slabs, links } = this.#parts;
    return {
      seed,
      slabs: slabs.map(({ buffer }) => {
        assert(buffer instanceof SharedArrayBuffer, "a shared world lies in shared memory");
        return buffer;
      }),
      places: Uint32Array.from(sections.flatMap(({ slab, start }) => [slabs.indexOf(slab), start])),
      links,
    };
  }

  /** Slot of an endpoint, branch or latch key; −1 where this snapshot has none. */
  slotOfKey(key: bigint): number {
    return this.slotOfHalves(keyLow(key), keyHigh(key));
  }

  /** The same by the halves of the key. */
  slotOfHalves(low: number, high: number): number {
    const slots = (this.#slots ??= this.#slotIndex());
    const mask = slots.length - 1;
    for (let at = slotHash(low, high) & mask; ; at = (at + 1) & mask) {
      const slot = slots[at]!;
      if (slot < 0 || (this.slotKeyLow(slot) === low && this.slotKeyHigh(slot) === high))
        return slot;
    }
  }

  #slots: Int32Array | undefined;
  /** Slot by hash of its key, half full. Built on first use: only the overlay's writer looks slots up by key. */
  #slotIndex(): Int32Array {
    const slots = new Int32Array(1 << (33 - Math.clz32(this.slotCount))).fill(-1);
    const mask = slots.length - 1;
    for (let slot = 0; slot < this.slotCount; slot++) {
      if (slot >= this.poolEpochSlots && slot < this.branchSlots) continue;
      let at = slotHash(this.slotKeyLow(slot), this.slotKeyHigh(slot)) & mask;
      while (slots[at]! >= 0) at = (at + 1) & mask;
      slots[at] = slot;
    }
    return slots;
  }

  /** The stable key of a slot (pool epochs: the pool's key). */
  slotKey(slot: number): bigint {
    return (BigInt(this.slotKeyHigh(slot)) << 32n) | BigInt(this.slotKeyLow(slot));
  }

  /** Lower half of a slot's key. */
  slotKeyLow(slot: number): number {
    return this.#slotWord(slot, 0);
  }

  /** Upper half of a slot's key. */
  slotKeyHigh(slot: number): number {
    return this.#slotWord(slot, 1);
  }

  #slotWord(slot: number, half: number): number {
    const { pools, policies, poolEpochSlots, branchSlots, latchSlots } = this;
    if (slot < poolEpochSlots) return pools.words[this.#endpointKeys + slot * 2 + half]!;
    if (slot < branchSlots)
      return pools.words[this.#poolKeys + (slot - poolEpochSlots) * 2 + half]!;
    if (slot < latchSlots)
      return policies.words[this.#branchKeys + (slot - branchSlots) * 2 + half]!;
    return policies.words[this.#latchKeys + (slot - latchSlots) * 2 + half]!;
  }

  /** Writes the keys of all slots that have one that outlives the revision (not pool epochs), in their order, to the first two of each `stride` words. */
  copySlotKeys(target: Uint32Array, stride: number): void {
    const { pools, policies } = this;
    let at = 0;
    for (const [words, base, count] of [
      [pools.words, this.#endpointKeys, pools.endpointCount],
      [policies.words, this.#branchKeys, policies.branchCount],
      [policies.words, this.#latchKeys, policies.nodeCount],
    ] as const) {
      for (let word = base; word < base + count * 2; word += 2, at += stride) {
        target[at] = words[word]!;
        target[at + 1] = words[word + 1]!;
      }
    }
  }

  /** Where what another snapshot has is in this one, by key. */
  runsFrom(before: World): WorldRuns {
    const pools = (table: number): readonly KeyRun[] =>
      keyRuns(before.pools.section, this.pools.section, table);
    const policies = (table: number): readonly KeyRun[] =>
      keyRuns(before.policies.section, this.policies.section, table);
    return {
      pools: pools(PoolsTable.poolKeys),
      endpoints: pools(PoolsTable.endpointKeys),
      policies: policies(PoliciesTable.policyKeys),
      nodes: policies(PoliciesTable.latchKeys),
      branches: policies(PoliciesTable.branchKeys),
    };
  }

  /** The overlay before anything was observed: unknown verdicts, declared weights and dials, no latch. In `memory` for `slotCount`, whatever is there. */
  initialSlots(memory?: Uint32Array): Uint32Array {
    const slots = memory === undefined ? new Uint32Array(this.slotCount) : memory.fill(0);
    slots.fill(INITIAL_ENDPOINT_SLOT, 0, this.poolEpochSlots);
    const { words, branchBase, branchCount } = this.policies;
    const { branchSlots } = this;
    for (let branch = 0, at = branchBase; branch < branchCount; branch++, at += BRANCH_WORDS) {
      const dial = Math.min(words[at + BranchWord.dial]!, PER_MILLE);
      slots[branchSlots + branch] = branchSlot(words[at + BranchWord.weight]!, dial);
    }
    return slots;
  }

  /**
   * Whether a value that a slot had with an older snapshot, or before a start, counts with this one: weights and dials of branches are the
   * documents', unless they were given others.
   */
  outlives(slot: number, value: number): boolean {
    if (slot < this.poolEpochSlots || slot >= this.latchSlots) return true;
    return slot >= this.branchSlots && (value & BRANCH_OVERRIDDEN) !== 0;
  }

  /** What a branch leads to: `node/NAME`, `pool/NAMESPACE/NAME`, or `name/HOST.` in lower case. */
  branchTarget(branch: number): string {
    const { policies, pools } = this;
    const target = policies.branchWord(branch, BranchWord.target);
    const kind = policies.branchWord(branch, BranchWord.settings) & 0xff;
    if (kind === BranchTarget.node) return `node/${policies.nodeName(target)}`;
    if (kind !== BranchTarget.pool) return `name/${policies.nameAt(target).toLowerCase()}`;
    const pool = policies.poolOfLink[target] ?? -1;
    return `pool/${pool < 0 ? "missing" : pools.poolName(pool)}`;
  }

  /** Branches of a node, its fallback left out; none where there is no such node. `policy` is `NAMESPACE/NAME`. */
  branchesOf(policy: string, node: string): { branch: number; target: string }[] {
    const slot = this.slotOfKey(key64(`latch/${policy}/${node}`));
    if (slot < this.latchSlots) return [];
    const first = this.policies.nodeWord(slot - this.latchSlots, NodeWord.branchStart);
    const count = this.policies.nodeWord(slot - this.latchSlots, NodeWord.branchCount);
    return Array.from({ length: count }, (_, index) => ({
      branch: first + index,
      target: this.branchTarget(first + index),
    }));
  }

  /** Equal in two snapshots as long as what routed names are answered from is. */
  get routing(): string {
    return this.#parts.sections
      .filter(({ kind }) => routingKinds.has(kind))
      .map(({ kind, key, length, checksum }) => `${kind} ${key} ${length} ${checksum}`)
      .join();
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

/** Why a zone would be shown to nobody, or to everybody, in words. */
function strayViewOf(sections: readonly Section[], { zones }: ZoneTable): string | undefined {
  const [views] = ofKind(sections, SectionKind.views);
  const names = new Set(views === undefined ? [] : ViewTable.open(views).names);
  const stray = zones.find(({ view }) => view !== undefined && !names.has(view));
  return stray && `Zone section is of view "${stray.view}", which is not in the snapshot`;
}

function slotHash(low: number, high: number): number {
  return mix32(low ^ Math.imul(high, 0x9e3779b1));
}

function ofKind(sections: readonly Section[], wanted: number): Section[] {
  return sections.filter(({ kind }) => kind === wanted);
}

function openClassifiers(sections: readonly Section[]): Classifier[] {
  const maps = new Map(
    ofKind(sections, SectionKind.locationMap).map((section) => [
      section.key,
      LocationMap.open(section),
    ]),
  );
  return ofKind(sections, SectionKind.classifier).map((section) =>
    Classifier.open(section, (key) => maps.get(key)),
  );
}

function resolveLinks(
  sections: readonly Section[],
  pools: Section,
  policies: Section,
  poolOfLink: Int32Array,
  zones: ZoneTable,
): WorldLinks {
  const classifiers = ofKind(sections, SectionKind.classifier);
  const classifierIndex = new Map(classifiers.map(({ key }, index) => [key, index]));
  const classifierOfLink = new Int32Array(new SharedArrayBuffer(poolOfLink.byteLength));
  for (let link = 0; link < poolOfLink.length; link++)
    classifierOfLink[link] =
      poolOfLink[link]! >= 0
        ? -1
        : (classifierIndex.get(policies.keyAt(SharedTable.links, link)) ?? -1);
  const endpointKeys = new KeyIndex(pools, PoolsTable.endpointKeys);
  const classCounts = classifiers.map((section) => section.count(ClassifierTableId.classes));
  const [addresses] = ofKind(sections, SectionKind.addresses);
  return {
    poolOfLink,
    classifierOfLink,
    aliases: resolveAliases(policies, addresses),
    addressEntryOf: entriesOf(addresses, pools.count(PoolsTable.endpoints), (key) =>
      endpointKeys.findKey(key),
    ),
    audienceStarts: audienceStarts(
      policies,
      (link) => classCounts[classifierOfLink[link] ?? -1] ?? 0,
    ),
    names: wordsOf(zones.names),
  };
}

/** What policies and pools are called, given as index × 2 + kind. */
function targetKeys(policies: Section, pools: Section): (target: number) => string {
  return (target) => {
    const key =
      (target & 1) === TargetKind.policy
        ? policies.keyAt(PoliciesTable.policyKeys, target >> 1)
        : pools.keyAt(PoolsTable.poolKeys, target >> 1);
    return String(key);
  };
}

/** What other threads need. */
function wordsOf({ records, links, places }: NamesTable): NamesWords {
  return { records, links, places };
}

function sharedWords(words: Int32Array): Int32Array {
  const shared = new Int32Array(new SharedArrayBuffer(words.byteLength));
  shared.set(words);
  return shared;
}

/**
 * Where each entry of a table is in the snapshot after it, −1 where it is gone; undefined where all are where they were and there are no others,
 * so that what led nowhere still does.
 */
function movesOf(before: Section, after: Section, table: number): Int32Array | undefined {
  const count = before.count(table);
  const runs = keyRuns(before, after, table);
  const [first] = runs;
  const isSame = first === undefined ? count === 0 : first.length === count && first.to === 0;
  if (isSame && after.count(table) === count) return undefined;
  const moves = new Int32Array(count).fill(-1);
  for (const { from, to, length } of runs)
    for (let at = 0; at < length; at++) moves[from + at] = to + at;
  return moves;
}

/** Whether two snapshots differ in their zones alone, so that all other links lead where they led. */
function hasSameShared(before: readonly Section[], after: readonly Section[]): boolean {
  const shared = (sections: readonly Section[]): Section[] =>
    sections.filter(({ kind }) => kind !== SectionKind.zone);
  const old = shared(before);
  const now = shared(after);
  return old.length === now.length && now.every((section, index) => section === old[index]);
}

/** Why the first section that cannot be read by index cannot, or undefined. Zones look at theirs when they are opened. */
function firstError(
  sections: readonly Section[],
  sound: ReadonlySet<Section>,
  previous: World | undefined,
): string | undefined {
  const large = previous === undefined ? [] : [previous.pools.section, previous.policies.section];
  const before = new Map(large.map((section) => [section.kind, section]));
  for (const section of sections) {
    const error = sound.has(section) ? undefined : sharedFlaw(section, before.get(section.kind));
    if (error !== undefined) return error;
  }
  return undefined;
}

/** What a policy needs and the snapshot lacks, in words, or undefined. */
function danglingLink(world: World, sections: readonly Section[]): string | undefined {
  const { policies, classifiers, classifierOfLink } = world;
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
