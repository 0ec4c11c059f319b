// SPDX-License-Identifier: Apache-2.0

import assert from "node:assert/strict";
import { test } from "node:test";
import {
  RRType,
  classFromText,
  classToText,
  extendedErrorToText,
  isMetaType,
  opcodeToText,
  rcodeToText,
  typeFromText,
  typeToText,
} from "./constants.ts";

test("every type number survives being written and read", () => {
  for (let type = 0; type <= 65_535; type++) {
    assert.equal(typeFromText(typeToText(type)), type);
  }
});

test("typeFromText() reads mnemonics in any case and TYPEnnn of known types", () => {
  assert.equal(typeFromText("aaaa"), RRType.AAAA);
  assert.equal(typeFromText("Type15"), RRType.MX);
  for (const text of ["", "TYPE", "TYPE65536", "TYPE-1", "TYPE1x", "FOO"]) {
    assert.equal(typeFromText(text), undefined, text);
  }
});

test("classes, codes and errors have names, or their number", () => {
  assert.deepEqual(
    [classToText(1), classToText(9), rcodeToText(16), rcodeToText(99), opcodeToText(4)],
    ["IN", "CLASS9", "BADVERS", "RCODE99", "NOTIFY"],
  );
  assert.equal(classFromText("class3"), 3);
  assert.equal(extendedErrorToText(3), "stale answer");
  assert.equal(extendedErrorToText(999), "code 999");
});

test("isMetaType() keeps question types and OPT out of zones", () => {
  assert.deepEqual([0, 41, 250, 251, 252, 255].map(isMetaType), Array<boolean>(6).fill(true));
  assert.deepEqual([1, 65, 99, 109, 256, 65_280].map(isMetaType), Array<boolean>(6).fill(false));
});
