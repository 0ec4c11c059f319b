// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { once } from "node:events";
import { test } from "node:test";
import { Worker } from "node:worker_threads";
import fc from "fast-check";
import { HammerWord, type HammerData } from "./overlay-hammer-worker.ts";
import {
  CHANGE_SHIFT,
  CAPACITY_SHIFT,
  DIAL_SHIFT,
  OVERLAY_WORKERS_MAX,
  OverlayReader,
  OverlayWriter,
  branchSlot,
  endpointSlot,
} from "./overlay.ts";
import { OverlayObserver } from "./overlay-observer.ts";

const ALIKE = 100;
const CHANGE_SETS = 1000;

test("workers that read under a writer in a hurry never see a mixed change set, nor an older one after a newer", async () => {
  const writer = new OverlayWriter(new Uint32Array(5000));
  const reports = [0, 1, 2].map(() => new Int32Array(new SharedArrayBuffer(20)));
  const workers = reports.map((report, worker) => {
    const { buffer, slotCount } = writer;
    const workerData: HammerData = {
      buffer,
      slotCount,
      worker,
      alike: ALIKE,
      report: report.buffer,
    };
    return new Worker(new URL("overlay-hammer-worker.ts", import.meta.url), { workerData });
  });
  while (reports.some((report) => Atomics.load(report, HammerWord.batches) === 0))
    await new Promise((resolve) => setTimeout(resolve, 1));
  let published = 0;
  let refused = 0;
  while (published < CHANGE_SETS) {
    const value = writer.sequence + 1;
    const changes = Array.from({ length: ALIKE }, (_, slot) => ({ slot, value }));
    const isPublished = writer.publish(changes);
    if (isPublished) published += 1;
    else refused += 1;
    // Readers get a turn on a machine with few cores.
    if (!isPublished || published % 50 === 0) await new Promise((resolve) => setImmediate(resolve));
  }
  for (const report of reports) Atomics.store(report, HammerWord.stop, 1);
  await Promise.all(workers.map((worker) => once(worker, "exit")));
  for (const report of reports) {
    assert.equal(report[HammerWord.mixed], 0);
    assert.equal(report[HammerWord.backwards], 0);
    assert.ok((report[HammerWord.batches] ?? 0) > 10);
    assert.ok((report[HammerWord.distinct] ?? 0) > 1, `${refused} publications were refused`);
  }
  assert.equal(writer.sequence, CHANGE_SETS);
});

test("publish() is refused while a worker reads the spare bank, and changes nothing then", () => {
  const writer = new OverlayWriter(Uint32Array.of(1, 2, 3));
  const reader = new OverlayReader(writer.buffer, 3, 5);
  reader.enter();
  assert.ok(writer.publish([{ slot: 0, value: 10 }]));
  assert.equal(writer.publish([{ slot: 0, value: 20 }]), false);
  assert.deepEqual([...reader.slots], [1, 2, 3], "the batch goes on with what it began with");
  assert.deepEqual([...writer.current()], [10, 2, 3]);
  assert.equal(writer.sequence, 1);
  reader.leave();
  assert.ok(writer.publish([{ slot: 0, value: 20 }]));
  reader.enter();
  assert.deepEqual([...reader.slots], [20, 2, 3]);
  assert.equal(reader.sequence, 2);
});

test("a worker that has acknowledged the newest word does not hold the other bank", () => {
  const writer = new OverlayWriter(Uint32Array.of(0));
  const [slow, quick] = [0, 1].map((worker) => new OverlayReader(writer.buffer, 1, worker));
  slow?.enter();
  assert.ok(writer.publish([{ slot: 0, value: 1 }]));
  quick?.enter();
  assert.equal(quick?.slots[0], 1);
  assert.equal(writer.isSpareFree(), false, "the slow one still reads the old bank");
  slow?.leave();
  assert.ok(writer.isSpareFree());
  assert.ok(writer.publish([{ slot: 0, value: 2 }]));
  assert.equal(quick?.slots[0], 1, "the quick one is in its batch");
  assert.equal(writer.isSpareFree(), false);
});

test("forget() frees what a dead worker held", () => {
  const writer = new OverlayWriter(Uint32Array.of(0));
  const dead = new OverlayReader(writer.buffer, 1, OVERLAY_WORKERS_MAX - 1);
  dead.enter();
  assert.ok(writer.publish([{ slot: 0, value: 1 }]));
  assert.equal(writer.publish([{ slot: 0, value: 2 }]), false);
  writer.forget(OVERLAY_WORKERS_MAX - 1);
  assert.ok(writer.publish([{ slot: 0, value: 2 }]));
  assert.throws(() => new OverlayReader(writer.buffer, 1, OVERLAY_WORKERS_MAX), /acknowledgement/);
});

