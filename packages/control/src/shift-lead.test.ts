// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import { Pcg32 } from "@meridian/core";
import { RRType, parseName } from "@meridian/dns";
import { OverlayDriver } from "@meridian/health";
import {
  Client,
  NameLookup,
  Outcome,
  QueryName,
  Selector,
  boundSetOf,
  worldOf,
  type BoundSet,
  type World,
} from "@meridian/snapshot";
import fc from "fast-check";
import { nextChangeMs, percentAt } from "./shift-course.ts";
import { shiftChanges, type Shift } from "./shift-effects.ts";
import { shiftReach } from "./shift-lead.ts";
import { shiftEffects } from "./shift-precedence.ts";
import { compileModel, modelOf } from "./testing/control-fixture.ts";

const header = "apiVersion: meridian.dev/v1alpha1\nkind:";
const model = modelOf(
  [
    `${header} Zone\nmetadata: {name: example.org}\nspec: {origin: example.org, nameServers: [{name: ns1.example.net}]}\n`,
    `${header} Zone\nmetadata: {name: example.net}\nspec: {origin: example.net, nameServers: [{name: ns1.example.com}]}\n`,
    `${header} Site\nmetadata: {name: eu}\nspec: {}\n`,
    `${header} Site\nmetadata: {name: us}\nspec: {}\n`,
    `${header} Pool\nmetadata: {name: eu}\nspec: {members: {a: {address: 192.0.2.1, site: eu}}}\n`,
    `${header} Pool\nmetadata: {name: us}\nspec: {members: {a: {address: 192.0.2.2, site: us}}}\n`,
    `${header} TrafficPolicy\nmetadata: {name: both}\nspec: {root: w, nodes: {w: {weighted: {branches: [{pool: eu, weight: 1}, {pool: us, weight: 1}]}}}}\n`,
    `${header} Record\nmetadata: {name: www}\nspec: {name: www.example.org, policy: both, ttl: {min: 3s, max: 40s}}\n`,
    `${header} Record\nmetadata: {name: alone}\nspec: {name: us.example.net, pool: us, ttl: {min: 5s, max: 90s}}\n`,
  ].join("---\n"),
);
const [MIN, MAX] = [3, 40];

function worldOfModel(): World {
  const world = worldOf(compileModel(model).sections, 1);
  assert.ok(typeof world === "object");
  return world;
}

test("the lead is the longest TTL of what refers to a target, and the time until edges have it", () => {
  const world = worldOfModel();
  const leads = ["site/eu", "pool/default/eu", "site/us", "endpoint/default/us/a", "site/none"];
  assert.deepEqual(
    leads.map((target) => shiftReach(model, world, target).leadMs),
    [42_000, 42_000, 92_000, 92_000, 0],
  );
  assert.deepEqual(
    ["site/eu", "site/us", "site/none"].map((target) => shiftReach(model, world, target).least),
    [
      { from: 3, to: 3 },
      { from: 3, to: 5 },
      { from: 0, to: 0 },
    ],
  );
});

function bound(world: World): BoundSet {
  const wire = parseName("www.example.org.");
  assert.ok(wire instanceof Uint8Array);
  const name = new QueryName(world.zones.seed);
  name.set(wire, 0, wire.length, 0);
  const zone = world.zones.find(name, 0);
  assert.ok(zone !== undefined);
  const lookup = new NameLookup();
  lookup.find(zone, name, false);
  const set = boundSetOf(lookup, RRType.A);
  assert.ok(set !== undefined);
  return set;
}

test("at its start no cache holds an answer that it moves for longer than the least TTL, and later TTLs are as before", () => {
  const world = worldOfModel();
  const set = bound(world);
  fc.assert(
    fc.property(fc.nat(), fc.integer({ min: 1, max: 100 }), (seed, percent) => {
      const driver = new OverlayDriver({ wallMs: () => 0, onChangeSet: () => {} });
      driver.adopt(world, 1);
      const [startsAtMs, expiresAtMs] = [100_000, 160_000];
      const shift: Shift = {
        ...{ id: "x", target: "site/eu", percent, reason: "r", actor: "a" },
        ...{ createdAtMs: 0, startsAtMs, expiresAtMs },
      };
      const { leadMs } = shiftReach(model, world, shift.target);
      const random = new Pcg32(seed);
      const selector = new Selector(world);
      const client = new Client();
      // Caches that ask again as soon as their answer has run out, or some time after that.
      const caches = Array.from({ length: 60 }, () => ({
        askMs: random.next32() % 40_000,
        ...{ expiresMs: 0, site: "" },
      }));
      const ttls = new Map<string, Set<number>>();
      let nextMs = 0;
      for (let nowMs = 0; nowMs < expiresAtMs; nowMs += 500) {
        // Edges have it up to two seconds later.
        while (nowMs >= nextMs + 1500 && nextMs !== Infinity) {
          const effects = shiftEffects([shift], nextMs, () => leadMs);
          const changes = shiftChanges(model, world, driver, effects);
          driver.apply(changes, { kind: "shift", text: "" });
          nextMs = nextChangeMs(shift, nextMs, leadMs) ?? Infinity;
        }
        for (const cache of caches) {
          if (nowMs === startsAtMs && cache.site === "eu")
            assert.ok(cache.expiresMs - nowMs <= MIN * 1000, `${cache.expiresMs - nowMs} ms`);
          if (cache.askMs > nowMs) continue;
          const { targetKind, target, answers } = set;
          const draw = random.next32();
          const outcome = selector.select(
            driver.slots,
            targetKind,
            target,
            client,
            draw,
            4,
            answers,
          );
          assert.equal(outcome, Outcome.endpoints);
          const site = world.pools.siteOf(selector.chosen[0] ?? 0);
          if (percent === 100 && nowMs >= startsAtMs + 1500) assert.equal(site, "us");
          const ttl = Math.max(set.ttlMin, Math.min(set.ttlMax, selector.changeSeconds));
          const phase =
            nowMs < startsAtMs - leadMs + 1500
              ? "before"
              : nowMs < startsAtMs + 1500
                ? "announced"
                : "after";
          const known = ttls.get(`${phase} ${site}`) ?? new Set();
          ttls.set(`${phase} ${site}`, known.add(ttl));
          Object.assign(cache, { site, expiresMs: nowMs + ttl * 1000 });
          cache.askMs = cache.expiresMs + (random.next32() % 3000);
        }
      }
      // What leads elsewhere already is kept as it was.
      for (const [phase, found] of ttls)
        assert.deepEqual([...found], [phase === "announced eu" ? MIN : MAX], phase);
      assert.equal(percentAt(shift, startsAtMs), percent);
    }),
    { numRuns: 20 },
  );
});
