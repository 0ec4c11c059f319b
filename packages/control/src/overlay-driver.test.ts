// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import { key64 } from "@meridian/core";
import {
  Admin,
  BRANCH_OVERRIDDEN,
  INITIAL_ENDPOINT_SLOT,
  LAST_KNOWN_BIT,
  OverlayReader,
  PER_MILLE,
  Verdict,
  branchSlot,
  endpointSlot,
  type World,
  KeyedSlots,
} from "@meridian/snapshot";
import fc from "fast-check";
import { declaredLatches } from "./declared-latches.ts";
import { worldOf } from "@meridian/snapshot";
import { LatchDriver } from "@meridian/health";
import { OverlayDriver, adoptionChangeSet, changesIn, type ChangeSet } from "@meridian/health";
import { compileModel, modelOf } from "./testing/control-fixture.ts";

const GOOD = endpointSlot(Verdict.healthy, Admin.active, PER_MILLE, PER_MILLE, 5);
const BAD = endpointSlot(Verdict.unhealthy, Admin.active, PER_MILLE, PER_MILLE, 4);
const cause = { kind: "health", text: "test" };

/** Pools `NAME: member count`, checked, under one failover with a manual latch whose first tier has weights. */
function worldWith(pools: Readonly<Record<string, number>>, weight = 1): World {
  const header = "apiVersion: meridian.dev/v1alpha1\nkind:";
  const documents = Object.entries(pools).map(([name, count], at) => {
    const members = Array.from(
      { length: count },
      (_, own) => `m${own}: {address: 192.0.2.${at * 16 + own + 1}}`,
    );
    return `${header} Pool\nmetadata: {name: ${name}}\nspec: {healthCheck: c, members: {${members.join(", ")}}}\n`;
  });
  const names = Object.keys(pools);
  const tiers = names.map((name) => `{branches: [{pool: ${name}, weight: ${weight}}]}`).join(", ");
  const model = modelOf(
    [
      ...documents,
      `${header} HealthCheck\nmetadata: {name: c}\nspec: {tcp: {port: 80}}\n`,
      `${header} TrafficPolicy\nmetadata: {name: p}\nspec: {root: f, nodes: {f: {failover: {failback: manual, tiers: [${tiers}]}}}}\n`,
    ].join("---\n"),
  );
  const world = worldOf(compileModel(model).sections, 1);
  assert.ok(typeof world === "object");
  return world;
}

function driverInto(sets: ChangeSet[]): OverlayDriver {
  return new OverlayDriver({
    wallMs: () => 7,
    onChangeSet: (set) => sets.push(set),
    onAdopted: (adoption, world) => sets.push(adoptionChangeSet(world, adoption, cause, undefined)),
  });
}

function start(world: World): { driver: OverlayDriver; sets: ChangeSet[] } {
  const sets: ChangeSet[] = [];
  const driver = driverInto(sets);
  driver.adopt(world, 1);
  return { driver, sets };
}

const slotOf = (world: World, name: string): number => {
  const slot = world.slotOfKey(key64(name));
  assert.ok(slot >= 0, name);
  return slot;
};

test("adopt() carries weights that were given over, to branches that lead where they led, and takes stored ones", () => {
  const before = worldWith({ b: 1, c: 1, d: 1 }, 5);
  const { driver } = start(before);
  const given = (weight: number): number => branchSlot(weight, PER_MILLE) | BRANCH_OVERRIDDEN;
  const slotIn = (world: World, index: number): number =>
    slotOf(world, `branch/default/p/f/${index}`);
  driver.apply(
    [0, 1].map((index) => ({ slot: slotIn(before, index), value: given(40 + index) })),
    cause,
  );
  const stored = KeyedSlots.of(
    [0, 1, 2].map((index) => {
      const slot = slotIn(before, index);
      return [before.slotKey(slot), driver.read(slot)] as const;
    }),
  );
  // The second branch is gone; the third one has its key.
  const after = worldWith({ b: 1, d: 1 }, 7);
  driver.adopt(after, 2);
  const slots = (world: World, own: OverlayDriver, count: number): number[] =>
    Array.from({ length: count }, (_, index) => own.read(slotIn(world, index)));
  assert.deepEqual(slots(after, driver, 2), [given(40), branchSlot(7, PER_MILLE)]);
  assert.deepEqual(driver.slots.length, after.slotCount);

  const again = driverInto([]);
  const changed = worldWith({ b: 1, c: 1, d: 1 }, 9);
  again.adopt(changed, 3, stored);
  assert.deepEqual(slots(changed, again, 3), [given(40), given(41), branchSlot(9, PER_MILLE)]);
});

