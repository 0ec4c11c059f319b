// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import { parseName } from "@meridian/dns";
import fc from "fast-check";
import { NameKey, NameTable } from "./name-table.ts";

const texts = fc.oneof(
  fc.constantFrom(".", "a", "a.", "A.b", "*.a", "*.a."),
  fc
    .array(fc.stringMatching(/^[a-zA-Z0-9_-]{1,8}$/), { minLength: 1, maxLength: 4 })
    .map((each) => each.join(".")),
);

function wireOf(text: string): Uint8Array {
  const wire = parseName(text);
  assert.ok(wire instanceof Uint8Array);
  return wire;
}

test("a NameTable numbers names as a Map of their lower-case texts does", () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(texts, fc.boolean()), { maxLength: 300 }), (names) => {
      const table = new NameTable();
      const twin = new Map<string, number>();
      const key = new NameKey();
      for (const [text, isWire] of names) {
        const bytes = Buffer.from(`x${text}y`);
        if (isWire) key.setWire(wireOf(text));
        else key.setText(bytes, 1, bytes.length - 1);
        const plain = text.toLowerCase().replace(/(?<=.)\.$/, "");
        assert.equal(table.find(key), twin.get(plain) ?? -1);
        if (!twin.has(plain)) twin.set(plain, twin.size);
        assert.equal(table.add(key), twin.get(plain));
      }
      assert.equal(table.count, twin.size);
      for (const [plain, number] of twin) {
        assert.deepEqual(Buffer.from(table.name(number)), Buffer.from(wireOf(plain)));
      }
    }),
  );
});
