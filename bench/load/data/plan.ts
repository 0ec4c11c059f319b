// SPDX-License-Identifier: Apache-2.0
import { Pcg32 } from "@meridian/core";
import { endpointAddress, regions } from "./regions.ts";

// A plan says what a scenario serves, in words that every rival's configuration can be written from: owner names, each
// bound to a policy over pools of endpoints. All of it follows from a seed.

/** The kinds of policy nodes, named as in a TrafficPolicy. */
export const policyKinds = [
  "weighted",
  "geo",
  "failover",
  "proximity",
  "latency",
  "subnet",
  "asn",
  "multivalue",
  "roundRobin",
  "capacity",
  "sticky",
] as const;

/** A kind of policy node. */
export type PolicyKind = (typeof policyKinds)[number];

/** An address that is answered. */
export interface EndpointPlan {
  readonly name: string;
  readonly address: string;
  /** Whether its health check fails from the start. */
  readonly isDown: boolean;
}

/** Endpoints of one region. */
export interface PoolPlan {
  readonly name: string;
  /** Index into `regions`. */
  readonly region: number;
  readonly endpoints: readonly EndpointPlan[];
}

/** One decision over some pools, which are branches or tiers in order. */
export interface PolicyPlan {
  readonly name: string;
  readonly kind: PolicyKind;
  readonly pools: readonly PoolPlan[];
  readonly weights: readonly number[];
}

/** What a scenario serves. */
export interface ServicePlan {
  readonly seed: number;
  /** Zone names without a trailing dot. */
  readonly origins: readonly string[];
  /** Absolute owner names without a trailing dot; a wildcard begins with `*.`. */
  readonly owners: readonly string[];
  /** By owner: index into `origins`. */
  readonly zoneOf: Uint8Array;
  /** By owner: index into `policies`. */
  readonly policyOf: Uint32Array;
  readonly policies: readonly PolicyPlan[];
}

/** How large a plan is. */
export interface PlanSize {
  readonly names: number;
  readonly policies: number;
  readonly endpoints: number;
  readonly zones: number;
  /** Share of the names that are wildcards, 0..1. */
  readonly wildcards: number;
  /** Kinds of policies in turn; all where it is left out. */
  readonly kinds?: readonly PolicyKind[];
}

/** The size at which the budgets of the large run are stated: 3 pools a policy make 30,000. */
export const millionSize: PlanSize = {
  names: 1_000_000,
  policies: 10_000,
  endpoints: 100_000,
  zones: 3,
  wildcards: 0.1,
};

const POOLS_PER_POLICY = 3;
const DOWN_ONE_IN = 100;

/** The size of a small plan. */
export interface SmallSize {
  readonly names: number;
  /** Endpoints of each pool. */
  readonly members: number;
  /** Whether one pool of each name is down: the first of even names, the second of odd ones. */
  readonly hasDown: boolean;
}

/** A few names of one kind, by default ten, and under `failover` half of the endpoints down. */
export function smallPlan(
  kind: PolicyKind,
  seed: number,
  size: SmallSize = { names: 10, members: 2, hasDown: kind === "failover" },
): ServicePlan {
  const { names, members, hasDown } = size;
  const origin = "small.bench.example";
  let next = 0;
  const policies = Array.from({ length: names }, (_, index): PolicyPlan => {
    const tiers = kind === "failover" ? 2 : POOLS_PER_POLICY;
    const pools = Array.from({ length: tiers }, (_unused, pool): PoolPlan => {
      const isDown = hasDown && pool === index % 2;
      const endpoints = Array.from({ length: members }, (_none, member): EndpointPlan => {
        next += 1;
        return { name: `e${member}`, address: endpointAddress(next), isDown };
      });
      return { name: `small-${index}-${pool}`, region: pool, endpoints };
    });
    return {
      name: `small-${index}`,
      kind,
      pools,
      weights: pools.map((_pool, at) => 10 * (at + 1)),
    };
  });
  return {
    seed,
    origins: [origin],
    owners: policies.map((_policy, index) => `www${index}.${origin}`),
    zoneOf: new Uint8Array(names),
    policyOf: Uint32Array.from(policies.keys()),
    policies,
  };
}

/** Random names over policies of every kind, each pool with at least one endpoint that is up. */
export function largePlan(size: PlanSize, seed: number): ServicePlan {
  const random = new Pcg32(seed);
  const below = (bound: number): number => Math.floor((random.next32() / 2 ** 32) * bound);
  const policies = largePolicies(size, below);
  const origins = Array.from({ length: size.zones }, (_, index) => `zone${index}.bench.example`);
  const owners: string[] = [];
  const zoneOf = new Uint8Array(size.names);
  const policyOf = new Uint32Array(size.names);
  for (let index = 0; index < size.names; index += 1) {
    const zone = below(size.zones);
    const label = `${randomLabel(below)}${index.toString(36)}`;
    const star = below(1000) < size.wildcards * 1000 ? "*." : "";
    owners.push(`${star}${label}.${origins[zone] ?? ""}`);
    zoneOf[index] = zone;
    policyOf[index] = below(size.policies);
  }
  return { seed, origins, owners, zoneOf, policyOf, policies };
}

/** All pools of a plan, each once. */
export function poolsOf(plan: ServicePlan): readonly PoolPlan[] {
  return plan.policies.flatMap((policy) => policy.pools);
}

/** The policy that decides for an owner. */
export function policyFor(plan: ServicePlan, owner: number): PolicyPlan {
  const policy = plan.policies[plan.policyOf[owner] ?? -1];
  if (policy === undefined)
    throw new RangeError(`Cannot find the policy of owner ${owner}: the plan has none`);
  return policy;
}

/** The one address that a static zone holds for an owner. */
export function staticAddress(plan: ServicePlan, owner: number): string {
  return policyFor(plan, owner).pools[0]?.endpoints[0]?.address ?? "127.0.0.1";
}

function largePolicies(size: PlanSize, below: (bound: number) => number): readonly PolicyPlan[] {
  const { kinds = policyKinds } = size;
  const pools = size.policies * POOLS_PER_POLICY;
  let endpoint = 0;
  return Array.from({ length: size.policies }, (_, index): PolicyPlan => {
    const kind = kinds[index % kinds.length] ?? "weighted";
    const members = Array.from({ length: POOLS_PER_POLICY }, (_unused, branch): PoolPlan => {
      const serial = index * POOLS_PER_POLICY + branch;
      const end = Math.floor(((serial + 1) * size.endpoints) / pools);
      const endpoints: EndpointPlan[] = [];
      while (endpoint < end) {
        endpoint += 1;
        const isDown = endpoints.length > 0 && below(DOWN_ONE_IN) === 0;
        endpoints.push({
          name: `e${endpoints.length}`,
          address: endpointAddress(endpoint),
          isDown,
        });
      }
      return { name: `pool-${serial}`, region: branch % regions.length, endpoints };
    });
    return {
      name: `policy-${index}`,
      kind,
      pools: members,
      weights: members.map(() => 1 + below(100)),
    };
  });
}

const letters = "abcdefghijklmnopqrstuvwxyz";

function randomLabel(below: (bound: number) => number): string {
  let label = "";
  for (let left = 4 + below(8); left > 0; left -= 1) label += letters[below(letters.length)] ?? "x";
  return `${label}-`;
}