test("adopt() carries endpoint and latch slots over by key, while indices and neighbours change", () => {
  const before = worldWith({ b: 2, c: 1 });
  const { driver } = start(before);
  const latch = slotOf(before, "latch/default/p/f");
  const kept = [
    { slot: slotOf(before, "endpoint/default/b/m1"), value: BAD },
    { slot: slotOf(before, "endpoint/default/c/m0"), value: GOOD },
    { slot: latch, value: 2 },
  ];
  driver.apply(kept, cause);
  const after = worldWith({ a: 3, b: 3, c: 1 });
  assert.notEqual(slotOf(after, "latch/default/p/f"), latch);
  driver.adopt(after, 2);
  const at = (name: string): number => driver.slots[slotOf(after, name)] ?? -1;
  assert.deepEqual(
    ["b/m0", "b/m1", "b/m2", "c/m0", "a/m0"].map(
      (name) => at(`endpoint/default/${name}`) & ~LAST_KNOWN_BIT,
    ),
    [INITIAL_ENDPOINT_SLOT, BAD, INITIAL_ENDPOINT_SLOT, GOOD, INITIAL_ENDPOINT_SLOT],
  );
  assert.equal(at("latch/default/p/f"), 2);
});

test("weights and dials are the document's after a reload, whatever the overlay had", () => {
  const before = worldWith({ a: 1 }, 5);
  const { driver } = start(before);
  driver.apply(
    [{ slot: slotOf(before, "branch/default/p/f/0"), value: branchSlot(9, 100) }],
    cause,
  );
  const after = worldWith({ a: 1 }, 6);
  driver.adopt(after, 2);
  assert.equal(driver.slots[slotOf(after, "branch/default/p/f/0")], branchSlot(6, PER_MILLE));
});

test("stored values serve keys that the running overlay lacks, and no others", () => {
  const stored = new Map([
    [key64("endpoint/default/a/m0"), BAD],
    [key64("endpoint/default/gone/m0"), GOOD],
    [key64("branch/default/p/f/0"), branchSlot(77, 1)],
  ]);
  const world = worldWith({ a: 2 });
  const driver = new OverlayDriver({ wallMs: () => 7, onChangeSet: () => {} });
  driver.adopt(world, 1, KeyedSlots.of(stored));
  assert.equal(driver.slots[slotOf(world, "endpoint/default/a/m0")], BAD);
  assert.equal(driver.slots[slotOf(world, "endpoint/default/a/m1")], INITIAL_ENDPOINT_SLOT);
  assert.equal(driver.slots[slotOf(world, "branch/default/p/f/0")], branchSlot(1, PER_MILLE));
});

