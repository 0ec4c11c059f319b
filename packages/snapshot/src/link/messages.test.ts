// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { FRAME_HEADER_BYTES } from "./frame.ts";
import {
  CARRIED_CHANGES_MAX,
  decodeAcknowledgement,
  decodeCarried,
  decodeChanges,
  decodeHello,
  decodeSentSection,
  decodeTable,
  encodeAcknowledgement,
  isTaken,
  encodeCarried,
  encodeChangeColumns,
  encodeChanges,
  encodeHello,
  encodeSentSection,
  encodeTable,
} from "./messages.ts";

const revision = fc.maxSafeNat();
const word = fc.nat(0xffff_ffff);
const payloadOf = (bytes: Uint8Array): Uint8Array => bytes.subarray(FRAME_HEADER_BYTES);

test("each message is read as it was written", () => {
  const changes = fc.array(
    fc.record({ key: fc.bigInt(0n, 2n ** 64n - 1n), value: word }, { noNullPrototype: true }),
  );
  fc.assert(
    fc.property(revision, word, fc.array(word), changes, (at, sequence, slots, changed) => {
      const position = { epoch: sequence, revision: at, sequence };
      const table = { ...position, slots: Uint32Array.from(slots) };
      assert.deepEqual(decodeTable(payloadOf(encodeTable(table))), table);
      const set = { ...position, changes: changed };
      assert.deepEqual(decodeChanges(payloadOf(encodeChanges(set))), set);
      const keys = BigUint64Array.from(changed, ({ key }) => key);
      const values = Uint32Array.from(changed, ({ value }) => value);
      assert.deepEqual(encodeChangeColumns(position, keys, values), encodeChanges(set));
      const carried = { ...set, from: { revision: at, sequence } };
      if (changed.length <= CARRIED_CHANGES_MAX)
        assert.deepEqual(decodeCarried(payloadOf(encodeCarried(carried))), carried);
      const unmovedMs = at % 3 === 0 ? Infinity : Math.min(sequence, 0xffff_fffe);
      const served = { ...position, hash: at.toString(16).padStart(64, "0"), unmovedMs };
      const told = (takesUnmoved: boolean): unknown =>
        decodeAcknowledgement(payloadOf(encodeAcknowledgement(served, takesUnmoved)));
      assert.deepEqual(told(true), served);
      assert.deepEqual(told(false), { ...served, unmovedMs: 0 }, "as earlier versions say it");
      const hello = {
        ...position,
        protocol: 1,
        version: "1.0.0",
        takesSections: at % 2 === 0,
        takesShifts: at % 5 === 0,
        takesLeases: at % 3 === 0,
        dns: ["192.0.2.1:53"],
      };
      assert.deepEqual(decodeHello(payloadOf(encodeHello(hello))), hello);
      const base = at % 2 === 0 ? undefined : "ab".repeat(32);
      const section = { name: served.hash, base, delta: Uint8Array.from(slots) };
      assert.deepEqual(decodeSentSection(payloadOf(encodeSentSection(section))), section);
    }),
  );
});

test("an acknowledgement has the length that earlier versions of control take, but for those that take more", () => {
  const served = { epoch: 1, revision: 2, sequence: 3, hash: "ab".repeat(32), unmovedMs: 4 };
  const lengths = [false, true].map((is) => payloadOf(encodeAcknowledgement(served, is)).length);
  assert.deepEqual(lengths, [52, 56]);
  const offered = ["traffic, unmoved", "unmoved", ["traffic", "unmoved"], "traffic", undefined];
  assert.deepEqual(
    offered.map((header) => isTaken(header, "unmoved")),
    [true, true, true, false, false],
  );
});

test("bytes that are no message are read as none, and never throw", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => {
      const table = decodeTable(bytes);
      if (table !== undefined) assert.equal(bytes.length, 24 + table.slots.length * 4);
      const set = decodeChanges(bytes);
      if (set !== undefined) assert.equal(bytes.length, 24 + set.changes.length * 12);
      const carried = decodeCarried(bytes);
      if (carried !== undefined) assert.equal(bytes.length, 40 + carried.changes.length * 12);
      if (decodeAcknowledgement(bytes) !== undefined)
        assert.ok(bytes.length === 52 || bytes.length === 56);
      decodeHello(bytes);
      decodeSentSection(bytes);
    }),
    { numRuns: 1000 },
  );
});

test("a table cut short or longer than it says is none", () => {
  const whole = payloadOf(
    encodeTable({ epoch: 1, revision: 1, sequence: 2, slots: new Uint32Array(3) }),
  );
  assert.equal(decodeTable(whole.subarray(0, whole.length - 1)), undefined);
  assert.equal(decodeTable(Uint8Array.from([...whole, 0])), undefined);
});
