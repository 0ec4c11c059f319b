// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { InputFile } from "@meridian/model";
import { readScenario } from "./read-scenario.ts";
import type { SimulationReport } from "./report.ts";
import { simulate, type SimulatedDocuments } from "./simulate.ts";

const header = "apiVersion: meridian.dev/v1alpha1\nkind:";
const base = [
  `${header} Site\nmetadata: {name: eu}\nspec: {}\n`,
  `${header} Site\nmetadata: {name: us}\nspec: {}\n`,
  `${header} HealthCheck\nmetadata: {name: c}\nspec: {http: {}, interval: 2s, jitter: 0, timeout: 1s, unhealthyThreshold: 2, healthyThreshold: 2}\n`,
  `${header} Pool\nmetadata: {name: eu}\nspec: {healthCheck: c, members: {a: {address: 192.0.2.1, site: eu, port: 80, capacity: 100}}}\n`,
  `${header} Pool\nmetadata: {name: us}\nspec: {healthCheck: c, members: {a: {address: 192.0.2.2, site: us, port: 80, capacity: 150}}}\n`,
  `${header} Zone\nmetadata: {name: example.org}\nspec: {origin: example.org, nameServers: [{name: ns1.example.org, addresses: [192.0.2.53]}]}\n`,
  `${header} TrafficPolicy\nmetadata: {name: p}\nspec: {root: w, nodes: {w: {weighted: {branches: [{pool: eu, weight: 1}, {pool: us, weight: 1}]}}}}\n`,
  `${header} Record\nmetadata: {name: www.example.org}\nspec: {name: www.example.org, types: [A], policy: p, ttl: {max: 10s}}\n`,
  `${header} ControlPanel\nmetadata: {name: main}\nspec: {}\n`,
  `${header} RoutingControl\nmetadata: {name: eu}\nspec: {panel: main, targets: [site/eu]}\n`,
  `${header} RoutingControl\nmetadata: {name: us}\nspec: {panel: main, targets: [site/us]}\n`,
  `${header} SafetyRule\nmetadata: {name: one}\nspec: {panel: main, waitPeriod: 0s, assertion: {controls: [eu, us]}, require: {atLeast: 1}}\n`,
];

function read(spec: string, documents: readonly string[] = base): SimulatedDocuments {
  const text = [
    ...documents,
    `${header} Scenario\nmetadata: {name: test}\nspec:\n${spec.replaceAll(/^/gm, "  ")}\n`,
  ].join("---\n");
  const file: InputFile = { path: "scenario.yaml", bytes: Buffer.from(text) };
  const { simulated, problems } = readScenario([file]);
  assert.ok(simulated !== undefined, problems.map(({ message }) => message).join("\n"));
  return simulated;
}

const demand = `
demand: {all: {name: www.example.org, rate: 100}}
resolvers: {one: {caches: 400}}
`;

function play(spec: string): Promise<SimulationReport> {
  return simulate(read(demand + spec));
}

const near = (found: number | undefined, wanted: number, within: number, what: string): void =>
  assert.ok(
    found !== undefined && Math.abs(found - wanted) <= within,
    `${what}: ${found}, expected ${wanted} ± ${within}`,
  );

describe("simulate()", () => {
  test("a quiet world shares as its policy says, and loses nothing", async () => {
    const report = await play("duration: 2m\n");
    assert.deepEqual(
      [report.totals.errors, report.totals.withheld, report.totals.verdictChanges],
      [0, 0, 0],
    );
    const eu = report.places.find(({ target }) => target === "site/eu");
    near(
      eu?.share.reduce((sum, share) => sum + share / eu.share.length, 0),
      0.5,
      0.05,
      "share",
    );
    near(report.totals.demand, 12_000, 100, "demand");
  });

  test("an endpoint that dies is found out, its load drains with the TTL, and comes back", async () => {
    const report = await play(`
duration: 4m
events:
  - {at: 30s, fail: {targets: [endpoint/default/eu/a]}}
  - {at: 2m, heal: {targets: [endpoint/default/eu/a]}}
expect: {recovery: 30s, verdictChanges: 2, turns: 1, errors: 5, shares: [{target: site/us, from: 60s, to: 2m, min: 99}]}
`);
    assert.deepEqual(
      report.expectations.filter(({ isMet }) => !isMet),
      [],
    );
    const [recovery] = report.recoveries;
    assert.ok(recovery?.detectedSeconds !== undefined && recovery.detectedSeconds <= 5.1);
    assert.ok(recovery.drainedSeconds !== undefined && recovery.drainedSeconds <= 17);
    assert.ok(report.totals.errors > 0);
  });

  test("a shift that what remains cannot carry is refused with numbers; a rule objects to the last control", async () => {
    const report = await play(`
duration: 3m
events:
  - {at: 10s, name: double, demand: {times: 1.6}}
  - {at: 20s, name: much, shift: {target: site/eu}}
  - {at: 30s, control: {set: [{control: eu, state: "Off"}]}, for: 1m}
  - {at: 40s, name: last, control: {set: [{control: us, state: "Off"}]}}
expect: {refused: [much, last], shares: [{target: site/us, from: 60s, to: 80s, min: 99}, {target: site/us, from: 2m, to: 3m, min: 35, max: 65}]}
`);
    assert.deepEqual(
      report.expectations.filter(({ isMet }) => !isMet),
      [],
    );
    assert.match(report.events[1]?.why.join() ?? "", /would carry 160 of 150/);
    assert.ok(report.totals.overloadSeconds > 0);
  });

  test("one seed gives the same bytes, another one others", async () => {
    const spec = `
duration: 1m
edges: {e1: {site: eu}, e2: {site: us}}
events: [{at: 10s, flap: {targets: [pool/default/eu], every: 20s, down: 7s}}]
`;
    const texts = [];
    for (const seed of [1, 1, 2])
      texts.push(JSON.stringify(await simulate(read(demand + spec), { seed })));
    assert.equal(texts[0], texts[1]);
    assert.notEqual(texts[0]?.replace('"seed":1', ""), texts[2]?.replace('"seed":2', ""));
  });
});
