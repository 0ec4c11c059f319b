// SPDX-License-Identifier: Apache-2.0

// From the flat events of a traced selection to a tree of what was looked at.

import {
  Admin,
  adminOf,
  BRANCH_DIAL_MASK,
  BRANCH_OVERRIDDEN,
  BRANCH_WEIGHT_MASK,
  BranchFlag,
  BranchWord,
  EndpointWord,
  HASTENED,
  Mode,
  NodeWord,
  Serve,
  Status,
  Verdict,
  nodeKindName,
  type TraceEvent,
  type World,
} from "../index.ts";

/** A member of a pool and what stood for or against it. */
export interface ExplainMember {
  readonly endpoint: string;
  readonly kept: boolean;
  readonly why: string;
  readonly weight: number;
}

/** A pool that was looked at. */
export interface ExplainPool {
  readonly pool: string;
  readonly status: string;
  readonly members: readonly ExplainMember[];
}

/** A branch: tried with a result, or not tried. */
export interface ExplainBranch {
  readonly target: string;
  readonly result: string;
  /** Weight and the sum it was drawn from, where the choice was by weight. */
  readonly weight?: number;
  readonly of?: number;
  /** Where the weight is another than the document's: that one, and who gave it. */
  readonly instead?: { readonly weight: number; readonly cause: string };
  readonly dial?: number;
  readonly fence: boolean;
  readonly node?: ExplainNode;
  readonly pool?: ExplainPool;
}

/** One pass over a node. */
export interface ExplainNode {
  readonly node: string;
  readonly kind: string;
  /** How verdicts were taken: `as they are`, `all healthy` (open) or `last known`. */
  readonly verdicts: string;
  readonly audience?: number;
  readonly place?: string;
  readonly scope?: number;
  readonly status: string;
  /** Why a failover does not start at its first tier. */
  readonly latch?: string;
  readonly branches: readonly ExplainBranch[];
}

export const statusText: Readonly<Record<number, string>> = {
  [Status.ok]: "chosen",
  [Status.unhealthy]: "unhealthy",
  [Status.dialed]: "dialed away",
  [Status.stopped]: "withheld",
  [Status.noMatch]: "no match",
};

const modeText: Readonly<Record<number, string>> = {
  [Mode.verdict]: "as they are",
  [Mode.open]: "all healthy",
  [Mode.lastKnown]: "last known",
};

/** Roots of the tree: one node, or several where it was decided again, or a lone pool. */
export interface ExplainTree {
  readonly passes: readonly ExplainNode[];
  readonly pools: readonly ExplainPool[];
}

/** What the tree says of a node besides what selection did there, in words. */
export interface NodeWords {
  /** What a classifier saw of the client. */
  readonly placeOf: (node: number) => string | undefined;
  /** When the failover `NAMESPACE/POLICY/NODE` goes back to its first tier by itself; undefined where it does not, or nobody knows. */
  readonly failbackOf: (name: string) => string | undefined;
  /** Why an endpoint has the verdict that it has, who said so and since when; undefined where nobody knows any more. */
  readonly causeOf: (endpoint: string) => string | undefined;
  /** Who gave the branches of a node other weights than the document's, in words; the policy is `NAMESPACE/NAME`. */
  readonly weightCauseOf: (policy: string, node: string) => string | undefined;
  /** The routing control that keeps traffic from an endpoint, where that is known here. */
  readonly switchedOffBy: (endpoint: number) => string | undefined;
  /** The shift that moves traffic away from an endpoint, in words, where that is known here. */
  readonly shiftedBy: (endpoint: number) => string | undefined;
  /** The shift that is about to do so, and when, in words, where that is known here. */
  readonly announcedBy: (endpoint: number) => string | undefined;
}

export function buildTree(
  world: World,
  slots: Uint32Array,
  events: readonly TraceEvent[],
  words: NodeWords,
): ExplainTree {
  const builder = new TreeBuilder(world, slots, events, words);
  return builder.build();
}

class TreeBuilder {
  readonly #world: World;
  readonly #slots: Uint32Array;
  readonly #events: readonly TraceEvent[];
  readonly #words: NodeWords;
  #at = 0;

