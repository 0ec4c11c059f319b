// SPDX-License-Identifier: Apache-2.0

// Selection: (client, draw) → endpoints. The loop is Route 53's: choose by policy, drop what is not eligible, renormalise, choose
// again. A node that finds nothing reports unhealthy to its parent, which goes on with its next choice; the root then decides again
// with every verdict taken as healthy (`open`). Nothing here allocates: results lie in fields, scratch space is made once.
//
// select ─► node ─► (by preference | failover | weighted | …) ─► branch ─► node … or pool ─► members

import { mix32 } from "@meridian/core";
import { BRANCH_DIAL_MASK, PER_MILLE } from "./overlay.ts";
import type { Client } from "./client.ts";
import { DIAL_STEP, drawKeeps } from "./draw.ts";
import { isBranchHealthy, meetsMinimum } from "./policies/node-health.ts";
import {
  ANSWERS_MAX,
  BranchFlag,
  BranchTarget,
  BranchWord,
  CANDIDATES_MAX,
  DEPTH_MAX,
  NO_LINK,
  NodeKind,
  NodeWord,
  OnAllUnhealthy,
} from "./policies/policies-format.ts";
import { selectByPreference } from "./policies/by-preference.ts";
import { selectCapacity } from "./policies/capacity/select.ts";
import { selectFailover } from "./policies/failover/select.ts";
import { selectMultivalue } from "./policies/multivalue/select.ts";
import { selectRoundRobin } from "./policies/round-robin/select.ts";
import { selectSticky } from "./policies/sticky/select.ts";
import { selectWeighted } from "./policies/weighted/select.ts";
import { Candidates, Mode } from "./pools/candidates.ts";
import { pickMembers } from "./pools/pick.ts";
import { PoolWord } from "./pools/pools-format.ts";
import { LogTable } from "./rendezvous.ts";
import type { SelectionCounts } from "./selection-counts.ts";
import { Status, WithheldEde, type Trace } from "./trace.ts";
import { variantOf } from "./variants.ts";
import { TargetKind, type World } from "./world.ts";

/** What a decision comes to. */
export const Outcome = { endpoints: 1, alias: 2, noData: 3 } as const;

export { WithheldEde } from "./trace.ts";
export { ANSWERS_MAX } from "./policies/policies-format.ts";
/** Default number of answers of a plain pool (different failure domains); one under weighted kinds. */
const PLAIN_ANSWERS = 2;

export class Selector {
  readonly world: World;
  readonly chosen: Uint32Array = new Uint32Array(ANSWERS_MAX);
  chosenCount: number = 0;
  readonly alias: Uint8Array;
  aliasOffset: number = -1;
  scope: number = 0;
  ede: number = 0;
  trace: Trace | null = null;
  /** Where decisions are counted; null for those that are only asked about. */
  counts: SelectionCounts | null = null;
  /** Node that policies are entered at in place of their root, to ask what it would answer; −1 is the root. */
  startNode: number = -1;

  // What the current decision is about; policies read these.
  slots: Uint32Array = new Uint32Array(0);
  client: Client | null = null;
  draw: number = 0;
  /** The draw by which members keep or lose a decision: of all of it, also where a node decides again. */
  dialDraw: number = 0;
  wantFamily: number = 0;
  /** Answers asked for by the record or the nearest node, 0 where none is; then the pool's, then this default. */
  answers: number = 0;
  defaultAnswers: number = PLAIN_ANSWERS;
  depth: number = 0;
  ignoresDials: boolean = false;
  changeLog2: number = 31;

  /** Set while a `sticky` node decides: salt (0: no such node) and hash of the client prefix. */
  stickySalt: number = 0;
  stickyHash: number = 0;

  /** Of the zone that asks: 0, or into how many variants its answers of several endpoints fall, as a power of two (variants.ts). */
  variantBits: number = 0;
  /** Of the name that asks, where they do. */
  variantSeed: number = 0;
  /** The variant that stands for the draw while several are picked; −1: the draw itself. */
  variant: number = -1;

