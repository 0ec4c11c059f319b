// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import { key64 } from "@meridian/core";
import { shiftPrecedences, type Model, type ShiftPrecedence } from "@meridian/model";
import {
  Admin,
  adminOf,
  DIAL_SHIFT,
  PER_MILLE,
  Verdict,
  endpointSlot,
  type World,
} from "@meridian/snapshot";
import fc from "fast-check";
import { worldOf } from "@meridian/snapshot";
import { OverlayDriver } from "@meridian/health";
import { reachedBy } from "./reached-endpoints.ts";
import { shiftChanges, shiftReaches, type Shift } from "./shift-effects.ts";
import { rankedShifts, shiftEffects } from "./shift-precedence.ts";
import { compileModel, modelOf } from "./testing/control-fixture.ts";

const header = "apiVersion: meridian.dev/v1alpha1\nkind:";
const model = modelOf(
  [
    `${header} Site\nmetadata: {name: eu}\nspec: {}\n`,
    `${header} Site\nmetadata: {name: eu-1}\nspec: {parent: eu}\n`,
    `${header} Site\nmetadata: {name: us}\nspec: {}\n`,
    `${header} Pool\nmetadata: {name: web}\nspec: {members: {a: {address: 192.0.2.1, site: eu-1}, b: {address: 192.0.2.2, site: us}, c: {address: 192.0.2.3}}}\n`,
    `${header} Pool\nmetadata: {name: web-2}\nspec: {members: {a: {address: 192.0.2.9, site: eu}}}\n`,
  ].join("---\n"),
);
const endpoints = ["web/a", "web/b", "web/c", "web-2/a"] as const;

function setUp(): { world: World; driver: OverlayDriver; model: Model } {
  const world = worldOf(compileModel(model).sections, 1);
  assert.ok(typeof world === "object");
  const driver = new OverlayDriver({ wallMs: () => 0, onChangeSet: () => {} });
  driver.adopt(world, 1);
  return { world, driver, model };
}

function shift(target: string, percent: number): Shift {
  return { id: target, target, percent, reason: "r", actor: "a", createdAtMs: 0, expiresAtMs: 1 };
}

/** `drained` or the dial in thousandths, for each endpoint. */
function statesAfter(shifts: readonly Shift[]): (string | number)[] {
  const { world, driver } = setUp();
  driver.apply(shiftChanges(model, world, driver, shifts), { kind: "shift", text: "" });
  return endpoints.map((name) => {
    const slot = driver.slots[world.slotOfKey(key64(`endpoint/default/${name}`))] ?? 0;
    return adminOf(slot) === Admin.drained ? "drained" : (slot >>> DIAL_SHIFT) & 0x3ff;
  });
}

test("what a target reaches is looked up as it is asked of each endpoint", () => {
  const { world } = setUp();
  const all = Array.from({ length: world.pools.endpointCount }, (_, endpoint) => endpoint);
  const targets = [
    ...[
      "site/eu",
      "site/eu-1",
      "site/us",
      "site/none",
      "site/",
      "pool/default/web",
      "pool/default",
    ],
    ...["pool/default/we", "pool/default/web/a", "pool/default/none", "other/default/web"],
    ...["endpoint/default/web/a", "endpoint/default/web-2/a", "endpoint/default/web"],
  ];
  for (const target of [...targets, ...targets])
    assert.deepEqual(
      [...reachedBy(model, world, target)],
      all.filter((endpoint) => shiftReaches(model, world, target, endpoint)),
      target,
    );
});

test("a shift reaches its endpoint, its pool, its site and every site below", () => {
  const d = "drained";
  assert.deepEqual(statesAfter([shift("endpoint/default/web/b", 100)]), [1000, d, 1000, 1000]);
  assert.deepEqual(
    statesAfter([shift("pool/default/web", 100)]),
    [d, d, d, 1000],
    "web-2 is another pool",
  );
  assert.deepEqual(statesAfter([shift("site/eu-1", 100)]), [d, 1000, 1000, 1000]);
  assert.deepEqual(statesAfter([shift("site/eu", 100)]), [d, 1000, 1000, d]);
  assert.deepEqual(statesAfter([shift("site/none", 100)]), [1000, 1000, 1000, 1000]);
});

test("a shift by percent is a dial; of several the strongest counts", () => {
  assert.deepEqual(statesAfter([shift("site/eu", 30)]), [700, 1000, 1000, 700]);
  assert.deepEqual(
    statesAfter([shift("site/eu", 30), shift("pool/default/web", 80)]),
    [200, 200, 200, 700],
  );
  assert.deepEqual(statesAfter([shift("site/eu", 30), shift("endpoint/default/web/a", 100)]), [
    "drained",
    1000,
    1000,
    700,
  ]);
});

test("of shifts of one target the highest precedence decides; of several targets each counts", () => {
  const at = (
    precedence: ShiftPrecedence,
    percent: number,
    target = "site/eu",
    startsAtMs = 0,
  ): Shift => ({ ...shift(target, percent), id: precedence, precedence, startsAtMs });
  const all = shiftPrecedences.map((each, index) => at(each, 10 * (index + 1)));
  for (const [from, percent] of [10, 20, 30, 40].entries())
    assert.deepEqual(shiftEffects(all.slice(from), 0), [{ target: "site/eu", percent }]);
  assert.equal(rankedShifts(all, 0)[3]?.overruledBy, "manual");
  const drill = at("drill", 100);
  assert.deepEqual(
    shiftEffects([drill, at("manual", 5, "site/eu", 1)], 0),
    [{ target: "site/eu", percent: 100 }],
    "one that begins later decides nothing yet",
  );
  assert.deepEqual(shiftEffects([drill, at("manual", 5)], 1), [], "neither is running any more");
  assert.equal(shiftEffects([drill, at("manual", 5, "pool/default/web")], 0).length, 2);
});

test("ended shifts leave every other field of a slot as it was", () => {
  const target = fc.constantFrom(
    "site/eu",
    "site/us",
    "pool/default/web",
    "endpoint/default/web/c",
  );
  const shifts = fc.array(fc.tuple(target, fc.integer({ min: 1, max: 100 })), { maxLength: 4 });
  fc.assert(
    fc.property(
      shifts,
      fc.nat(2),
      fc.nat(1000),
      fc.nat(31),
      (running, verdict, capacity, change) => {
        const { world, driver } = setUp();
        const value = endpointSlot(verdict, Admin.active, capacity, PER_MILLE, change);
        const cause = { kind: "shift", text: "" };
        driver.apply(
          endpoints.map((_, slot) => ({ slot, value })),
          cause,
        );
        const before = [...driver.slots.subarray(0, endpoints.length)];
        driver.apply(
          shiftChanges(
            model,
            world,
            driver,
            running.map(([to, percent]) => shift(to, percent)),
          ),
          cause,
        );
        assert.deepEqual(
          shiftChanges(
            model,
            world,
            driver,
            running.map(([to, percent]) => shift(to, percent)),
          ),
          [],
        );
        driver.apply(shiftChanges(model, world, driver, []), cause);
        const mask = ~0x4000_0000;
        assert.deepEqual(
          [...driver.slots.subarray(0, endpoints.length)].map((each) => each & mask),
          before.map((each) => each & mask),
        );
        assert.equal((driver.slots[0] ?? 0) & 3, verdict);
        assert.ok(verdict !== Verdict.healthy || (driver.slots[0] ?? 0) >>> 30 === 0);
      },
    ),
    { numRuns: 60 },
  );
});