test("the last-known bit marks who served just before all of a pool failed, until one is back", () => {
  const world = worldWith({ a: 3 });
  const { driver } = start(world);
  const slots = [0, 1, 2].map((own) => slotOf(world, `endpoint/default/a/m${own}`));
  const set = (values: readonly number[]): void =>
    driver.apply(
      values.map((value, own) => ({ slot: slots[own] ?? -1, value })),
      cause,
    );
  const bits = (): boolean[] =>
    slots.map((slot) => ((driver.slots[slot] ?? 0) & LAST_KNOWN_BIT) !== 0);
  set([GOOD, GOOD, BAD]);
  assert.deepEqual(bits(), [false, false, false]);
  set([GOOD, BAD, BAD]);
  assert.deepEqual(bits(), [false, false, false]);
  set([BAD, BAD, BAD]);
  assert.deepEqual(bits(), [true, false, false], "only the last one that served");
  driver.apply(
    [{ slot: slots[1] ?? -1, value: endpointSlot(2, Admin.active, PER_MILLE, PER_MILLE, 1) }],
    cause,
  );
  assert.deepEqual(bits(), [true, false, false], "kept while nothing serves");
  set([BAD, GOOD, BAD]);
  assert.deepEqual(bits(), [false, false, false]);
});

test("a pool's epoch moves with its endpoints and with nothing else", () => {
  const world = worldWith({ a: 2, b: 1 });
  const { driver } = start(world);
  const epochs = (): number[] =>
    [0, 1].map((pool) => driver.slots[world.poolEpochSlots + pool] ?? -1);
  const first = epochs();
  driver.apply([{ slot: slotOf(world, "endpoint/default/b/m0"), value: GOOD }], cause);
  assert.deepEqual(epochs(), [first[0], (first[1] ?? 0) + 1]);
  driver.apply([{ slot: slotOf(world, "latch/default/p/f"), value: 1 }], cause);
  assert.deepEqual(epochs(), [first[0], (first[1] ?? 0) + 1]);
});

test("what changes nothing is no change set", () => {
  const world = worldWith({ a: 1 });
  const { driver, sets } = start(world);
  const { length } = sets;
  driver.apply(
    [{ slot: slotOf(world, "endpoint/default/a/m0"), value: INITIAL_ENDPOINT_SLOT }],
    cause,
  );
  driver.apply([], cause);
  assert.equal(sets.length, length);
});

test("changes wait while a worker reads the spare bank, later values win, and all leave as one set", async () => {
  const world = worldWith({ a: 2 });
  const { driver, sets } = start(world);
  const [m0, m1] = ["m0", "m1"].map((own) => slotOf(world, `endpoint/default/a/${own}`));
  assert.ok(m0 !== undefined && m1 !== undefined);
  const worker = new OverlayReader(driver.buffer, driver.slotCount, 3);
  worker.enter();
  driver.apply([{ slot: m0, value: GOOD }], cause);
  const { length } = sets;
  driver.apply(
    [
      { slot: m0, value: BAD },
      { slot: m1, value: BAD },
    ],
    cause,
  );
  driver.apply([{ slot: m1, value: GOOD }], cause);
  assert.equal(sets.length, length, "the second set waits");
  assert.equal(driver.read(m0), BAD, "read() sees what is on its way");
  assert.equal((worker.slots[m0] ?? 0) & ~LAST_KNOWN_BIT, INITIAL_ENDPOINT_SLOT);
  worker.leave();
  await new Promise((resolve) => setImmediate(() => setImmediate(resolve)));
  assert.equal(sets.length, length + 1);
  assert.deepEqual(
    new Map(
      sets.slice(-1).flatMap((set) => [...changesIn(set)].map(({ key, value }) => [key, value])),
    ),
    new Map([
      [key64("endpoint/default/a/m0"), BAD],
      [key64("endpoint/default/a/m1"), GOOD],
    ]),
  );
  driver.close();
});

test("waiting for a bank leaves the core to the worker that reads it", async () => {
  const world = worldWith({ a: 2 });
  const { driver } = start(world);
  const worker = new OverlayReader(driver.buffer, driver.slotCount, 0);
  worker.enter();
  driver.apply([{ slot: 0, value: GOOD }], cause);
  driver.apply([{ slot: 1, value: GOOD }], cause);
  const deadline = performance.now() + 100;
  let turns = 0;
  while (performance.now() < deadline) {
    turns++;
    await new Promise((resolve) => setImmediate(resolve));
  }
  // One every 50 µs at most; without a pause there are tens of thousands.
  assert.ok(driver.isWaiting && turns < 3000, `${turns} turns`);
  worker.leave();
  while (driver.isWaiting) await new Promise((resolve) => setImmediate(resolve));
  assert.equal(driver.read(1), GOOD);
});

