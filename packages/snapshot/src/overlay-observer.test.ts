// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { OverlayObserver } from "./overlay-observer.ts";
import { OverlayReader, OverlayWriter } from "./overlay.ts";

const sets = fc.array(
  fc.array(fc.record({ slot: fc.nat(7), value: fc.nat(0xffff_ffff) }), { maxLength: 5 }),
  { maxLength: 8 },
);

test("an observer sees what was published last, and a writer that goes on does too", () => {
  fc.assert(
    fc.property(sets, fc.nat(8), (changeSets, restartAt) => {
      let writer = new OverlayWriter(new Uint32Array(8), 41);
      const observer = new OverlayObserver(writer.buffer, 8);
      const plain = new Uint32Array(8);
      changeSets.forEach((changes, at) => {
        if (at === restartAt) writer = new OverlayWriter(writer.buffer);
        assert.ok(writer.publish(changes));
        for (const { slot, value } of changes) plain[slot] = value;
        assert.deepEqual(observer.moment(), { sequence: 42 + at, slots: plain });
        assert.equal(writer.sequence, observer.sequence);
        assert.deepEqual(
          [...plain.keys()].map((slot) => observer.read(slot)),
          [...plain],
        );
      });
    }),
  );
});

test("a copy stays what it was, and an observer holds no bank", () => {
  const writer = new OverlayWriter(Uint32Array.of(1));
  const observer = new OverlayObserver(writer.buffer, 1);
  const before = observer.moment();
  for (const value of [2, 3, 4]) assert.ok(writer.publish([{ slot: 0, value }]));
  assert.deepEqual([before.slots[0], observer.read(0)], [1, 4]);
});

test("forget() frees what a dead worker held", () => {
  const writer = new OverlayWriter(Uint32Array.of(0));
  const reader = new OverlayReader(writer.buffer, 1, 5);
  reader.enter();
  writer.publish([{ slot: 0, value: 1 }]);
  assert.equal(writer.isSpareFree(), false);
  new OverlayObserver(writer.buffer, 1).forget(5);
  assert.equal(writer.isSpareFree(), true);
});
