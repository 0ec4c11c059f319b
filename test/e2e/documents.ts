// SPDX-License-Identifier: Apache-2.0

/** `www.e2e.example`: the first of two endpoints that is well, over both families. */
export interface Pair {
  readonly port: number;
  readonly primary: string;
  readonly secondary: string;
  readonly intervalMs: number;
  readonly timeoutMs: number;
}

/** The documents of a pair of endpoints in a failover. */
export function failoverDocuments(pair: Pair): string {
  return [
    document("Zone", "e2e.example", {
      origin: "e2e.example",
      nameServers: [{ name: "ns.e2e.example", addresses: ["127.0.0.1"] }],
    }),
    document("HealthCheck", "alive", {
      http: { path: "/" },
      interval: `${pair.intervalMs}ms`,
      timeout: `${pair.timeoutMs}ms`,
      unhealthyThreshold: 2,
      healthyThreshold: 2,
    }),
    poolDocument("primary", pair.primary, "2001:db8::1", pair.port),
    poolDocument("secondary", pair.secondary, "2001:db8::2", pair.port),
    document("TrafficPolicy", "www", {
      root: "tiers",
      nodes: {
        tiers: {
          failover: {
            tiers: [{ branches: [{ pool: "primary" }] }, { branches: [{ pool: "secondary" }] }],
          },
        },
      },
    }),
    document("Record", "www.e2e.example", { name: "www.e2e.example", policy: "www" }),
  ].join("");
}

/** The same pair behind `manual.e2e.example` and `hold.e2e.example`, whose failovers do not go back by themselves, or only after an hour. */
export function latchedDocuments(pair: Pair): string {
  const failover = {
    tiers: [{ branches: [{ pool: "primary" }] }, { branches: [{ pool: "secondary" }] }],
  };
  const settings = { manual: { failback: "manual" }, hold: { failback: "hold", holdFor: "1h" } };
  return (
    failoverDocuments(pair) +
    Object.entries(settings)
      .flatMap(([name, own]) => [
        document("TrafficPolicy", name, {
          root: "tiers",
          nodes: { tiers: { failover: { ...failover, ...own } } },
        }),
        document("Record", `${name}.e2e.example`, { name: `${name}.e2e.example`, policy: name }),
      ])
      .join("")
  );
}

/** `www.e2e.example` with one address that nobody probes. */
export function plainDocuments(address: string): string {
  return [
    document("Zone", "e2e.example", {
      origin: "e2e.example",
      nameServers: [{ name: "ns.e2e.example", addresses: ["127.0.0.1"] }],
      records: [{ name: "www", type: "A", values: [address] }],
    }),
  ].join("");
}

function poolDocument(name: string, address: string, alsoAddress: string, port: number): string {
  const member = { address, alsoAddress, port };
  return document("Pool", name, { healthCheck: "alive", members: { only: member } });
}

/** A document as one line of JSON, which is YAML too. */
export function document(kind: string, name: string, spec: object): string {
  const text = { apiVersion: "meridian.dev/v1alpha1", kind, metadata: { name }, spec };
  return `---\n${JSON.stringify(text)}\n`;
}
