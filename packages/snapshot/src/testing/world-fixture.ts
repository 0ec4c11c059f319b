// SPDX-License-Identifier: Apache-2.0
import { Admin, PER_MILLE, Verdict, endpointSlot } from "../overlay.ts";
import type { BranchInput, NodeInput, PolicyInput } from "../policies/policies-writer.ts";
import { writePolicies } from "../policies/policies-writer.ts";
import type { EndpointInput, PoolInput } from "../pools/pools-writer.ts";
import { writePools } from "../pools/pools-writer.ts";
import { openSection, type Section } from "../section.ts";
import type { WrittenSection } from "../section-writer.ts";
import { World } from "../world.ts";

/** A member with documentation addresses, checked, weight 1. */
export function member(
  name: string,
  last: number,
  settings: Partial<EndpointInput> = {},
): EndpointInput {
  return {
    name,
    ipv4: new Uint8Array([192, 0, 2, last]),
    resolve: false,
    weight: 1,
    priority: 0,
    serve: 0,
    isChecked: true,
    unknownServes: false,
    site: "here",
    failureDomain: name,
    capacity: 0,
    port: 0,
    ...settings,
  };
}

export function pool(
  name: string,
  members: readonly EndpointInput[],
  settings: Partial<PoolInput> = {},
): PoolInput {
  return { name, members, answers: 0, dial: PER_MILLE, minHealthy: undefined, ...settings };
}

export function branch(
  target: BranchInput["target"],
  settings: Partial<BranchInput> = {},
): BranchInput {
  return {
    target,
    weight: 1,
    dial: PER_MILLE,
    tier: 0,
    isFence: false,
    evaluateHealth: true,
    ...settings,
  };
}

export function node(
  name: string,
  kind: NodeInput["kind"],
  branches: readonly BranchInput[],
  settings: Partial<NodeInput> = {},
): NodeInput {
  return {
    name,
    kind,
    branches,
    onAllUnhealthy: "parent",
    answers: 0,
    minHealthy: undefined,
    ...settings,
  };
}

export function loadWorld(
  pools: readonly PoolInput[],
  policies: readonly PolicyInput[],
  more: readonly WrittenSection[] = [],
): World {
  const sections = [writePools(pools), writePolicies(policies), ...more].map((written): Section => {
    const section = openSection(written.buffer);
    if ("error" in section) throw new TypeError(section.error);
    return section;
  });
  const world = World.load(sections, 1);
  if ("error" in world) throw new TypeError(world.error);
  return world;
}

export const GOOD: number = endpointSlot(Verdict.healthy, Admin.active, PER_MILLE, PER_MILLE, 5);
export const BAD: number = endpointSlot(Verdict.unhealthy, Admin.active, PER_MILLE, PER_MILLE, 4);
export const DRAINED: number = endpointSlot(
  Verdict.healthy,
  Admin.drained,
  PER_MILLE,
  PER_MILLE,
  5,
);
