// SPDX-License-Identifier: Apache-2.0

// Which endpoints a target reaches: looked up once for each snapshot, as shifts, fenced panels and recovery ask again and again, and there may be
// 100,000 of them.

import { key64 } from "@meridian/core";
import type { Model } from "@meridian/model";
import type { World } from "@meridian/snapshot";

/** Endpoints that are remembered for one snapshot, over all targets. */
const KNOWN_MAX = 2_000_000;

type Sites = Pick<Model, "siteChain">;

interface Known {
  readonly model: Sites;
  readonly byTarget: Map<string, Uint32Array>;
  size: number;
}

const knownByWorld = new WeakMap<World, Known>();

/** Those of `site/NAME`, `pool/NS/NAME` or `endpoint/NS/POOL/NAME`, ascending: those for which `shiftReaches` holds. */
export function reachedBy(model: Sites, world: World, target: string): Uint32Array {
  let known = knownByWorld.get(world);
  if (known === undefined || known.model !== model) {
    known = { model, byTarget: new Map(), size: 0 };
    knownByWorld.set(world, known);
  }
  const found = known.byTarget.get(target);
  if (found !== undefined) return found;
  const reached = lookedUp(model, world, target);
  if (known.size + reached.length + 1 > KNOWN_MAX) {
    known.byTarget.clear();
    known.size = 0;
  }
  known.byTarget.set(target, reached);
  known.size += reached.length + 1;
  return reached;
}

function lookedUp(model: Sites, world: World, target: string): Uint32Array {
  const { pools } = world;
  const [kind = "", ...rest] = target.split("/");
  const name = rest.join("/");
  if (kind === "endpoint") {
    const index = pools.endpointIndexOf(key64(target));
    return index < 0 ? new Uint32Array() : Uint32Array.of(index);
  }
  const reached: number[] = [];
  if (kind === "pool") {
    for (let pool = 0; pool < pools.poolCount; pool++) {
      if (!`${pools.poolName(pool)}/`.startsWith(`${name}/`)) continue;
      const start = pools.memberStart(pool);
      for (let at = 0; at < pools.memberCount(pool); at++) reached.push(start + at);
    }
    return Uint32Array.from(reached);
  }
  if (kind !== "site") return new Uint32Array();
  const sites = new Map<string, boolean>();
  for (let endpoint = 0; endpoint < pools.endpointCount; endpoint++) {
    const site = pools.siteOf(endpoint);
    const isReached =
      sites.get(site) ?? model.siteChain(site).some(({ metadata }) => metadata.name === name);
    sites.set(site, isReached);
    if (isReached) reached.push(endpoint);
  }
  return Uint32Array.from(reached);
}