  constructor(world: World, slots: Uint32Array, events: readonly TraceEvent[], words: NodeWords) {
    this.#world = world;
    this.#slots = slots;
    this.#events = events.filter(({ kind }) => kind !== "chosen");
    this.#words = words;
  }

  build(): ExplainTree {
    const passes: ExplainNode[] = [];
    const pools: ExplainPool[] = [];
    while (this.#at < this.#events.length) {
      const event = this.#events[this.#at];
      if (event?.kind === "node") passes.push(this.#node(event));
      else if (event?.kind === "pool") pools.push(this.#pool(event));
      else this.#at++;
    }
    return { passes, pools };
  }

  #node(start: Extract<TraceEvent, { kind: "node" }>): ExplainNode {
    const { policies } = this.#world;
    this.#at++;
    const tried = new Map<number, ExplainBranch>();
    let status: number = Status.unhealthy;
    for (; this.#at < this.#events.length;) {
      const event = this.#events[this.#at];
      if (event?.kind === "nodeEnd" && event.depth === start.depth) {
        status = event.status;
        this.#at++;
        break;
      }
      if (event?.kind === "branch") tried.set(event.branch, this.#branch(event, start.node));
      else this.#at++;
    }
    const first = policies.nodeWord(start.node, NodeWord.branchStart);
    const count = policies.nodeWord(start.node, NodeWord.branchCount);
    const untried = Array.from({ length: count }, (_, index) => first + index).filter(
      (branch) => !tried.has(branch),
    );
    const place = this.#words.placeOf(start.node);
    const latch = this.#latch(start.node);
    return {
      node: policies.nodeName(start.node),
      kind: nodeKindName[policies.kindOf(start.node)] ?? "unknown",
      verdicts: modeText[start.mode] ?? "as they are",
      ...(start.audience < 0 ? {} : { audience: start.audience, scope: start.scope }),
      ...(place === undefined ? {} : { place }),
      status: statusText[status] ?? "unhealthy",
      ...(latch === undefined ? {} : { latch }),
      branches: [...tried.values(), ...untried.map((branch) => this.#untried(branch, start.node))],
    };
  }

  /** The latch of a failover that has left its first tier. */
  #latch(node: number): string | undefined {
    const { policies } = this.#world;
    const tier = this.#slots[this.#world.latchSlots + node] ?? 0;
    if (!policies.isFailover(node) || tier <= 1) return undefined;
    const name = `${policies.policyName(policies.policyOf(node))}/${policies.nodeName(node)}`;
    const own = this.#words.failbackOf(name);
    const until = `${own === undefined ? "" : `${own}, or `}"meridian failback ${name}"`;
    return `latched on tier ${tier} since a failover: earlier tiers are the last choice until ${until}`;
  }

  #branch(start: Extract<TraceEvent, { kind: "branch" }>, parent: number): ExplainBranch {
    this.#at++;
    let node: ExplainNode | undefined;
    let pool: ExplainPool | undefined;
    let status: number | undefined;
    // A multivalue node gathers from its pools: such a branch has no end of its own.
    for (; this.#at < this.#events.length;) {
      const event = this.#events[this.#at];
      if (event?.kind === "branchEnd" && event.branch === start.branch) {
        status = event.status;
        this.#at++;
        break;
      }
      if (event?.kind === "node") node = this.#node(event);
      else if (event?.kind === "pool") pool = this.#pool(event);
      else break;
    }
    return {
      ...this.#described(start.branch, parent),
      result: status === undefined ? "gathered" : (statusText[status] ?? "unhealthy"),
      ...(start.total > 0 ? { weight: start.weight, of: start.total } : {}),
      ...(node === undefined ? {} : { node }),
      ...(pool === undefined ? {} : { pool }),
    };
  }

  #untried(branch: number, node: number): ExplainBranch {
    return {
      ...this.#described(branch, node),
      result: "not tried",
      weight: this.#slot(branch) & BRANCH_WEIGHT_MASK,
    };
  }

  #described(
    branch: number,
    node: number,
  ): Pick<ExplainBranch, "target" | "fence" | "dial" | "instead"> {
    const { policies } = this.#world;
    const settings = policies.branchWord(branch, BranchWord.settings);
    const slot = this.#slot(branch);
    const dial = (slot >>> 20) & BRANCH_DIAL_MASK;
    const isOverridden = (slot & BRANCH_OVERRIDDEN) !== 0;
    return {
      target: this.#world.branchTarget(branch).replace("/", " "),
      fence: ((settings >>> 8) & BranchFlag.fence) !== 0,
      ...(isOverridden ? { instead: this.#instead(branch, node) } : {}),
      ...(dial < 1000 ? { dial: dial / 10 } : {}),
    };
  }

  #instead(branch: number, node: number): { weight: number; cause: string } {
    const { policies } = this.#world;
    const policy = policies.policyName(policies.policyOf(node));
    const cause = this.#words.weightCauseOf(policy, policies.nodeName(node));
    const weight = policies.branchWord(branch, BranchWord.weight);
    return { weight, cause: cause ?? "given by a rollout or a plan" };
  }

  #pool(event: Extract<TraceEvent, { kind: "pool" }>): ExplainPool {
    this.#at++;
    const { pools } = this.#world;
    const kept = new Set(event.candidates);
    const start = pools.memberStart(event.pool);
    const members = Array.from(
      { length: pools.memberCount(event.pool) },
      (_, index): ExplainMember => {
        const endpoint = start + index;
        return {
          endpoint: this.#world.endpointName(endpoint),
          kept: kept.has(endpoint),
          why: this.#why(endpoint, kept.has(endpoint), event.mode),
          weight: pools.endpointWord(endpoint, EndpointWord.weight) & 0xf_ffff,
        };
      },
    );
    const status =
      event.status === Status.unhealthy && kept.size === 0
        ? "no eligible member"
        : (statusText[event.status] ?? "unhealthy");
    return { pool: pools.poolName(event.pool), status, members };
  }