  /** One weight a branch and depth; a node's branches start at depth × CANDIDATES_MAX. */
  readonly weights: Float64Array = new Float64Array((DEPTH_MAX + 2) * CANDIDATES_MAX);
  /** Scratch of `pickMembers`, multivalue and sticky. */
  readonly scratch: Uint32Array = new Uint32Array(CANDIDATES_MAX);
  readonly scratchWeights: Float64Array = new Float64Array(CANDIDATES_MAX);
  readonly logTable: LogTable = new LogTable();
  readonly #verdict: Candidates;
  /** Made when something fails for the first time. */
  #open: Candidates | undefined;
  #lastKnown: Candidates | undefined;

  /** `before` is of the snapshot before, and not asked any more. */
  constructor(world: World, before?: Selector) {
    this.world = world;
    this.alias = world.policies.bytes;
    this.#verdict = new Candidates(
      world.pools,
      Mode.verdict,
      before === undefined ? undefined : before.#verdict,
    );
    this.#open = undefined;
    this.#lastKnown = undefined;
  }

  /** Least number of seconds, a power of two, until a verdict behind the answer could change. */
  get changeSeconds(): number {
    // Not `2 **`, which calls the mathematics library (20 ns a query).
    return (1 << this.changeLog2) >>> 0;
  }

  /**
   * Decides for `client`. `answersMax` 0 leaves the number of answers to the policy; `wantFamily` 4 or 6 keeps to members that have
   * such an address (or a host name), 0 takes any. Returns an Outcome.
   */
  select(
    slots: Uint32Array,
    targetKind: number,
    targetIndex: number,
    client: Client,
    draw: number,
    wantFamily: number,
    answersMax: number,
  ): number {
    this.slots = slots;
    this.client = client;
    this.draw = draw | 0;
    this.dialDraw = this.draw;
    this.wantFamily = wantFamily;
    this.answers = answersMax;
    this.defaultAnswers = PLAIN_ANSWERS;
    this.chosenCount = 0;
    this.aliasOffset = -1;
    this.scope = 0;
    this.ede = WithheldEde.none;
    this.depth = 0;
    this.ignoresDials = false;
    this.changeLog2 = 31;
    this.stickySalt = 0;
    this.variant = -1;
    const status =
      targetKind === TargetKind.pool
        ? this.#lonePool(targetIndex)
        : this.node(
            this.startNode < 0 ? this.world.policies.rootOf(targetIndex) : this.startNode,
            Mode.verdict,
          );
    if (status === Status.ok) return this.aliasOffset >= 0 ? Outcome.alias : Outcome.endpoints;
    if (this.ede === WithheldEde.none)
      this.ede =
        status === Status.noMatch ? WithheldEde.prohibited : WithheldEde.noReachableAuthority;
    return Outcome.noData;
  }

  candidates(mode: number): Candidates {
    if (mode === Mode.verdict) return this.#verdict;
    if (mode === Mode.open) return (this.#open ??= new Candidates(this.world.pools, Mode.open));
    return (this.#lastKnown ??= new Candidates(this.world.pools, Mode.lastKnown));
  }

  /** A record bound to a pool alone is a root: it opens when nothing is healthy. */
  #lonePool(pool: number): number {
    const status = this.pool(pool, Mode.verdict);
    if (status === Status.ok) return status;
    this.ignoresDials = true;
    const again =
      status === Status.dialed ? this.pool(pool, Mode.verdict) : this.pool(pool, Mode.open);
    return again;
  }

  /** Runs a node and what its `onAllUnhealthy` says where it finds nothing. */
  node(node: number, mode: number): number {
    const policies = this.world.policies;
    const settings = policies.nodeWord(node, NodeWord.settings);
    const outerAnswers = this.answers;
    const outerDefault = this.defaultAnswers;
    const ownAnswers = (settings >>> 16) & 0xff;
    if (ownAnswers > 0 && outerAnswers === 0) this.answers = ownAnswers;
    this.depth += 1;
    let status = this.#attempt(node, settings & 0xff, mode);
    const fallback = (settings >>> 8) & 0xff;
    if (
      status === Status.unhealthy &&
      mode === Mode.verdict &&
      fallback !== OnAllUnhealthy.parent
    ) {
      status = this.#backOut(node, settings & 0xff, fallback);
    }
    if (status === Status.ok && this.counts !== null) this.counts.node(node);
    this.depth -= 1;
    this.answers = outerAnswers;
    this.defaultAnswers = outerDefault;
    return status;
  }

  /** One pass over a node's branches; a second one without dials where every eligible branch was dialed away and nobody else takes it. */
  #attempt(node: number, kind: number, mode: number): number {
    if (this.trace !== null) this.#traceNode(node, mode);
    let status: number;
    if (
      mode === Mode.verdict &&
      this.world.policies.nodeWord(node, NodeWord.minHealthy) !== 0 &&
      !meetsMinimum(this, node)
    ) {
      status = Status.unhealthy;
    } else {
      status = this.#byKind(node, kind, mode);
    }
    if (status === Status.dialed && this.depth === 1) {
      this.ignoresDials = true;
      status = this.#byKind(node, kind, mode);
    }
    if (this.trace !== null)
      this.trace.add({ kind: "nodeEnd", depth: this.depth, node, status, action: "" });
    return status;
  }

  #byKind(node: number, kind: number, mode: number): number {
    switch (kind) {
      case NodeKind.failover:
        return selectFailover(this, node, mode);
      case NodeKind.weighted:
        return selectWeighted(this, node, mode);
      case NodeKind.multivalue:
        return selectMultivalue(this, node, mode);
      case NodeKind.roundRobin:
        return selectRoundRobin(this, node, mode);
      case NodeKind.capacity:
        return selectCapacity(this, node, mode);
      case NodeKind.sticky:
        return selectSticky(this, node, mode);
      default:
        return selectByPreference(this, node, mode);
    }
  }

  /** Deciding again draws anew: else the ways in which the first pass could fail would weigh on the second one's chances. */
  #backOut(node: number, kind: number, action: number): number {
    const draw = this.draw;
    this.draw = mix32(draw) | 0;
    const status = this.#again(node, kind, action);
    this.draw = draw;
    return status;
  }

  #again(node: number, kind: number, action: number): number {
    switch (action) {
      case OnAllUnhealthy.closed:
        this.ede = WithheldEde.noReachableAuthority;
        return Status.stopped;
      case OnAllUnhealthy.lastKnown: {
        const status = this.#attempt(node, kind, Mode.lastKnown);
        return status === Status.ok ? status : this.#attempt(node, kind, Mode.open);
      }
      case OnAllUnhealthy.fallback: {
        const branch =
          this.world.policies.nodeWord(node, NodeWord.branchStart) +
          this.world.policies.nodeWord(node, NodeWord.branchCount);
        const status = this.branch(branch, Mode.verdict, -1, 0, 0);
        return status === Status.ok ? status : this.branch(branch, Mode.open, -1, 0, 0);
      }
      default:
        return this.#attempt(node, kind, Mode.open);
    }
  }

  /**
   * Tries a branch: its dial, then its target. A fenced branch is never left: where its target is unhealthy it is taken as healthy,
   * and where that finds nothing the decision stops without an answer. `order`, `weight` and `total` are what led here, for explain.
   */
  branch(branch: number, mode: number, order: number, weight: number, total: number): number {
    const policies = this.world.policies;
    const settings = policies.branchWord(branch, BranchWord.settings);
    if (this.trace !== null)
      this.trace.add({ kind: "branch", depth: this.depth, branch, order, weight, total });
    const flags = (settings >>> 8) & 0xff;
    let status = this.isDialedAway(branch)
      ? Status.dialed
      : this.#target(branch, settings & 0xff, flags, mode);
    if (
      (flags & BranchFlag.fence) !== 0 &&
      (status === Status.unhealthy || status === Status.noMatch)
    ) {
      status = this.#target(branch, settings & 0xff, flags, Mode.open);
      if (status !== Status.ok) {
        this.ede = WithheldEde.prohibited;
        status = Status.stopped;
      }
    }
    if (status === Status.ok && this.counts !== null) this.counts.branch(branch);
    if (this.trace !== null)
      this.trace.add({ kind: "branchEnd", depth: this.depth, branch, status });
    return status;
  }

  /** True where the branch's dial sends this draw to the next choice. */
  isDialedAway(branch: number): boolean {
    const dial = (this.slots[this.world.branchSlots + branch]! >>> 20) & BRANCH_DIAL_MASK;
    if (dial >= PER_MILLE || this.ignoresDials) return false;
    return !drawKeeps(this.draw, this.world.branchSalt(branch), DIAL_STEP, dial);
  }

  /** True where the pool's own dial sends this draw to the next choice. */
  isPoolDialedAway(pool: number): boolean {
    const dial = this.world.pools.poolWord(pool, PoolWord.dial);
    if (dial >= PER_MILLE || this.ignoresDials) return false;
    return !drawKeeps(this.draw, this.world.poolSalt(pool), DIAL_STEP, dial);
  }

  #target(branch: number, kind: number, flags: number, mode: number): number {
    const index = this.world.policies.branchWord(branch, BranchWord.target);
    const taken = this.takenMode(flags, kind, index, mode);
    if (kind === BranchTarget.pool) return this.pool(this.world.policies.poolOfLink[index]!, taken);
    if (kind === BranchTarget.node) return this.node(index, taken);
    this.aliasOffset = this.world.policies.heap + index;
    return Status.ok;
  }

  /** How a branch takes verdicts. `evaluateHealth: false`: healthy members where there are any, else the unhealthy ones rather than another branch. */
  takenMode(flags: number, kind: number, index: number, mode: number): number {
    if ((flags & BranchFlag.evaluateHealth) !== 0 || mode !== Mode.verdict) return mode;
    return isBranchHealthy(this, kind, index, this.depth) ? mode : Mode.open;
  }

  /** Says how many endpoints are to be picked at the place `salt`: of several, the sets are variants where the zone wants that. */
  beginPicks(wanted: number, salt: number): void {
    const bits = this.variantBits;
    const isVariant = bits > 0 && wanted > 1 && this.stickySalt === 0;
    this.variant = isVariant ? variantOf(this.draw, bits, salt) : -1;
  }

  /** Picks members of a pool into `chosen`. */
  pool(pool: number, mode: number): number {
    if (pool < 0) return Status.unhealthy;
    const table = this.candidates(mode);
    const count = table.count(pool, this.slots);
    this.changeLog2 = Math.min(this.changeLog2, table.changeLog2());
    let status: number = Status.unhealthy;
    if (count > 0) {
      status = this.isPoolDialedAway(pool) ? Status.dialed : pickMembers(this, table, pool, count);
    }
    if (this.trace !== null) this.tracePool(pool, mode, table, count, status);
    return status;
  }

  #traceNode(node: number, mode: number): void {
    const link = this.world.policies.nodeWord(node, NodeWord.classifier);
    let audience = -1;
    let scope = 0;
    if (link !== NO_LINK && this.client !== null) {
      const classifier = this.world.classifiers[this.world.classifierOfLink[link]!]!;
      audience = classifier.classify(this.client);
      scope = classifier.scope;
    }
    this.trace?.add({ kind: "node", depth: this.depth, node, mode, audience, scope });
  }

  /** Tells the trace of a pool that was looked at; only where there is one. */
  tracePool(pool: number, mode: number, table: Candidates, count: number, status: number): void {
    const candidates = Array.from({ length: count }, (_, index) => table.endpoint(index));
    this.trace?.add({ kind: "pool", depth: this.depth, pool, mode, candidates, status });
    for (let index = 0; index < this.chosenCount && status === Status.ok; index++) {
      this.trace?.add({ kind: "chosen", depth: this.depth, endpoint: this.chosen[index]! });
    }
  }
}
