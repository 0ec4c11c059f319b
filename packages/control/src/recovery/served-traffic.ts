// SPDX-License-Identifier: Apache-2.0

// What recovery looks at of what is served: which endpoints a target has and how healthy they are, and where names lead.

import { parseName } from "@meridian/dns";
import { reachablePools } from "@meridian/model";
import {
  BoundType,
  Found,
  NameLookup,
  QueryName,
  Shape,
  TargetKind,
  type World,
} from "@meridian/snapshot";
import { slotState } from "@meridian/snapshot/surface";
import type { Embedded } from "../embedded.ts";
import { shiftReaches } from "../shift-effects.ts";
import { branchTarget } from "../weights/weight-overrides.ts";

/** How many endpoints there are of a target, and of what health; those without a check count as healthy. */
export interface TargetHealth {
  readonly total: number;
  readonly healthy: number;
  readonly unhealthy: number;
}

type Served = Pick<Embedded, "model" | "world" | "overlay">;

export class ServedTraffic {
  readonly #served: Served;

  constructor(served: Served) {
    this.#served = served;
  }

  /** Whether there is anything to look at. */
  get isServed(): boolean {
    return this.#served.model !== undefined && this.#served.world !== undefined;
  }

  /** What the branches of a weighted or sticky node weigh by their document, by where they lead (`branchTarget`); a text says why there are none. */
  weightedBranches(policy: string, node: string): ReadonlyMap<string, number> | string {
    const document = this.#served.model?.policies.get(policy);
    if (document === undefined) return `there is no TrafficPolicy ${policy}`;
    const { nodes } = document.spec;
    const found = Object.hasOwn(nodes, node) ? nodes[node] : undefined;
    if (found === undefined) return `TrafficPolicy ${policy} has no node ${node}`;
    const branches = found.weighted?.branches ?? found.sticky?.branches;
    if (branches === undefined)
      return `node ${node} of TrafficPolicy ${policy} is neither weighted nor sticky`;
    const { namespace } = document.metadata;
    return new Map(branches.map((each) => [branchTarget(namespace, each), each.weight]));
  }

  /** Keys of the endpoints of `site/NAME`, `pool/NS/NAME` or `endpoint/NS/POOL/NAME`; none while nothing is served. */
  endpoints(target: string): readonly string[] {
    const { model, world } = this.#served;
    if (model === undefined || world === undefined) return [];
    return indices(world)
      .filter((index) => shiftReaches(model, world, target, index))
      .map((index) => world.endpointName(index));
  }

  health(target: string): TargetHealth {
    const { model, world } = this.#served;
    if (model === undefined || world === undefined) return { total: 0, healthy: 0, unhealthy: 0 };
    const states = indices(world)
      .filter((index) => shiftReaches(model, world, target, index))
      .map((index) => this.#verdict(world, index));
    return {
      total: states.length,
      healthy: states.filter((each) => each === "healthy").length,
      unhealthy: states.filter((each) => each === "unhealthy").length,
    };
  }

  /** The longest that a resolver keeps an answer for one of these names; undefined where none of them is decided here. */
  ttlMs(names: readonly string[]): number | undefined {
    const found = names.flatMap((name) => this.#bound(name));
    return found.length === 0 ? undefined : Math.max(...found.map(({ ttlMs }) => ttlMs));
  }

  /**
   * Whether every endpoint that these names may be answered with now is healthy, and there is one for each name; undefined where none is known to be
   * otherwise, but some are not judged yet.
   */
  isGreen(names: readonly string[]): boolean | undefined {
    const { world } = this.#served;
    if (world === undefined) return undefined;
    const states = names.map((name) => {
      const pools = this.#bound(name).flatMap((each) => each.pools);
      if (pools.length === 0) return true;
      const found = indices(world)
        .filter((index) =>
          pools.some((pool) => world.endpointName(index).startsWith(`endpoint/${pool}/`)),
        )
        .filter((index) => slotState(this.#served.overlay.read(index)).admin === "active")
        .map((index) => this.#verdict(world, index));
      if (found.length === 0 || found.includes("unhealthy")) return false;
      return found.every((each) => each === "healthy") ? true : undefined;
    });
    if (states.some((each) => each === false)) return false;
    return states.every((each) => each === true) ? true : undefined;
  }

  #verdict(world: World, index: number): string {
    const [, namespace = "", pool = ""] = world.endpointName(index).split("/");
    const isChecked = this.#served.model?.pool(namespace, pool)?.document.spec.healthCheck;
    if (isChecked === undefined) return "healthy";
    return slotState(this.#served.overlay.read(index)).verdict;
  }

  /** What a name is bound to; none where it is not decided here. */
  #bound(text: string): { readonly ttlMs: number; readonly pools: readonly string[] }[] {
    const { world } = this.#served;
    const wire = parseName(text.endsWith(".") ? text : `${text}.`);
    if (world === undefined || !(wire instanceof Uint8Array)) return [];
    const name = new QueryName(world.zones.seed);
    name.set(wire, 0, wire.length, 0);
    const zone = world.zones.find(name, 0);
    if (zone === undefined) return [];
    const lookup = new NameLookup();
    const found = lookup.find(zone, name, false);
    const { chunk } = lookup;
    if (found !== Found.exact && found !== Found.wildcard) return [];
    return Object.values(BoundType).flatMap((bit) => {
      const set = lookup.boundSet(bit);
      if (set < 0 || chunk === undefined) return [];
      const word = set >>> 2;
      const packed = chunk.targetOf(chunk.words[word + 1] ?? 0);
      const shape = chunk.shapeAt(chunk.words[word + 2] ?? 0);
      const ttlMs = (chunk.words[shape + Shape.ttlMax] ?? 0) * 1000;
      return [{ ttlMs, pools: this.#poolsOf(world, packed) }];
    });
  }

  /** `NAMESPACE/NAME` of the pools behind a target. */
  #poolsOf(world: World, packed: number): readonly string[] {
    if (packed < 0) return [];
    if ((packed & 1) === TargetKind.pool) return [world.pools.poolName(packed >> 1)];
    const policy = this.#served.model?.policies.get(world.policies.policyName(packed >> 1));
    if (policy === undefined) return [];
    const { namespace } = policy.metadata;
    return [...reachablePools(policy.spec)].map((pool) =>
      pool.includes("/") ? pool : `${namespace}/${pool}`,
    );
  }
}

function indices(world: World): number[] {
  return Array.from({ length: world.pools.endpointCount }, (_, index) => index);
}
