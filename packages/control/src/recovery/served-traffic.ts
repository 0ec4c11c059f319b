// SPDX-License-Identifier: Apache-2.0

// What recovery looks at of what is served: which endpoints a target has and how healthy they are, and where names lead.

import { key64 } from "@meridian/core";
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
import { reachedBy } from "../reached-endpoints.ts";
import { branchTarget } from "../weights/weight-overrides.ts";

/** How many endpoints there are of a target, and of what health; those without a check count as healthy. */
export interface TargetHealth {
  readonly total: number;
  readonly healthy: number;
  readonly unhealthy: number;
}

/** Names whose pools are remembered. */
const NAMES_MAX = 10_000;

type Served = Pick<Embedded, "model" | "world" | "overlay">;

export class ServedTraffic {
  readonly #served: Served;
  #known:
    | {
        readonly world: World;
        readonly model: Served["model"];
        readonly pools: Map<string, readonly number[] | undefined>;
      }
    | undefined;

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
    return Array.from(reachedBy(model, world, target), (index) => world.endpointName(index));
  }

  health(target: string): TargetHealth {
    const { model, world } = this.#served;
    if (model === undefined || world === undefined) return { total: 0, healthy: 0, unhealthy: 0 };
    const pools = this.#checkedPools(world);
    const states = Array.from(reachedBy(model, world, target), (index) =>
      this.#verdict(pools(world.pools.poolOfEndpoint(index)), index),
    );
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
    const isChecked = this.#checkedPools(world);
    let isAllGreen = true;
    for (const name of names) {
      const pools = this.#poolsBehind(world, name);
      if (pools === undefined) continue;
      let isThere = false;
      for (const pool of pools) {
        const start = world.pools.memberStart(pool);
        const end = start + world.pools.memberCount(pool);
        for (let index = start; index < end; index++) {
          if (slotState(this.#served.overlay.read(index)).admin !== "active") continue;
          isThere = true;
          const verdict = this.#verdict(isChecked(pool), index);
          if (verdict === "unhealthy") return false;
          if (verdict !== "healthy") isAllGreen = false;
        }
      }
      if (!isThere) return false;
    }
    return isAllGreen ? true : undefined;
  }

  #verdict(isChecked: boolean, index: number): string {
    return isChecked ? slotState(this.#served.overlay.read(index)).verdict : "healthy";
  }

  /** Says whether a pool is checked; looks each one up once. */
  #checkedPools(world: World): (pool: number) => boolean {
    const known = new Map<number, boolean>();
    return (pool) => {
      const found = known.get(pool);
      if (found !== undefined) return found;
      const [namespace = "", name = ""] = world.pools.poolName(pool).split("/");
      const isChecked =
        this.#served.model?.pool(namespace, name)?.document.spec.healthCheck !== undefined;
      known.set(pool, isChecked);
      return isChecked;
    };
  }

  /** Indices of the pools that a name may be answered from; undefined where it is not decided here. Looked up once for each snapshot. */
  #poolsBehind(world: World, name: string): readonly number[] | undefined {
    const { model } = this.#served;
    if (world !== this.#known?.world || model !== this.#known.model)
      this.#known = { world, model, pools: new Map() };
    const { pools: known } = this.#known;
    if (known.has(name)) return known.get(name);
    const names = new Set(this.#bound(name).flatMap((each) => each.pools));
    const pools = [...names]
      .map((pool) => world.pools.poolIndexOf(key64(`pool/${pool}`)))
      .filter((pool) => pool >= 0);
    const found = names.size === 0 ? undefined : pools;
    if (known.size >= NAMES_MAX) known.clear();
    known.set(name, found);
    return found;
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
