// SPDX-License-Identifier: Apache-2.0

// Documents that use every node kind, every way of backing out, dials, fences, minimums, aliases and all bound record types. What the
// replay and chance tests ask is one of `names`. `variant` moves weights, members and a policy, so that a reload changes something.

import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { documents } from "./system.ts";

const policies: Readonly<Record<string, string>> = {
  weighted:
    "{root: w, nodes: {w: {weighted: {branches: [{pool: a, weight: WEIGHT}, {pool: b, weight: 3, dial: 60}, {pool: c, weight: 0}]}}}}",
  failover:
    "{root: f, nodes: {f: {failover: {tiers: [{branches: [{pool: a, weight: 3}, {pool: b, weight: 1}]}, {branches: [{pool: c}]}]}}}}",
  held: "{root: f, nodes: {f: {failover: {failback: hold, holdFor: 1s, tiers: [{branches: [{pool: a}]}, {branches: [{pool: b}]}, {branches: [{pool: c}]}]}}}}",
  manual:
    "{root: f, nodes: {f: {failover: {failback: manual, tiers: [{branches: [{pool: b}]}, {branches: [{pool: a}]}]}}}}",
  geo: "{root: g, nodes: {g: {geo: {branches: [{pool: a, continents: [EU]}, {node: near, countries: [US, JP]}, {pool: c, fence: true, countries: [CN]}]}}, near: {proximity: {branches: [{pool: a, site: west}, {pool: b, site: east, bias: 20}, {pool: c, coordinates: {latitude: 35.68, longitude: 139.69}}]}}}}",
  proximity:
    "{root: n, nodes: {n: {proximity: {formula: single, branches: [{pool: a, site: west, bias: -30}, {pool: b, site: east}]}}}}",
  latency:
    "{root: l, nodes: {l: {latency: {dataSet: rtt, geoDataSet: demo-country, branches: [{pool: a, site: west}, {pool: b, site: east}]}}}}",
  subnet:
    "{root: s, nodes: {s: {subnet: {branches: [{node: w, prefixes: [203.0.113.0/24, 198.18.0.0/15, '2001:db8:1::/48']}, {pool: b, prefixes: [198.18.64.0/20]}, {pool: c, default: true}]}}, w: {weighted: {branches: [{pool: a, weight: 5}, {pool: b, weight: 2}]}, minHealthy: {count: 2}}}}",
  asn: "{root: n, nodes: {n: {asn: {branches: [{pool: a, asns: [15169]}, {pool: b, asns: [13335]}, {pool: c, default: true}]}}}}",
  multivalue:
    "{root: m, nodes: {m: {multivalue: {answers: 4, branches: [{pool: a}, {pool: b}, {pool: c}]}}}}",
  turns:
    "{root: r, nodes: {r: {roundRobin: {branches: [{pool: a}, {pool: b}, {name: other.example.net}]}}}}",
  capacity:
    "{root: c, nodes: {c: {capacity: {branches: [{pool: a, weight: 2}, {pool: b}, {pool: c}]}}}}",
  sticky:
    "{root: s, nodes: {s: {sticky: {salt: one, branches: [{pool: a, weight: 2}, {pool: b}, {pool: c}]}}}}",
  closed:
    "{root: w, nodes: {w: {weighted: {branches: [{pool: a, weight: 1}]}, onAllUnhealthy: closed}}}",
  kept: "{root: w, nodes: {w: {weighted: {branches: [{pool: a, weight: 1}, {pool: b, weight: 1}]}, onAllUnhealthy: lastKnown}}}",
  fallen:
    "{root: w, nodes: {w: {weighted: {branches: [{pool: a, weight: 1}, {pool: b, weight: 1, evaluateHealth: false}]}, minHealthy: {percent: 60}, onAllUnhealthy: fallback, fallback: {name: sorry.example.net}}}}",
  deep: "{root: f, nodes: {f: {failover: {tiers: [{branches: [{node: g}]}, {branches: [{node: w}]}]}}, g: {geo: {branches: [{node: w, continents: [EU, NA]}]}}, w: {weighted: {branches: [{node: s, weight: 4, dial: 50}, {node: r, weight: 1}]}}, s: {sticky: {branches: [{pool: a}, {pool: b}]}}, r: {roundRobin: {branches: [{pool: b, fence: true}, {pool: c}]}}}}",
};

/** Every name that a decision stands behind. */
export const names: readonly string[] = [
  ...Object.keys(policies).map((name) => `${name}.proof.test.`),
  "lone.proof.test.",
  "host.proof.test.",
];

function pool(name: string, first: number, variant: number, more: string): string {
  const members = Array.from({ length: 4 + (variant % 2) }, (_, index) => {
    const last = first + index;
    const ipv6 = index === 3 ? "" : `, alsoAddress: "2001:db8:ff::${last}"`;
    return `m${index}: {address: 192.0.2.${last}${ipv6}, site: ${index % 2 === 0 ? "west" : "east"}, weight: ${index + 1}, priority: ${index === 2 ? 1 : 0}, capacity: ${10 * (index + 1)}}`;
  });
  return `Pool ${name} {healthCheck: alive, members: {${members.join(", ")}}${more}}`;
}

/** The documents. The folder gets the data set that they name. */
export function allKinds(folder: string, variant = 0): string {
  writeFileSync(
    join(folder, "rtt.csv"),
    "prefix,site,rtt_ms,samples,measured_at\n8.8.8.0/24,west,90,20,2026-01-01T00:00:00Z\n8.8.8.0/24,east,10,20,2026-01-01T00:00:00Z\n203.0.113.0/24,west,9,20,2026-01-01T00:00:00Z\n203.0.113.0/24,east,80,20,2026-01-01T00:00:00Z\n",
  );
  return documents(
    "Site west {coordinates: {latitude: 53.35, longitude: -6.26}, country: IE}",
    "Site east {coordinates: {latitude: 40.71, longitude: -74.01}, country: US}",
    "HealthCheck alive {tcp: {port: 1}, interval: 2s}",
    "DataSet rtt {latency: {path: ../rtt.csv}}",
    pool("a", 10, variant, ", answers: 2"),
    pool("b", 20, variant, ", minHealthy: {count: 1}"),
    pool("c", 30, variant, `, dial: ${variant % 3 === 0 ? 100 : 70}`),
    "Pool far {members: {m: {address: far.example.net}}}",
    ...Object.entries(policies).map(
      ([name, spec]) => `TrafficPolicy ${name} ${spec.replace("WEIGHT", String(1 + variant))}`,
    ),
    ...Object.keys(policies).map(
      (name) =>
        `Record ${name}.proof.test {name: ${name}.proof.test, types: [A, AAAA, HTTPS], policy: ${name}, ttl: {min: 1s, max: ${20 + variant}s}, https: {alpn: [h2]}}`,
    ),
    "Record lone.proof.test {name: lone.proof.test, pool: a, ttl: {min: 1s, max: 20s}}",
    "Record host.proof.test {name: host.proof.test, pool: far}",
    `Zone proof.test {origin: proof.test, nameServers: [{name: ns.proof.test, addresses: [127.0.0.1]}], records: [{name: www, type: CNAME, values: [weighted]}, {name: "*.wild", type: TXT, values: ["variant ${variant}"]}]}`,
  );
}
