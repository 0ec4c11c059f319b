// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  mergeLatencySamples,
  preferenceOrder,
  readLatencyCsv,
} from "../../data-sets/latency-table.ts";
import { classifierOf, mapOf, orderOf } from "../classify-sample.ts";
import { compileLatency } from "./compile.ts";

const branches = [
  { site: "us", coordinates: { latitude: 39, longitude: -77.5 } },
  { site: "eu", coordinates: { latitude: 50.1, longitude: 8.7 } },
  { site: "ap", coordinates: { latitude: 1.4, longitude: 103.8 } },
];
const map = mapOf({
  "192.0.2.0/24": { country: "DE", latitude: 50.8, longitude: 10 },
  "198.51.100.0/24": { country: "US", latitude: 38.5, longitude: -95 },
});

function tableOf(csv: string): ReturnType<typeof mergeLatencySamples> {
  return mergeLatencySamples(new Map(), readLatencyCsv(Buffer.from(csv)));
}

describe("compileLatency()", () => {
  it("goes by distance where nothing is measured", () => {
    const classifier = classifierOf(compileLatency({ branches, table: new Map(), map }));
    assert.deepEqual(orderOf(classifier, "192.0.2.1"), [1, 0, 2]);
    assert.deepEqual(orderOf(classifier, "198.51.100.1"), [0, 1, 2]);
    assert.deepEqual(orderOf(classifier, "203.0.113.1"), [0, 1, 2]);
  });

  it("goes by what was measured, before distance, and fits unmeasured sites in by distance", () => {
    const table = tableOf("192.0.2.128/25,us,20\n192.0.2.128/25,eu,90\n");
    const classifier = classifierOf(compileLatency({ branches, table, map }));
    // Singapore is some 10,200 km away: 102 ms.
    assert.deepEqual(orderOf(classifier, "192.0.2.129"), [0, 1, 2]);
    assert.equal(classifier.scope, 25);
    assert.deepEqual(orderOf(classifier, "192.0.2.1"), [1, 0, 2]);
  });

  it("takes what a narrower prefix lacks from the wider one around it", () => {
    const table = tableOf("10.0.0.0/8,us,10\n10.0.0.0/8,eu,50\n10.1.0.0/16,ap,30\n");
    const classifier = classifierOf(compileLatency({ branches, table }));
    assert.deepEqual(orderOf(classifier, "10.1.2.3"), [0, 2, 1]);
    assert.deepEqual(orderOf(classifier, "10.2.2.3"), [0, 1, 2]);
  });

  it("gives the branches as listed where nothing is measured and no map estimates", () => {
    const table = tableOf("10.0.0.0/8,ap,10\n");
    const classifier = classifierOf(compileLatency({ branches, table }));
    assert.deepEqual(orderOf(classifier, "10.1.2.3"), [2, 0, 1]);
    assert.deepEqual(orderOf(classifier, "203.0.113.1"), [0, 1, 2]);
    assert.deepEqual(orderOf(classifier, "2001:db8::1"), [0, 1, 2]);
  });

  it("changes the preference only for 10 % and 5 ms", () => {
    const base =
      "10.0.0.0/8,us,100,1,2026-01-01T00:00:00Z\n10.0.0.0/8,eu,120,1,2026-01-01T00:01:00Z\n";
    const orderAfter = (row: string): number[] => {
      const table = tableOf(`${base}10.0.0.0/8,eu,${row},2026-01-01T00:02:00Z\n`);
      return orderOf(classifierOf(compileLatency({ branches, table })), "10.0.0.1").slice(0, 2);
    };
    assert.deepEqual(orderAfter("95,1000"), [0, 1], "better by 5 % only");
    assert.deepEqual(orderAfter("89,1000"), [1, 0]);
    const near = tableOf("10.0.0.0/8,us,20\n10.0.0.0/8,eu,25\n10.0.0.0/8,eu,16,1000\n");
    const order = orderOf(classifierOf(compileLatency({ branches, table: near })), "10.0.0.1");
    assert.deepEqual(order.slice(0, 2), [0, 1], "better by 4 ms only");
  });
});

describe("mergeLatencySamples()", () => {
  it("smooths in time order, whatever the order of the rows", () => {
    const rows = [
      "10.0.0.0/8,eu,100,1,2026-01-01T00:00:00Z",
      "10.0.0.0/8,eu,200,1,2026-01-01T00:00:01Z",
      "10.0.0.0/8,eu,50,2,2026-01-01T00:00:02Z",
    ];
    const rttOf = (csv: string): number =>
      tableOf(csv).get("10.0.0.0/8")?.sites.get("eu")?.rttMs ?? 0;
    // 100 → 120 → 0.64 × 120 + 0.36 × 50.
    assert.ok(Math.abs(rttOf(rows.join("\n")) - 94.8) < 1e-9);
    assert.equal(rttOf(rows.toReversed().join("\n")), rttOf(rows.join("\n")));
  });

  it("adds to a table without changing it and leaves out what is older", () => {
    const first = tableOf("10.0.0.0/8,eu,100,1,100\n");
    const added = mergeLatencySamples(
      first,
      readLatencyCsv(Buffer.from("10.0.0.0/8,eu,200,1,200\n")),
    );
    const late = mergeLatencySamples(
      added,
      readLatencyCsv(Buffer.from("10.0.0.0/8,eu,900,1,150\n")),
    );
    const times = [first, added, late].map(
      (table) => table.get("10.0.0.0/8")?.sites.get("eu")?.rttMs,
    );
    assert.deepEqual(times, [100, 120, 120]);
  });
});

describe("preferenceOrder()", () => {
  it("never prefers a site that another one beats clearly", () => {
    const times = new Map([
      ["a", 100],
      ["b", 92],
      ["c", 88],
    ]);
    assert.deepEqual(preferenceOrder(times, ["a", "b", "c"]), ["c", "a", "b"]);
    assert.deepEqual(preferenceOrder(times, []), ["c", "b", "a"]);
  });
});

describe("readLatencyCsv()", () => {
  it("names the line that is wrong", () => {
    for (const row of [
      "10.0.0.0/8,eu,-1",
      "10.0.0.0/8,eu,",
      "10.0.0.0/8,,1",
      "10.0.0.0/8,eu,1,0",
      "x,eu,1",
    ]) {
      const csv = Buffer.from(`prefix,site,rtt_ms,samples,measured_at\n${row}\n`);
      assert.throws(() => readLatencyCsv(csv), /line 2 is /, row);
    }
  });
});
