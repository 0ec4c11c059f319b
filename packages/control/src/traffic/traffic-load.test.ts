// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { key64 } from "@meridian/core";
import { loadModel, type Model } from "@meridian/model";
import { Admin, PER_MILLE, Verdict, endpointSlot, worldOf, type World } from "@meridian/snapshot";
import { shiftChanges } from "../shift-effects.ts";
import { compileModel } from "../testing/control-fixture.ts";
import { decideLoad, demandsOf } from "./decided-load.ts";
import { overloaded, placeLoads, type TrafficLoad } from "./place-loads.ts";

const folder = mkdtempSync(join(tmpdir(), "meridian-traffic-"));
after(() => rmSync(folder, { recursive: true }));
writeFileSync(
  join(folder, "places.csv"),
  "198.51.100.0/24,DE\n203.0.113.0/24,FR\n192.0.2.0/24,US\n",
);

const header = "apiVersion: meridian.dev/v1alpha1\nkind:";
const site = (name: string, spec: string): string =>
  `${header} Site\nmetadata: {name: ${name}}\nspec: ${spec}\n`;
const pool = (name: string, at: string, capacity: string): string =>
  `${header} Pool\nmetadata: {name: ${name}}\nspec: {members: {a: {address: 192.0.2.1, site: ${at}${capacity}}, b: {address: 192.0.2.2, site: ${at}, weight: 3${capacity}}}}\n`;
const text = [
  site("europe", "{}"),
  site("eu-1", "{parent: europe, capacity: 100}"),
  site("eu-2", "{parent: europe}"),
  site("us", "{capacity: 1000}"),
  pool("one", "eu-1", ""),
  pool("two", "eu-2", ", capacity: 60"),
  pool("far", "us", ""),
  `${header} DataSet\nmetadata: {name: places}\nspec: {prefixes: {path: places.csv}}\n`,
  `${header} TrafficPolicy\nmetadata: {name: p}\nspec:\n  root: where\n  nodes:\n    where: {geo: {dataSet: places, branches: [{node: eu, continents: [EU]}, {pool: far, default: true}]}}\n    eu: {weighted: {branches: [{pool: one, weight: 3}, {pool: two, weight: 1}]}}\n`,
  `${header} Zone\nmetadata: {name: example.org}\nspec: {origin: example.org, nameServers: [{name: ns1.example.org, addresses: [192.0.2.53]}]}\n`,
  `${header} Record\nmetadata: {name: www.example.org}\nspec: {name: www.example.org, types: [A], policy: p, ttl: {max: 30s}}\n`,
].join("---\n");

function setUp(): { readonly world: World; readonly model: Model } {
  const { model, problems } = loadModel(
    [{ path: join(folder, "model.yaml"), bytes: Buffer.from(text) }],
    { now: 0 },
  );
  assert.ok(model !== undefined, problems.map(({ message }) => message).join("\n"));
  const world = worldOf(compileModel(model).sections, 1);
  assert.ok(typeof world === "object");
  return { world, model };
}
const { world, model } = setUp();

const demands = demandsOf({
  demand: {
    de: { name: "www.example.org", from: { country: "DE" }, rate: 40 },
    eu: { name: "www.example.org", from: { continent: "EU" }, rate: 40 },
    us: { name: "www.example.org", from: { prefix: "192.0.2.0/24" }, rate: 20 },
  },
});

function loadsOf(slots: Uint32Array, wanted = demands): TrafficLoad {
  const pair = { world, slots };
  return placeLoads(model, pair, decideLoad(pair, wanted));
}

function loadAt({ places }: TrafficLoad, target: string): number {
  return places.find((place) => place.target === target)?.load ?? Number.NaN;
}

describe("placeLoads()", () => {
  test("gives each site, pool and endpoint what its policy sends there, within the interval that it states", () => {
    const load = loadsOf(world.initialSlots());
    const wanted = {
      "site/europe": 80,
      "site/eu-1": 60,
      "site/eu-2": 20,
      "site/us": 20,
      "pool/default/one": 60,
      "endpoint/default/two/b": 15,
    };
    for (const [target, expected] of Object.entries(wanted)) {
      const place = load.places.find((each) => each.target === target);
      assert.ok(place !== undefined, target);
      assert.ok(
        Math.abs(place.load - expected) <= 2 * place.error + 1e-9,
        `${target}: ${place.load} ± ${place.error}, expected ${expected}`,
      );
    }
    assert.deepEqual([load.total, load.withheld], [100, 0]);
  });

  test("a site has the capacity that it declares, else that of its endpoints that serve", () => {
    const slots = world.initialSlots();
    const capacityOf = (target: string): number | undefined =>
      loadsOf(slots).places.find((place) => place.target === target)?.capacity;
    assert.deepEqual(
      ["site/europe", "site/eu-1", "site/eu-2", "pool/default/one", "pool/default/two"].map(
        capacityOf,
      ),
      [220, 100, 120, undefined, 120],
    );
    const dead = endpointSlot(Verdict.unhealthy, Admin.active, PER_MILLE, PER_MILLE, 0);
    slots[world.slotOfKey(key64("endpoint/default/two/a"))] = dead;
    assert.deepEqual(["site/eu-2", "pool/default/two"].map(capacityOf), [60, 60]);
  });

  test("a shift moves load to where the real selector sends it, and what it overloads is named", () => {
    const slots = world.initialSlots();
    const shift = { target: "site/eu-1", percent: 100 };
    for (const { slot, mask, value } of shiftChanges(
      model,
      world,
      { read: (at) => slots[at] ?? 0 },
      [shift],
    ))
      slots[slot] = ((slots[slot] ?? 0) & ~mask) | value;
    const load = loadsOf(slots, [
      { label: "de", name: "www.example.org", from: { country: "DE" }, rate: 140 },
    ]);
    assert.deepEqual([loadAt(load, "site/eu-1"), loadAt(load, "site/eu-2")], [0, 140]);
    assert.deepEqual(
      overloaded(load).map(({ target }) => target),
      ["endpoint/default/two/b", "pool/default/two", "site/eu-2", "site/europe"],
    );
  });

  test("says which demand is not decided here, and where nobody knows an audience", () => {
    const pair = { world, slots: world.initialSlots() };
    const decided = decideLoad(pair, [
      { label: "gone", name: "gone.example.org", from: { everywhere: {} }, rate: 1 },
      { label: "else", name: "www.example.com", from: { everywhere: {} }, rate: 1 },
      { label: "static", name: "ns1.example.org", from: { everywhere: {} }, rate: 1 },
      { label: "asn", name: "www.example.org", from: { asn: 64_500 }, rate: 1 },
    ]);
    assert.deepEqual(
      decided.map(({ reason, isPlaced, withheld }) => [reason, isPlaced, withheld]),
      [
        ["no such name", true, 1],
        ["not served here", true, 1],
        ["not decided by a policy or pool", true, 1],
        [undefined, false, 0],
      ],
    );
    assert.equal(placeLoads(model, pair, decided).withheld, 3);
  });
});