test("changes that wait for a bank when another snapshot comes are in its overlay and in the journal", () => {
  const before = worldWith({ a: 2 });
  const { driver, sets } = start(before);
  const worker = new OverlayReader(driver.buffer, driver.slotCount, 3);
  worker.enter();
  driver.apply([{ slot: slotOf(before, "endpoint/default/a/m0"), value: GOOD }], cause);
  driver.apply([{ slot: slotOf(before, "endpoint/default/a/m1"), value: GOOD }], cause);
  const after = worldWith({ a: 2, b: 1 });
  driver.adopt(after, 2);
  assert.equal(driver.slots[slotOf(after, "endpoint/default/a/m1")], GOOD);
  const recorded = new Map(
    sets.flatMap((set) => [...changesIn(set)].map(({ key, value }) => [key, value])),
  );
  assert.equal(recorded.get(key64("endpoint/default/a/m1")), GOOD);
  driver.close();
});

test("sequences rise by one with every set, over snapshots and over a restart", () => {
  fc.assert(
    fc.property(
      fc.array(fc.constantFrom("change", "adopt", "restart"), { maxLength: 30 }),
      (steps) => {
        const world = worldWith({ a: 2 });
        const sets: ChangeSet[] = [];
        let driver = driverInto(sets);
        driver.adopt(world, 1);
        steps.forEach((step, at) => {
          if (step === "restart") driver = driverInto(sets);
          if (step !== "change") driver.adopt(world, at + 2, undefined, sets.at(-1)?.sequence);
          else driver.apply([{ slot: at % 2, value: at % 3 === 0 ? GOOD : BAD }], cause);
        });
        assert.deepEqual(
          sets.map(({ sequence }) => sequence),
          sets.map((_, at) => at + 1),
        );
        assert.equal(driver.sequence, sets.length);
      },
    ),
    { numRuns: 30 },
  );
});

test("at a cold start nothing latches away from a tier that is not judged yet, then a failed one is left", () => {
  const text = "apiVersion: meridian.dev/v1alpha1\nkind:";
  const model = modelOf(
    [
      ...["a", "b"].map(
        (name, at) =>
          `${text} Pool\nmetadata: {name: ${name}}\nspec: {healthCheck: c, members: {m0: {address: 192.0.2.${at + 1}}}}\n`,
      ),
      `${text} HealthCheck\nmetadata: {name: c}\nspec: {tcp: {port: 80}}\n`,
      `${text} TrafficPolicy\nmetadata: {name: p}\nspec: {root: f, nodes: {f: {failover: {failback: manual, tiers: [{branches: [{pool: a}]}, {branches: [{pool: b}]}]}}}}\n`,
    ].join("---\n"),
  );
  const world = worldOf(compileModel(model).sections, 1);
  assert.ok(typeof world === "object");
  const { driver } = start(world);
  const latches = new LatchDriver(driver, () => 0);
  latches.adopt(world, declaredLatches(model));
  const [a, b] = ["a", "b"].map((pool) => slotOf(world, `endpoint/default/${pool}/m0`));
  assert.ok(a !== undefined && b !== undefined);
  const verdict = (slot: number, value: number): number => {
    driver.apply([{ slot, value }], cause);
    latches.step();
    return latches.latches()[0]?.tier ?? 0;
  };
  assert.equal(verdict(b, GOOD), 1);
  assert.equal(verdict(a, GOOD), 1);
  assert.equal(verdict(a, BAD), 2);
  assert.equal(verdict(a, GOOD), 2, "manual stays");
  latches.close();
});

test("reading before a snapshot was adopted is a programmer's error", () => {
  const driver = new OverlayDriver({ wallMs: () => 7, onChangeSet: () => {} });
  assert.throws(() => driver.slots, TypeError);
  assert.equal(driver.sequence, 0);
});

