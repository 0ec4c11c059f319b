// SPDX-License-Identifier: Apache-2.0
// Valid models for property tests: documents as they would be written, whose references hold.
import fc from "fast-check";
import type { Document } from "./documents.ts";
import { apiVersion } from "./kinds/metadata.ts";

/** A document as it would be written. */
export interface RawDocument {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: object;
  readonly spec: object;
}

/** A document without what reading adds. */
export function rawOf({ apiVersion, kind, metadata, spec }: Document): RawDocument {
  return { apiVersion, kind, metadata, spec };
}

/** All documents of a model of up to six pools, four checks and a policy of up to five nodes. */
export const modelArbitrary: fc.Arbitrary<readonly RawDocument[]> = fc
  .record({ sites: fc.integer({ min: 1, max: 4 }), checks: fc.integer({ min: 1, max: 4 }) })
  .chain(({ sites, checks }) =>
    fc.tuple(
      fc.tuple(...Array.from({ length: sites }, (_, index) => site(index))),
      fc.tuple(...Array.from({ length: checks }, (_, index) => check(index))),
      fc.array(poolSpec(sites, checks), { minLength: 1, maxLength: 6 }),
      fc.array(fc.subarray(["A", "AAAA", "HTTPS", "SVCB"] as const, { minLength: 1 }), {
        maxLength: 5,
      }),
    ),
  )
  .chain(([sites, checks, pools, records]) =>
    policySpec(pools.length, sites.length).map((policy) => [
      ...sites,
      ...checks,
      ...pools.map((spec, index) => document("Pool", `pool-${index}`, spec)),
      document("TrafficPolicy", "policy", policy),
      document("Zone", "example.org", { origin: "example.org.", nameServers: [server] }),
      ...records.map((types, index) =>
        document("Record", `n${index}.example.org`, {
          name: `N${index}.example.org`,
          types,
          ...(index % 2 === 0 ? { policy: "policy" } : { pool: "pool-0" }),
        }),
      ),
    ]),
  );

const server = { name: "ns.example.org", addresses: ["192.0.2.53", "2001:db8::53"] };

function document(kind: string, name: string, spec: object): RawDocument {
  return { apiVersion, kind, metadata: { name }, spec };
}

function optional<Value>(arbitrary: fc.Arbitrary<Value>, name: string): fc.Arbitrary<object> {
  return fc
    .option(arbitrary, { nil: undefined })
    .map((value) => (value === undefined ? {} : { [name]: value }));
}

function merged(...parts: fc.Arbitrary<object>[]): fc.Arbitrary<object> {
  const none: fc.Arbitrary<object> = fc.constant({});
  return parts.reduce(
    (whole, part) => fc.tuple(whole, part).map(([a, b]) => ({ ...a, ...b })),
    none,
  );
}

const seconds = fc.integer({ min: 1, max: 100 }).map((count) => `${count}s`);

/** Without -0, which JSON does not tell from 0. */
function degreesUpTo(max: number): fc.Arbitrary<number> {
  return fc.double({ min: -max, max, noNaN: true }).map((value) => value + 0);
}

function site(index: number): fc.Arbitrary<RawDocument> {
  const degrees = fc.record({
    latitude: degreesUpTo(90),
    longitude: degreesUpTo(180),
  });
  // A site is part of one before it, so that parents end.
  const parent = fc
    .nat(Math.max(0, index - 1))
    .map((at) => (index === 0 ? {} : { parent: `site-${at}` }));
  const spec = merged(optional(degrees, "coordinates"), optional(fc.nat(), "capacity"), parent);
  return spec.map((each) => document("Site", `site-${index}`, each));
}

function check(index: number): fc.Arbitrary<RawDocument> {
  const probe = fc.constantFrom<object>(
    { http: { path: "/healthz", headers: { "X-A": "" } } },
    { https: { http2: false, expectedStatus: ["204", "200-299"] } },
    { tcp: {} },
    { tls: { minDaysToExpiry: 14 } },
    { grpc: { tls: {} } },
    { dns: { name: "example.org" } },
    { icmp: {} },
    { prometheus: { url: "http://192.0.2.1:9090", query: "up", comparison: { ge: 1 } } },
    { push: {} },
  );
  const spec = merged(
    probe,
    optional(seconds, "interval"),
    optional(fc.constantFrom("healthy", "unhealthy", "unknown"), "initial"),
    optional(fc.constantFrom({ majority: {} }, { percentHealthy: 18 }), "quorum"),
    optional(fc.boolean(), "inverted"),
  );
  return spec.map((each) => document("HealthCheck", `check-${index}`, each));
}