  /** In one phrase why a member is a candidate or not, and why its TTL is low. */
  #why(endpoint: number, isKept: boolean, mode: number): string {
    const slot = this.#slots[endpoint] ?? 0;
    const standing = this.#standing(slot, endpoint, isKept, mode);
    if ((slot & HASTENED) === 0) return standing;
    return `${standing}; TTL lowered before ${this.#words.announcedBy(endpoint) ?? "a shift"}`;
  }

  #standing(slot: number, endpoint: number, isKept: boolean, mode: number): string {
    const packed = this.#world.pools.endpointWord(endpoint, EndpointWord.weight);
    const serve = (packed >>> 27) & 3;
    const admin = adminOf(slot);
    if (serve === Serve.never) return "serve: never";
    if (admin === Admin.drained)
      return `drained by ${this.#words.shiftedBy(endpoint) ?? "a shift"}`;
    if (admin === Admin.fencedOff)
      return "fenced: control has not renewed the lease for what a panel with fenced hand-over governs";
    if (admin !== Admin.active) {
      const control = this.#words.switchedOffBy(endpoint);
      return control === undefined ? "switched off" : `switched off by routing control ${control}`;
    }
    const verdict = slot & 3;
    const word =
      verdict === Verdict.healthy
        ? "healthy"
        : verdict === Verdict.unhealthy
          ? "unhealthy"
          : "unknown";
    if (isKept)
      return mode === Mode.open && verdict !== Verdict.healthy
        ? `${word}, taken as healthy`
        : serve === Serve.always
          ? "serve: always"
          : word;
    if (verdict !== Verdict.healthy) {
      const cause = this.#words.causeOf(this.#world.endpointName(endpoint));
      return cause === undefined ? word : `${word} ${cause}`;
    }
    return (packed & 0xf_ffff) === 0
      ? "weight 0, others serve"
      : "a better priority serves, or too few are healthy";
  }

  #slot(branch: number): number {
    return this.#slots[this.#world.branchSlots + branch] ?? 0;
  }
}
