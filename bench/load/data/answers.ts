// SPDX-License-Identifier: Apache-2.0
import {
  policyFor,
  staticAddress,
  type PolicyPlan,
  type PoolPlan,
  type ServicePlan,
} from "./plan.ts";
import { regions } from "./regions.ts";

/** Whether a server decides by policy and health, or holds one address a name. */
export type AnswerMode = "policy" | "static";

/**
 * What a right answer may hold, as the loader reads it: `RCODE SET|SET|…` with one set of addresses, or one for each
 * client region where the policy decides by it.
 */
export function expectedLine(plan: ServicePlan, owner: number, mode: AnswerMode): string {
  if (mode === "static") return `0 ${staticAddress(plan, owner)}`;
  return `0 ${allowedSets(policyFor(plan, owner)).join("|")}`;
}

function allowedSets(policy: PolicyPlan): readonly string[] {
  switch (policy.kind) {
    // Networks, places, autonomous systems and round trips are all laid out by region.
    case "geo":
    case "proximity":
    case "latency":
    case "asn":
      return regions.map((_region, index) =>
        healthy(policy.pools.filter((pool) => pool.region === index)),
      );
    case "failover": {
      const tier = policy.pools.find((pool) => pool.endpoints.some((endpoint) => !endpoint.isDown));
      return [healthy(tier === undefined ? policy.pools : [tier])];
    }
    case "weighted":
    case "subnet":
    case "multivalue":
    case "roundRobin":
    case "capacity":
    case "sticky":
      return [healthy(policy.pools)];
  }
}

function healthy(pools: readonly PoolPlan[]): string {
  const endpoints = pools.flatMap((pool) => pool.endpoints);
  const up = endpoints.filter((endpoint) => !endpoint.isDown);
  return (up.length > 0 ? up : endpoints).map((endpoint) => endpoint.address).join(",");
}
