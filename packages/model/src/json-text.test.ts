// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { findJsonError, itemOffsets, locateInJson } from "./json-text.ts";

test("findJsonError() accepts what JSON.parse() accepts, and refuses what it refuses", () => {
  const piece = fc.constantFrom(
    ...'{}[]:,"\\ \n\t\u0000'.split(""),
    "tru",
    "true",
    "null",
    "-",
    "0",
    "01",
    "1.5",
    "e3",
    '"a"',
    '"\\u00e9"',
    '"b":',
  );
  const text = fc.array(piece, { maxLength: 9 }).map((pieces) => pieces.join(""));
  fc.assert(
    fc.property(fc.oneof(text, fc.json({ maxDepth: 4 })), (json) => {
      const error = findJsonError(json);
      // Repeated names are the one thing that JSON.parse lets pass.
      const isRepeated = error?.wanted.endsWith(" once") === true;
      assert.equal(error === undefined || isRepeated, isJson(json));
      assert.ok((error?.offset ?? 0) <= json.length);
    }),
    { numRuns: 3000 },
  );
});

test("findJsonError() refuses a name that is there twice", () => {
  assert.deepEqual(findJsonError('{"a": 1, "a": 2}'), {
    offset: 9,
    wanted: 'the name "a" once',
    isTooDeep: false,
  });
});

test("locateInJson() finds each value and each name where they are", () => {
  const json = '[{"a": [10, {"b": "x"}], "a b": null}, true]';
  const at = (path: (string | number)[], atKey = false): string =>
    json.slice(locateInJson(json, path, atKey)).slice(0, 4);
  assert.equal(at([]), '[{"a');
  assert.equal(at([0, "a", 0]), "10, ");
  assert.equal(at([0, "a", 1, "b"]), '"x"}');
  assert.equal(at([0, "a", 1, "b"], true), '"b":');
  assert.equal(at([0, "a b"]), "null");
  assert.equal(at([1]), "true");
  assert.equal(at([0, "a", 1, "missing"]), '{"b"');
  assert.equal(at([0, "missing"], true), '{"a"');
});

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

test("itemOffsets() finds each item of a list where locateInJson() does", () => {
  fc.assert(
    fc.property(fc.array(fc.jsonValue()), (items) => {
      const text = ` ${JSON.stringify(items, undefined, 2)}`;
      const expected = items.map((_, index) => locateInJson(text, [index], false));
      assert.deepEqual(itemOffsets(text), expected);
    }),
  );
  assert.deepEqual(itemOffsets('{"a": [1, 2]}'), []);
});
