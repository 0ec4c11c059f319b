// SPDX-License-Identifier: Apache-2.0

// An hour of 100,000 resolver caches, one by one: what a simulation costs. `node bench/simulate.ts [--caches N] [--ttl 30s]`

import process from "node:process";
import { parseArgs } from "node:util";
import { readScenario, simulate } from "@meridian/control";

const { values } = parseArgs({
  options: {
    caches: { type: "string", default: "100000" },
    ttl: { type: "string", default: "30s" },
  },
});

const sites = ["eu", "us", "ap"];
const document = (kind: string, name: string, spec: object): object => ({
  ...{ apiVersion: "meridian.dev/v1alpha1", kind, metadata: { name }, spec },
});
const documents = [
  ...sites.map((name) => document("Site", name, {})),
  document("HealthCheck", "c", { http: {}, interval: "15s", timeout: "1s" }),
  ...sites.map((site, at) =>
    document("Pool", site, {
      healthCheck: "c",
      members: { a: { address: `192.0.2.${at + 1}`, port: 80, site, capacity: 80_000 } },
    }),
  ),
  document("TrafficPolicy", "p", {
    root: "w",
    nodes: { w: { weighted: { branches: sites.map((pool) => ({ pool, weight: 1 })) } } },
  }),
  document("Zone", "example.org", {
    origin: "example.org",
    nameServers: [{ name: "ns1.example.org", addresses: ["192.0.2.53"] }],
  }),
  document("Record", "www", {
    ...{ name: "www.example.org", types: ["A"], policy: "p", ttl: { max: values.ttl } },
  }),
  document("Scenario", "hour", {
    duration: "1h",
    demand: { all: { name: "www.example.org", rate: 100_000 } },
    resolvers: { all: { caches: Number(values.caches) } },
    edges: { e1: { site: "eu" }, e2: { site: "us" } },
    events: [{ at: "10m", fail: { targets: ["site/eu"] }, for: "10m" }],
  }),
];
const bytes = Buffer.from(documents.map((each) => JSON.stringify(each)).join("\n"));
const { simulated, problems } = readScenario([{ path: "hour.jsonl", bytes }]);
if (simulated === undefined) throw new Error(problems.map(({ message }) => message).join("\n"));

const before = process.cpuUsage();
const { caches, cacheRounds, totals } = await simulate(simulated);
const { user, system } = process.cpuUsage(before);
const cpuSeconds = (user + system) / 1e6;
console.log(
  `${caches} caches for an hour, ${(cacheRounds / 1e6).toFixed(1)} M rounds: ${cpuSeconds.toFixed(1)} s of CPU, ` +
    `${((cpuSeconds * 1e6) / cacheRounds).toFixed(2)} µs a round; ${totals.verdictChanges} verdicts changed`,
);
