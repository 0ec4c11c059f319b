// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import { crc32 } from "node:zlib";
import { keyHigh, keyLow } from "@meridian/core";
import fc from "fast-check";
import { KeyedSlots } from "../keyed-slots.ts";
import { decodeOverlay, encodeOverlay, type StoredOverlay } from "./overlay-file.ts";

const word = fc.nat(0xffff_ffff);
const overlayArbitrary: fc.Arbitrary<StoredOverlay> = fc
  .record({
    savedAtMs: fc.double({ min: 0, max: 1e15, noNaN: true }),
    sequence: word,
    slots: fc.uniqueArray(fc.tuple(fc.bigInt(0n, (1n << 64n) - 1n), word, word), {
      selector: ([key]) => key,
      maxLength: 40,
    }),
  })
  .map(({ savedAtMs, sequence, slots }) => ({
    savedAtMs,
    sequence,
    slots: tableOf(slots),
  }));

function tableOf(slots: readonly (readonly [bigint, number, number])[]): KeyedSlots {
  const table = new KeyedSlots();
  for (const [key, value, seconds] of slots) table.set(keyLow(key), keyHigh(key), value, seconds);
  return table;
}

/** All that an overlay says, as a plain value. */
function plain(overlay: StoredOverlay | string): unknown {
  if (typeof overlay === "string") return overlay;
  const { slots, ...rest } = overlay;
  const entries = [...slots.entries()];
  return { ...rest, slots: entries.map((entry, row) => [...entry, slots.secondsAt(row)]) };
}

test("an overlay is read back as it was written, from any place in a buffer", () => {
  fc.assert(
    fc.property(overlayArbitrary, fc.nat(9), (overlay, shift) => {
      const bytes = encodeOverlay(overlay);
      assert.deepEqual(plain(decodeOverlay(bytes)), plain(overlay));
      const moved = new Uint8Array(bytes.length + shift);
      moved.set(bytes, shift);
      assert.deepEqual(plain(decodeOverlay(moved.subarray(shift))), plain(overlay));
    }),
  );
});

test("torn, altered and random bytes are refused with a reason and never throw", () => {
  fc.assert(
    fc.property(
      overlayArbitrary,
      fc.nat(),
      fc.integer({ min: 1, max: 255 }),
      (overlay, place, flip) => {
        const bytes = encodeOverlay(overlay);
        assert.equal(typeof decodeOverlay(bytes.slice(0, place % bytes.length)), "string");
        assert.equal(typeof decodeOverlay(Buffer.concat([bytes, Buffer.alloc(16)])), "string");
        const altered = bytes.slice();
        const at = place % bytes.length;
        altered[at] = (altered[at] ?? 0) ^ flip;
        assert.equal(typeof decodeOverlay(altered), "string", `byte ${at}`);
      },
    ),
    { numRuns: 500 },
  );
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      assert.equal(typeof decodeOverlay(bytes), "string");
    }),
  );
});

test("a count that asks for more than there is allocates nothing", () => {
  const bytes = encodeOverlay({ savedAtMs: 1, sequence: 1, slots: new KeyedSlots() });
  const view = new DataView(bytes.buffer);
  for (const count of [1, 0x1000_0000, 0xffff_ffff]) {
    view.setUint32(20, count, true);
    view.setUint32(24, crc32(bytes.subarray(0, 24)), true);
    assert.match(decodeOverlay(bytes) as string, /slots need/);
  }
});
