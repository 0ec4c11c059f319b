// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { FRAME_BYTES_MAX, FrameDecoder, FrameKind, encodeFrame, type Frame } from "./frame.ts";

const kinds = Object.values(FrameKind);
const frame: fc.Arbitrary<Frame> = fc.record(
  { kind: fc.constantFrom(...kinds), payload: fc.uint8Array({ maxLength: 64 }) },
  { noNullPrototype: true },
);

/** Pieces of `bytes`, cut at the places given. */
function cut(bytes: Uint8Array, places: readonly number[]): Uint8Array[] {
  const ends = [...places.map((place) => place % (bytes.length + 1)), bytes.length];
  const sorted = ends.toSorted((a, b) => a - b);
  return sorted.map((end, index) => bytes.subarray(sorted[index - 1] ?? 0, end));
}

test("push() gives back what encodeFrame() wrote, however the bytes are cut", () => {
  fc.assert(
    fc.property(fc.array(frame), fc.array(fc.nat()), (frames, places) => {
      const bytes = new Uint8Array(Buffer.concat(frames.map((each) => encodeFrame(each))));
      const decoder = new FrameDecoder(kinds);
      const found = cut(bytes, places).flatMap((piece) => {
        const some = decoder.push(piece);
        assert.ok(typeof some !== "string");
        return some;
      });
      assert.deepEqual(found, frames);
    }),
  );
});

test("push() takes any bytes, and nothing more after an error", () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 40 })), (pieces) => {
      const decoder = new FrameDecoder([FrameKind.hello]);
      let error: string | undefined;
      for (const piece of pieces) {
        const found = decoder.push(piece);
        if (error !== undefined) assert.equal(found, error);
        else if (typeof found === "string") error = found;
        else assert.ok(found.every(({ kind }) => kind === FrameKind.hello));
      }
    }),
    { numRuns: 1000 },
  );
});

test("push() refuses a payload beyond its kind's limit before it comes", () => {
  const header = new Uint8Array(5);
  new DataView(header.buffer).setUint32(0, FRAME_BYTES_MAX[FrameKind.hello] + 1, true);
  header[4] = FrameKind.hello;
  assert.equal(
    new FrameDecoder(kinds).push(header),
    "Message of kind 1 has 4097 bytes, expected at most 4096",
  );
});

test("encodeFrame() refuses a payload beyond its kind's limit", () => {
  const payload = new Uint8Array(FRAME_BYTES_MAX[FrameKind.hello] + 1);
  assert.throws(() => encodeFrame({ kind: FrameKind.hello, payload }), RangeError);
});
