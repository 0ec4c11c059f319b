// SPDX-License-Identifier: Apache-2.0
import {
  policyFor,
  poolsOf,
  type PolicyPlan,
  type PoolPlan,
  type ServicePlan,
} from "../data/plan.ts";
import { formatNet, regions } from "../data/regions.ts";
import type { Serving } from "./adapter.ts";

// The documents that say for Meridian what a plan says. One JSON document a line.

const PLACES = "bench-places";
const LATENCIES = "bench-latency";
const NETWORKS = "bench-asn";
const CHECK = "bench-web";
const ASN_FIRST = 64_500;

/** What a document's spec is made of. */
export type Json =
  | null
  | boolean
  | number
  | string
  | readonly Json[]
  | { readonly [key: string]: Json };

/** Zones, and where policies decide also sites, data sets and the health check. */
export function* baseDocuments(serving: Serving, hasPolicies: boolean): Generator<string> {
  for (const origin of serving.plan.origins) {
    yield document("Zone", origin, {
      origin,
      ttl: "60s",
      ...(serving.dnssec === undefined ? {} : { dnssec: { denial: serving.dnssec } }),
      // A master file brings its own SOA and NS records.
      ...(hasPolicies
        ? { nameServers: [{ name: `ns1.${origin}`, addresses: ["127.0.0.1"] }] }
        : { file: `${origin}.zone` }),
    });
  }
  if (!hasPolicies) return;
  for (const { name, country, continent, latitude, longitude } of regions) {
    yield document("Site", name, { country, continent, coordinates: { latitude, longitude } });
  }
  const kinds = new Set(serving.plan.policies.map((policy) => policy.kind));
  if (kinds.has("geo") || kinds.has("proximity")) {
    yield document("DataSet", PLACES, { prefixes: { path: "places.csv" } });
  }
  if (kinds.has("asn")) yield document("DataSet", NETWORKS, { asn: { path: "networks.csv" } });
  if (kinds.has("latency")) {
    yield document("DataSet", LATENCIES, { latency: { path: "latency.csv" } });
  }
  const { intervalSeconds, threshold, port, isDisabled = false } = serving.check;
  yield document("HealthCheck", CHECK, {
    http: { port, path: "/" },
    interval: `${intervalSeconds * 1000}ms`,
    // Nearly the whole interval: an endpoint whose prober waits for its core is not down.
    timeout: `${Math.min(5000, Math.floor(intervalSeconds * 900))}ms`,
    unhealthyThreshold: threshold,
    healthyThreshold: threshold,
    ...(isDisabled ? { disabled: true } : {}),
  });
}

/** Pools and policies. */
export function* policyDocuments({ plan }: Serving): Generator<string> {
  for (const pool of poolsOf(plan)) yield document("Pool", pool.name, poolSpec(pool));
  for (const policy of plan.policies) {
    yield document("TrafficPolicy", policy.name, {
      root: "root",
      nodes: { root: nodeSpec(policy) },
    });
  }
}

/** One Record for each owner from the first on, bound to its policy. */
export function* recordDocuments(
  plan: ServicePlan,
  first: number,
  count: number,
): Generator<string> {
  const end = Math.min(first + count, plan.owners.length);
  for (let index = first; index < end; index += 1) {
    const name = plan.owners[index] ?? "";
    yield document("Record", name, { name, types: ["A"], policy: policyFor(plan, index).name });
  }
}

/** The network map as places, `prefix,country,latitude,longitude`. */
export function placesText({ nets }: Serving): string {
  const places = regions.map(
    ({ country, latitude, longitude }) => `${country},${latitude},${longitude}`,
  );
  return nets.map((net) => `${formatNet(net)},${places[net.region] ?? ""}\n`).join("");
}

/** The network map as autonomous systems, one a region: `prefix,asn`. */
export function networksText({ nets }: Serving): string {
  return nets.map((net) => `${formatNet(net)},${ASN_FIRST + net.region}\n`).join("");
}

/** Measured round trips: each network is nearest to the site of its region. */
export function tableText({ nets }: Serving): string {
  const rows = nets.flatMap((net) =>
    regions.map(({ name }, site) => {
      const milliseconds = 10 + 80 * ((site - net.region + regions.length) % regions.length);
      return `${formatNet(net)},${name},${milliseconds},100,2026-01-01T00:00:00Z\n`;
    }),
  );
  return `prefix,site,rtt_ms,samples,measured_at\n${rows.join("")}`;
}

/** One JSON line. */
export function document(kind: string, name: string, spec: Json): string {
  return `${JSON.stringify({ apiVersion: "meridian.dev/v1alpha1", kind, metadata: { name }, spec })}\n`;
}

function poolSpec(pool: PoolPlan): Json {
  const members = pool.endpoints.map(
    ({ name, address }) => [name, { address, site: siteOf(pool) }] as const,
  );
  return { members: Object.fromEntries(members), healthCheck: CHECK };
}

function nodeSpec(policy: PolicyPlan): Json {
  const branches = (
    extra: (pool: PoolPlan, index: number) => Readonly<Record<string, Json>>,
  ): Json => policy.pools.map((pool, index) => ({ pool: pool.name, ...extra(pool, index) }));
  const isDefault = (index: number): Readonly<Record<string, Json>> =>
    index === 0 ? { default: true } : {};
  const weight = (_pool: PoolPlan, index: number): Readonly<Record<string, Json>> => ({
    weight: policy.weights[index] ?? 1,
  });
  switch (policy.kind) {
    case "weighted":
    case "capacity":
    case "sticky":
      return { [policy.kind]: { branches: branches(weight) } };
    case "geo":
      return {
        geo: {
          dataSet: PLACES,
          branches: branches((pool, index) => ({
            countries: [regions[pool.region]?.country ?? ""],
            ...isDefault(index),
          })),
        },
      };
    case "proximity":
      return {
        proximity: { dataSet: PLACES, branches: branches((pool) => ({ site: siteOf(pool) })) },
      };
    case "latency":
      return {
        latency: { dataSet: LATENCIES, branches: branches((pool) => ({ site: siteOf(pool) })) },
      };
    case "subnet":
      return {
        subnet: {
          branches: branches((_pool, index) => ({
            prefixes: [`${32 * (index + 1)}.0.0.0/3`],
            ...isDefault(index),
          })),
        },
      };
    case "asn":
      return {
        asn: {
          dataSet: NETWORKS,
          branches: branches((pool, index) => ({
            asns: [ASN_FIRST + pool.region],
            ...isDefault(index),
          })),
        },
      };
    case "failover":
      return {
        failover: { tiers: policy.pools.map((pool) => ({ branches: [{ pool: pool.name }] })) },
      };
    case "multivalue":
    case "roundRobin":
      return { [policy.kind]: { branches: branches(() => ({})) } };
  }
}

function siteOf(pool: PoolPlan): string {
  return regions[pool.region]?.name ?? "";
}