function poolSpec(sites: number, checks: number): fc.Arbitrary<object> {
  const address = fc.oneof(
    fc.ipV4(),
    fc.ipV6(),
    fc.constantFrom("www.example.net", "a_b.example.net."),
  );
  const member = merged(
    address.map((text) => ({ address: text })),
    optional(fc.integer({ min: 1, max: 65_535 }), "port"),
    optional(fc.integer({ min: 0, max: 1_000_000 }), "weight"),
    optional(
      fc.nat(sites - 1).map((at) => `site-${at}`),
      "site",
    ),
    optional(fc.constantFrom("auto", "always", "never"), "serve"),
  );
  const name = fc.stringMatching(/^[a-z][a-z0-9]{0,8}$/);
  const minHealthy = fc.oneof(
    fc.nat(8).map((count) => ({ count })),
    fc.integer({ min: 1, max: 100 }).map((percent) => ({ percent, perFamily: true })),
  );
  return merged(
    fc.dictionary(name, member, { maxKeys: 4 }).map((members) => ({ members: { ...members } })),
    optional(
      fc.nat(checks - 1).map((at) => `check-${at}`),
      "healthCheck",
    ),
    optional(minHealthy, "minHealthy"),
    optional(fc.integer({ min: 0, max: 100 }), "dial"),
  );
}

function policySpec(pools: number, sites: number): fc.Arbitrary<object> {
  const nodes = fc
    .integer({ min: 1, max: 5 })
    .chain((count) =>
      fc.tuple(...Array.from({ length: count }, (_, index) => node(index, count, pools, sites))),
    );
  return nodes.map((each) => ({
    root: "node-0",
    nodes: Object.fromEntries(each.map((spec, index) => [`node-${index}`, spec])),
  }));
}

/** A node that leads only to later ones, so that there is no cycle. */
function node(index: number, count: number, pools: number, sites: number): fc.Arbitrary<object> {
  const toPool = fc.nat(pools - 1).map((at) => ({ pool: `pool-${at}` }));
  const toName = fc.constant({ name: "www.example.net" });
  const toNode = fc.integer({ min: index + 1, max: count }).map((at) => ({ node: `node-${at}` }));
  const target: fc.Arbitrary<object> =
    index + 1 < count
      ? fc.oneof(
          toPool,
          toName,
          toNode.filter(({ node: to }) => to !== `node-${count}`),
        )
      : fc.oneof(toPool, toName);
  const two = (...extras: readonly object[]): fc.Arbitrary<object> =>
    fc
      .tuple(...extras.map((extra) => target.map((each) => ({ ...each, ...extra }))))
      .map((branches) => ({ branches }));
  const at = fc.nat(sites - 1).map((chosen) => ({ site: `site-${chosen}` }));
  const near = at.chain((place) =>
    two({ ...place, bias: -99 }, { coordinates: { latitude: 1.25, longitude: -0.01 } }),
  );
  const kinds: Record<string, fc.Arbitrary<object>> = {
    geo: two({ continents: ["EU"], countries: ["US"] }, { default: true }),
    proximity: near,
    subnet: two({ prefixes: ["192.0.2.0/24", "2001:db8::/32"] }, { default: true }),
    asn: two({ asns: [64_500] }, { default: true }),
    failover: two({}, { weight: 3 }).map((tier) => ({
      tiers: [tier],
      failback: "hold",
      holdFor: "1m",
    })),
    weighted: two({ weight: 0 }, { weight: 1_000_000 }, { weight: 3, fence: true }),
    multivalue: two({}, {}),
    roundRobin: two({}, { dial: 50 }),
    capacity: two({}, { weight: 2 }),
    sticky: two({}, {}).map((body) => ({ ...body, stickyPrefix: { ipv4: 20 } })),
  };
  const body = fc
    .constantFrom(...Object.keys(kinds))
    .chain((kind) => (kinds[kind] ?? two({})).map((each) => ({ [kind]: each })));
  const backout = fc.constantFrom<object>(
    {},
    { onAllUnhealthy: "closed" },
    { onAllUnhealthy: "fallback", fallback: { name: "sorry.example.net" } },
  );
  return merged(body, backout);
}
