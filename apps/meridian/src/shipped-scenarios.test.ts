// SPDX-License-Identifier: Apache-2.0

// The scenarios that come with Meridian: each goes as it expects, and several do not where their policy is made worse.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, test } from "node:test";
import { readScenario, simulate, type SimulationReport } from "@meridian/control";
import { formatProblem } from "@meridian/model";
import { scenarioPath, shippedScenarios } from "./shipped-scenarios.ts";

const scenarios = shippedScenarios();

async function play(name: string, change: (text: string) => string): Promise<SimulationReport> {
  const path = scenarioPath(name) ?? "";
  const bytes = Buffer.from(change(readFileSync(path, "utf8")));
  const { simulated, problems } = readScenario([{ path, bytes }]);
  assert.ok(simulated !== undefined, problems.map(formatProblem).join("\n"));
  assert.deepEqual(problems, []);
  return simulate(simulated);
}

function missed({ expectations }: SimulationReport): string[] {
  return expectations
    .filter(({ isMet }) => !isMet)
    .map(({ text, found }) => `${text}: found ${found}`);
}

/** One policy, or what it stands on, made worse: `was` stands in the file once or more. */
const worse: readonly {
  readonly name: string;
  readonly what: string;
  readonly was: string;
  readonly is: string;
  readonly misses: RegExp;
}[] = [
  {
    name: "one-endpoint-flaps",
    what: "without damping",
    was: "flapDamping: { maxFlips: 4, window: 5m, hold: 10m }",
    is: "inverted: false",
    misses: /verdict changes/,
  },
  {
    name: "failback-held",
    what: "with fail-back at once",
    was: "failback: hold\n        holdFor: 5m\n",
    is: "failback: auto\n",
    misses: /turns/,
  },
  {
    name: "edge-cut-off",
    what: "with an edge that freezes",
    was: "edge-eu: { site: eu }",
    is: "edge-eu: { site: eu, isolation: freeze }",
    misses: /errors/,
  },
  {
    name: "everything-looks-dead",
    what: "with a root that closes",
    was: "nodes:\n    near:\n",
    is: "nodes:\n    near:\n      onAllUnhealthy: closed\n",
    misses: /without an endpoint/,
  },
  {
    name: "switch-over",
    what: "with the rule overridden",
    was: "set: [{ control: us, state: Off }]",
    is: "set: [{ control: us, state: Off }], override: [one-serves]",
    misses: /refused/,
  },
  {
    name: "flash-crowd",
    what: "with clients tied to their continent",
    was: "root: by-room\n  nodes:\n",
    is: "root: tied\n  nodes:\n    tied:\n      geo:\n        branches:\n          - { pool: eu, continents: [EU] }\n          - { node: by-room, default: true }\n",
    misses: /errors/,
  },
  {
    name: "region-lost-at-peak",
    what: "with a standby that has its whole weight before it has grown",
    was: "{ pool: standby, weight: 1 }",
    is: "{ pool: standby, weight: 5 }",
    misses: /overload/,
  },
];

describe("scenarios that come with Meridian", () => {
  test("there are twenty, each named as its file and with a word on what it shows", () => {
    assert.equal(scenarios.length, 20);
    for (const { name, description } of scenarios) assert.ok(description.length > 40, name);
  });

  for (const { name, path } of scenarios)
    test(`${name} goes as it expects`, async () => {
      const report = await play(name, (text) => text);
      assert.equal(report.scenario, name, path);
      assert.ok(report.expectations.length > 0);
      assert.deepEqual(missed(report), []);
    });

  for (const { name, what, was, is, misses } of worse)
    test(`${name} is missed ${what}`, async () => {
      const report = await play(name, (text) => {
        assert.ok(text.includes(was), `${name} has no ${was}`);
        return text.replaceAll(was, is);
      });
      assert.match(missed(report).join("\n"), misses);
    });
});
