// SPDX-License-Identifier: Apache-2.0

// How long before its start a shift lowers the TTL of the names that it reaches: one old TTL, so that every answer of before has run out in
// caches by then. It is looked up by what each part of a zone refers to, not by name: a million names cost some milliseconds.

import { key64 } from "@meridian/core";
import { reachablePools } from "@meridian/model";
import { Shape, TargetKind, type NamesChunk, type World } from "@meridian/snapshot";
import type { ServedModel } from "./served-model.ts";
import { shiftReaches } from "./shift-effects.ts";

/** Until every edge has what was published, and for caches that count whole seconds. */
const SETTLE_MS = 2000;
/** Targets whose reach is remembered. */
const KNOWN_MAX = 1000;

type ServedDocuments = Pick<ServedModel, "siteChain" | "policies">;

/** What a shift of a target is about. */
export interface ShiftReach {
  /** The longest that caches may have been told to keep an answer that names one of its endpoints, milliseconds; 0 where none does. */
  readonly ttlMs: number;
  /** How long before its start TTLs are lowered: as long, and until edges have it. */
  readonly leadMs: number;
  /** The least TTLs of the same answers, seconds: from the shortest to the longest of them; 0 where none does. */
  readonly least: { readonly from: number; readonly to: number };
  /** Keys of the policies and pools whose answers may name one. */
  readonly asked: ReadonlySet<bigint>;
}

/** A part of a zone that refers to such a policy or pool counts with the longest TTL in it. */
export function shiftReach(model: ServedDocuments, world: World, target: string): ShiftReach {
  const reached = reachedTargets(model, world, target);
  const links = new Set(reached.keys());
  const ttls: NameTtls[] = [];
  for (const zone of world.zones.zones)
    for (let index = 0; index < zone.chunkCount; index++) {
      const chunk = zone.chunkAt(index);
      if (refersTo(chunk, links)) ttls.push(ttlsOf(chunk));
    }
  const seconds = ttls.reduce((most, { longest }) => Math.max(most, longest), 0);
  const from = ttls.reduce((least, each) => Math.min(least, each.from), Infinity);
  const to = ttls.reduce((most, each) => Math.max(most, each.to), 0);
  const ttlMs = seconds * 1000;
  const least = { from: Math.min(from, to), to };
  const asked = new Set([...reached.values()].map((name) => key64(name)));
  return { ttlMs, leadMs: seconds === 0 ? 0 : ttlMs + SETTLE_MS, least, asked };
}

/** What targets of one snapshot reach: those of shifts are asked for again and again. */
export class ShiftReaches {
  #world: World | undefined;
  #model: ServedDocuments | undefined;
  readonly #known = new Map<string, ShiftReach>();

  of(model: ServedDocuments, world: World, target: string): ShiftReach {
    if (world !== this.#world || model !== this.#model || this.#known.size >= KNOWN_MAX) {
      this.#known.clear();
      this.#world = world;
      this.#model = model;
    }
    const known = this.#known.get(target) ?? shiftReach(model, world, target);
    this.#known.set(target, known);
    return known;
  }
}

/** Pools with an endpoint that the shift reaches, and the policies that lead to one of them, by what links of names say: index × 2 + kind. */
function reachedTargets(model: ServedDocuments, world: World, target: string): Map<number, string> {
  const pools = new Set<string>();
  const reached = new Map<number, string>();
  for (let pool = 0; pool < world.pools.poolCount; pool++) {
    const start = world.pools.memberStart(pool);
    const end = start + world.pools.memberCount(pool);
    for (let endpoint = start; endpoint < end; endpoint++)
      if (shiftReaches(model, world, target, endpoint)) {
        const name = world.pools.poolName(pool);
        pools.add(name);
        reached.set(pool * 2 + TargetKind.pool, `pool/${name}`);
        break;
      }
  }
  for (let policy = 0; policy < world.policies.policyCount; policy++) {
    const name = world.policies.policyName(policy);
    const document = model.policies.get(name);
    if (document === undefined) continue;
    const { namespace } = document.metadata;
    const leads = [...reachablePools(document.spec)].some((pool) =>
      pools.has(pool.includes("/") ? pool : `${namespace}/${pool}`),
    );
    if (leads) reached.set(policy * 2 + TargetKind.policy, `policy/${name}`);
  }
  return reached;
}

function refersTo(chunk: NamesChunk, reached: ReadonlySet<number>): boolean {
  for (let link = 0; link < chunk.linkCount; link++)
    if (reached.has(chunk.targetOf(link))) return true;
  return false;
}

interface NameTtls {
  readonly longest: number;
  /** The shortest and the longest of the least. */
  readonly from: number;
  readonly to: number;
}

/** Of the names of a chunk that a policy or pool decides, seconds. */
function ttlsOf(chunk: NamesChunk): NameTtls {
  let [longest, from, to] = [0, Infinity, 0];
  for (let shape = 0; shape < chunk.shapeCount; shape++) {
    const at = chunk.shapeAt(shape);
    const least = chunk.words[at + Shape.ttlMin] ?? 0;
    longest = Math.max(longest, chunk.words[at + Shape.ttlMax] ?? 0);
    from = Math.min(from, least);
    to = Math.max(to, least);
  }
  return { longest, from, to };
}