test("adoptionChangeSet() says the same with and without what was before, whatever changes", () => {
  const counts = fc.dictionary(
    fc.constantFrom("a", "b", "c", "d"),
    fc.integer({ min: 1, max: 3 }),
    {
      minKeys: 1,
    },
  );
  const step = fc.record({
    counts,
    weight: fc.integer({ min: 1, max: 3 }),
    flips: fc.array(fc.nat(40)),
  });
  fc.assert(
    fc.property(fc.array(step, { minLength: 2, maxLength: 5 }), (steps) => {
      const recorded = new KeyedSlots();
      const record = (set: ChangeSet): void => {
        for (const { key, value } of changesIn(set))
          recorded.set(Number(key & 0xffff_ffffn), Number(key >> 32n), value, 0);
      };
      let before: { readonly world: World; readonly slots: Uint32Array } | undefined;
      const driver = new OverlayDriver({
        wallMs: () => 7,
        onChangeSet: record,
        onAdopted: (adoption, world) => {
          const looked = adoptionChangeSet(world, adoption, cause, recorded);
          assert.deepEqual(adoptionChangeSet(world, adoption, cause, recorded, before), looked);
          record(looked);
        },
      });
      for (const [index, { counts: pools, weight, flips }] of steps.entries()) {
        const world = worldWith(pools, weight);
        driver.adopt(world, index + 1);
        for (const flip of flips) {
          // Verdicts, latches, and weights that a shift has changed.
          const slot = flip % world.slotCount;
          const isEpoch = slot >= world.poolEpochSlots && slot < world.branchSlots;
          const value = slot < world.poolEpochSlots ? (flip % 2 === 0 ? GOOD : BAD) : flip % 3;
          if (!isEpoch) driver.apply([{ slot, value }], cause);
        }
        before = { world, slots: driver.slots.slice() };
      }
    }),
    { numRuns: 40 },
  );
});

test("what people move and waits for a bank stays theirs, whatever is probed meanwhile", async (t) => {
  const world = worldWith({ a: 2 });
  const { driver, sets } = start(world);
  t.after(() => driver.close());
  const slot = slotOf(world, "endpoint/default/a/m0");
  const weighed = slotOf(world, "branch/default/p/f/0");
  const reader = new OverlayReader(driver.buffer, world.slotCount, 0);
  const published = async (): Promise<ChangeSet | undefined> => {
    assert.ok(driver.isWaiting);
    reader.leave();
    while (driver.isWaiting) await new Promise((resolve) => setImmediate(resolve));
    return sets.at(-1);
  };
  const shift = { kind: "shift", text: "by ann" };
  reader.enter();
  driver.apply([{ slot, value: GOOD }], cause);
  driver.apply([{ slot: weighed, value: branchSlot(1, 0) }], shift);
  driver.flush({ kind: "health", text: "nothing" });
  driver.apply([{ slot, value: BAD }], cause);
  const both = await published();
  assert.deepEqual(both?.cause, shift);
  assert.deepEqual([both?.keys.length, driver.read(slot) & ~LAST_KNOWN_BIT], [2, BAD]);

  reader.enter();
  driver.apply([{ slot: weighed, value: branchSlot(1, 1) }], shift);
  driver.apply([{ slot, value: GOOD }], cause);
  driver.apply([{ slot: weighed, value: branchSlot(1, 2) }], { kind: "weights", text: "" });
  assert.equal((await published())?.cause.kind, "weights");

  reader.enter();
  driver.apply([{ slot: weighed, value: branchSlot(1, 3) }], shift);
  driver.apply([{ slot: weighed, value: branchSlot(1, 4) }], shift);
  driver.adopt(worldWith({ a: 2, b: 1 }), 2);
  driver.apply([{ slot, value: BAD }], cause);
  assert.deepEqual(sets.at(-1)?.cause, cause, "another overlay keeps nobody waiting");
});
