// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { canonicalJson } from "./canonical.ts";
import { differences } from "./document-diff.ts";

const value = fc.letrec<{ value: unknown }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 3 },
    fc.constantFrom(1, 2, "a", "b", true, null),
    fc.array(tie("value"), { maxLength: 3 }),
    fc.dictionary(fc.constantFrom("x", "y", "z.w"), tie("value"), { maxKeys: 3 }),
  ),
})).value;

test("differences() is empty exactly where two values are equal", () => {
  fc.assert(
    fc.property(value, value, (before, after) => {
      const isEqual = canonicalJson(before) === canonicalJson(after);
      assert.equal(differences(before, after).length === 0, isEqual);
      assert.deepEqual(differences(before, before), []);
    }),
  );
});

test("differences() of the other direction are the same places, the other way round", () => {
  fc.assert(
    fc.property(value, value, (before, after) => {
      const turned = differences(after, before).map(({ path, ...each }) => ({
        path,
        ...("after" in each ? { before: each.after } : {}),
        ...("before" in each ? { after: each.before } : {}),
      }));
      assert.deepEqual(differences(before, after), turned);
    }),
  );
});

test("differences() names the deepest place that differs", () => {
  assert.deepEqual(
    differences({ a: { b: [1, 2], c: 1 }, d: 1 }, { a: { b: [1, 3, 4] }, d: { e: 1 } }),
    [
      { path: "a.b[1]", before: 2, after: 3 },
      { path: "a.b[2]", after: 4 },
      { path: "a.c", before: 1 },
      { path: "d", before: 1, after: { e: 1 } },
    ],
  );
});
