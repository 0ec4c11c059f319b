// SPDX-License-Identifier: Apache-2.0

// How long before its start a shift lowers the TTL of the names that it reaches: one old TTL, so that every answer of before has run out in
// caches by then. It is looked up by what each part of a zone refers to, not by name: a million names cost some milliseconds.

import { reachablePools } from "@meridian/model";
import { Shape, TargetKind, type NamesChunk, type World } from "@meridian/snapshot";
import type { ServedModel } from "./served-model.ts";
import { shiftReaches } from "./shift-effects.ts";

/** Until every edge has what was published, and for caches that count whole seconds. */
const SETTLE_MS = 2000;
/** Targets whose leads are remembered. */
const KNOWN_MAX = 1000;

type ServedDocuments = Pick<ServedModel, "siteChain" | "policies">;

/**
 * The longest TTL of answers that may name an endpoint of `target`, and the time until edges lower it, in milliseconds. A part of a zone
 * that refers to such a policy or pool counts with the longest TTL in it. 0 where no name is answered with them.
 */
export function leadMsOf(model: ServedDocuments, world: World, target: string): number {
  const reached = reachedTargets(model, world, target);
  let seconds = 0;
  for (const zone of world.zones.zones)
    for (let index = 0; index < zone.chunkCount; index++) {
      const chunk = zone.chunkAt(index);
      if (refersTo(chunk, reached)) seconds = Math.max(seconds, longestTtl(chunk));
    }
  return seconds === 0 ? 0 : seconds * 1000 + SETTLE_MS;
}

/** Leads of the targets of one snapshot: those of shifts are asked for again and again. */
export class ShiftLeads {
  #world: World | undefined;
  #model: ServedDocuments | undefined;
  readonly #known = new Map<string, number>();

  of(model: ServedDocuments, world: World, target: string): number {
    if (world !== this.#world || model !== this.#model || this.#known.size >= KNOWN_MAX) {
      this.#known.clear();
      this.#world = world;
      this.#model = model;
    }
    const known = this.#known.get(target) ?? leadMsOf(model, world, target);
    this.#known.set(target, known);
    return known;
  }
}

/** Pools with an endpoint that the shift reaches, and the policies that lead to one of them: as links of names say it, index × 2 + kind. */
function reachedTargets(model: ServedDocuments, world: World, target: string): Set<number> {
  const pools = new Set<string>();
  const reached = new Set<number>();
  for (let pool = 0; pool < world.pools.poolCount; pool++) {
    const start = world.pools.memberStart(pool);
    const end = start + world.pools.memberCount(pool);
    for (let endpoint = start; endpoint < end; endpoint++)
      if (shiftReaches(model, world, target, endpoint)) {
        pools.add(world.pools.poolName(pool));
        reached.add(pool * 2 + TargetKind.pool);
        break;
      }
  }
  for (let policy = 0; policy < world.policies.policyCount; policy++) {
    const document = model.policies.get(world.policies.policyName(policy));
    if (document === undefined) continue;
    const { namespace } = document.metadata;
    const leads = [...reachablePools(document.spec)].some((pool) =>
      pools.has(pool.includes("/") ? pool : `${namespace}/${pool}`),
    );
    if (leads) reached.add(policy * 2 + TargetKind.policy);
  }
  return reached;
}

function refersTo(chunk: NamesChunk, reached: ReadonlySet<number>): boolean {
  for (let link = 0; link < chunk.linkCount; link++)
    if (reached.has(chunk.targetOf(link))) return true;
  return false;
}

/** Of the names of a chunk that a policy or pool decides, seconds. */
function longestTtl(chunk: NamesChunk): number {
  let seconds = 0;
  for (let shape = 0; shape < chunk.shapeCount; shape++)
    seconds = Math.max(seconds, chunk.words[chunk.shapeAt(shape) + Shape.ttlMax] ?? 0);
  return seconds;
}
