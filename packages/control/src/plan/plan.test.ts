// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { carriedSlots } from "@meridian/health";
import { Admin, PER_MILLE, Verdict, endpointSlot, worldOf, type World } from "@meridian/snapshot";
import { changedParts, withChange } from "../served-model.ts";
import { shiftChanges } from "../shift-effects.ts";
import { compileModel, modelOf } from "../testing/control-fixture.ts";
import { flowPicture } from "./flow-picture.ts";
import { plannedEffect, type NamedProfile, type PlannedPair } from "./plan.ts";

const header = "apiVersion: meridian.dev/v1alpha1\nkind:";
const base = [
  `${header} Site\nmetadata: {name: eu}\nspec: {capacity: 100}\n`,
  `${header} Site\nmetadata: {name: us}\nspec: {capacity: 60}\n`,
  `${header} HealthCheck\nmetadata: {name: c}\nspec: {tcp: {}, interval: 2s, jitter: 0, timeout: 1s, unhealthyThreshold: 2}\n`,
  `${header} Pool\nmetadata: {name: eu}\nspec: {healthCheck: c, members: {a: {address: 192.0.2.1, site: eu, port: 80}}}\n`,
  `${header} Pool\nmetadata: {name: us}\nspec: {healthCheck: c, members: {a: {address: 192.0.2.2, site: us, port: 80}}}\n`,
  `${header} Zone\nmetadata: {name: example.org}\nspec: {origin: example.org, nameServers: [{name: ns1.example.org, addresses: [192.0.2.53]}]}\n`,
];
const policy = (eu: number, us: number): string =>
  `${header} TrafficPolicy\nmetadata: {name: p}\nspec: {root: w, nodes: {w: {weighted: {branches: [{pool: eu, weight: ${eu}}, {pool: us, weight: ${us}}]}}}}\n`;
const record = (name: string, ttl: string): string =>
  `${header} Record\nmetadata: {name: ${name}}\nspec: {name: ${name}, types: [A], policy: p, ttl: {max: ${ttl}}}\n`;
const mail = (host: string): string =>
  `${header} RecordSet\nmetadata: {name: mx}\nspec: {name: mail.example.org, type: MX, ttl: 5m, values: ["10 ${host}."]}\n`;

const texts = (parts: readonly string[]): string => [...base, ...parts].join("---\n");
const www = record("www.example.org", "20s");

function pairOf(text: string, before?: PlannedPair): PlannedPair {
  const model = modelOf(text);
  const world = worldOf(compileModel(model).sections, 1);
  assert.ok(typeof world === "object");
  const slots =
    before === undefined ? healthySlots(world) : carriedSlots(before.world, before.slots, world);
  return { world, slots, model: withChange(undefined, changedParts(model, undefined, "id")) };
}

/** Every verdict is healthy and a day old, so that TTLs are the longest. */
function healthySlots(world: World): Uint32Array {
  const slots = world.initialSlots();
  slots.fill(
    endpointSlot(Verdict.healthy, Admin.active, PER_MILLE, PER_MILLE, 16),
    0,
    world.pools.endpointCount,
  );
  return slots;
}

const profile: NamedProfile = {
  name: "default/peak",
  spec: {
    unit: "requests/s",
    demand: { all: { name: "www.example.org", from: { everywhere: {} }, rate: 100 } },
  },
};
const before = pairOf(
  texts([policy(3, 1), www, record("old.example.org", "20s"), mail("a.example.net")]),
);

describe("plannedEffect()", () => {
  test("the same documents change nothing: no name, no load", async () => {
    const { names, traffic } = await plannedEffect(before, { ...before }, profile);
    assert.deepEqual([names.changed, names.changedCount, names.isComplete], [[], 0, true]);
    assert.ok(traffic?.flows.every(({ from, to }) => from === to));
  });

  test("names that answer differently are told with whom they lose and gain, and what a TTL becomes", async () => {
    const after = pairOf(
      texts([policy(1, 3), record("www.example.org", "10s"), mail("b.example.net")]),
      before,
    );
    const { names, budgets } = await plannedEffect(before, after, undefined);
    assert.deepEqual(
      names.changed.map(({ name, change, records, ttl }) => [name, change, records, ttl?.after]),
      [
        ["mail.example.org.", "changed", true, undefined],
        ["old.example.org.", "removed", false, undefined],
        ["www.example.org.", "changed", false, 10],
      ],
    );
    const [everywhere] = names.changed[2]?.audiences ?? [];
    assert.ok(everywhere !== undefined && everywhere.audience === "everywhere");
    // Of the draws that chose between 1/4 and 3/4 the half moves, and nobody else.
    assert.ok(Math.abs(everywhere.moved - 0.5) < 0.1, String(everywhere.moved));
    assert.deepEqual(
      [everywhere.before[0]?.target, everywhere.after[0]?.target],
      ["pool/default/eu", "pool/default/us"],
    );
    // 2 s × 2 + 1 s + 100 ms; 10 ms; 100 ms; 10 s; caches that keep it for a minute.
    assert.deepEqual(budgets, [
      {
        name: "www.example.org.",
        ...{ detectionMs: 5100, decisionMs: 10, publishMs: 100, ttlMs: 10_000 },
        ...{ drainMs: 50_000, totalMs: 65_210 },
      },
    ]);
  });

  test("load moves with the answers, drains as caches do, and what it overloads is marked and drawn", async () => {
    const slots = before.slots.slice();
    const drain = { target: "site/eu", percent: 100 };
    for (const { slot, mask, value } of shiftChanges(
      before.model,
      before.world,
      { read: (at) => slots[at] ?? 0 },
      [drain],
    ))
      slots[slot] = ((slots[slot] ?? 0) & ~mask) | value;
    const { traffic } = await plannedEffect(before, { ...before, slots }, profile);
    assert.ok(traffic !== undefined);
    const us = traffic.loads.find(({ target }) => target === "site/us");
    assert.deepEqual([us?.after, us?.isOver, us?.wasOver], [100, true, false]);
    const moved = traffic.flows.find(({ from, to }) => from === "site/eu" && to === "site/us");
    assert.ok(Math.abs((moved?.load ?? 0) - 75) < 4, String(moved?.load));
    // The TTL is 20 s: four of five caches keep to it, the others have 30 s and 60 s.
    const { stale, seconds, drained } = traffic.course;
    const at = (second: number): number => stale[seconds.findIndex((each) => each > second)] ?? 1;
    assert.ok(
      Math.abs(at(10) - (0.8 * 0.5 + 0.15 * (20 / 30) + 0.05 * (50 / 60))) < 0.06,
      String(at(10)),
    );
    assert.ok(at(25) < 0.1 && at(25) > 0.02, String(at(25)));
    assert.ok(drained.nearlyAll !== undefined && drained.nearlyAll > 40);
    const picture = flowPicture(traffic);
    assert.match(picture, /^<svg [^>]*>[^]*site\/us 100 over capacity[^]*<\/svg>\n$/);
    assert.doesNotMatch(picture, /NaN|undefined/);
  });
});