test("a worker whose bank was taken from it is not settled until it has left that", () => {
  const writer = new OverlayWriter(Uint32Array.of(0));
  const fence = { nowWord: () => 0, fenced: (slots: Uint32Array) => slots };
  const [quick, slow] = [0, 1].map((worker) => new OverlayReader(writer.buffer, 1, worker, fence));
  const observer = new OverlayObserver(writer.buffer, 1);
  const areSettled = (): boolean[] => [writer.isSettled(2), observer.isSettled(2)];
  assert.deepEqual(areSettled(), [true, true]);
  slow?.enter();
  assert.ok(writer.publish([{ slot: 0, value: 1 }]));
  quick?.enter();
  writer.overrun();
  assert.ok(writer.publish([{ slot: 0, value: 2 }]));
  quick?.enter();
  quick?.leave();
  assert.deepEqual(areSettled(), [false, false], "the slow one still answers its batch");
  slow?.leave();
  assert.deepEqual(areSettled(), [true, true], "and need not have another one");
  slow?.enter();
  assert.equal(slow?.slots[0], 2);
  writer.overrun();
  assert.deepEqual(areSettled(), [true, true], "nothing was taken from who is up to date");
  assert.ok(writer.publish([{ slot: 0, value: 3 }]));
  writer.overrun();
  assert.deepEqual(areSettled(), [false, false]);
  writer.forget(1);
  assert.deepEqual(areSettled(), [true, true], "it has died");
});

test("a change set that names a slot beyond the end is a programmer's error", () => {
  const writer = new OverlayWriter(Uint32Array.of(0, 0));
  assert.throws(() => writer.publish([{ slot: 2, value: 1 }]), /slot exists/);
  assert.throws(() => writer.read(2), /slot exists/);
});

test("the sequence wraps without a word that means idle, and without a reader losing its bank", () => {
  const writer = new OverlayWriter(Uint32Array.of(0), 0x7fff_fffd);
  const reader = new OverlayReader(writer.buffer, 1, 0);
  for (let round = 1; round <= 6; round++) {
    assert.ok(writer.publish([{ slot: 0, value: round }]));
    reader.enter();
    assert.equal(reader.slots[0], round);
    assert.notEqual(new Uint32Array(writer.buffer)[0], 0xffff_ffff);
    reader.leave();
  }
});

test("endpoint and branch slots hold what was packed", () => {
  fc.assert(
    fc.property(
      fc.nat(2),
      fc.nat(3),
      fc.nat(1000),
      fc.nat(1000),
      fc.nat(31),
      fc.nat(1_000_000),
      (verdict, admin, capacity, dial, change, weight) => {
        const slot = endpointSlot(verdict, admin, capacity, dial, change);
        const unpacked = [
          slot & 3,
          (slot >>> 2) & 7,
          (slot >>> CAPACITY_SHIFT) & 0x3ff,
          (slot >>> DIAL_SHIFT) & 0x3ff,
          (slot >>> CHANGE_SHIFT) & 31,
          slot >>> 30,
        ];
        assert.deepEqual(unpacked, [verdict, admin, capacity, dial, change, 0]);
        const branch = branchSlot(weight, dial);
        assert.deepEqual([branch & 0xf_ffff, branch >>> 20], [weight, dial]);
      },
    ),
  );
});

test("any sequence of publications leaves what a plain array would hold", () => {
  const change = fc.record({ slot: fc.nat(9), value: fc.nat(0xffff_ffff) });
  fc.assert(
    fc.property(fc.array(fc.array(change, { maxLength: 12 }), { maxLength: 20 }), (sets) => {
      const writer = new OverlayWriter(new Uint32Array(10));
      const reader = new OverlayReader(writer.buffer, 10, 0);
      const plain = new Uint32Array(10);
      for (const [index, changes] of sets.entries()) {
        for (const { slot, value } of changes) plain[slot] = value;
        assert.ok(writer.publish(changes));
        reader.enter();
        assert.equal(reader.sequence, index + 1);
        assert.deepEqual(reader.slots, plain);
        assert.deepEqual(writer.current(), plain);
        reader.leave();
      }
    }),
    { numRuns: 100 },
  );
});
