// SPDX-License-Identifier: Apache-2.0

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import {
  compareNames,
  equalNames,
  isName,
  isSubdomain,
  isWildcard,
  labelCount,
  lowerName,
  nameKey,
  nameLength,
  parentName,
  replaceSuffix,
  rootName,
  wildcardOf,
} from "./name.ts";
import { formatName, parseName } from "./name-text.ts";

function name(text: string): Uint8Array {
  const wire = parseName(text);
  assert.ok(wire instanceof Uint8Array, text);
  return wire;
}

/** Names of 0 to 8 labels of any bytes, 0 to 63 long, as wire form. */
const anyName = fc
  .array(fc.uint8Array({ minLength: 1, maxLength: 30 }), { maxLength: 8 })
  .map((labels) => Uint8Array.from([...labels.flatMap((label) => [label.length, ...label]), 0]));

/** Names that collide often: few letters, both cases. */
const closeName = fc
  .array(fc.stringMatching(/^[aAbB*]{1,2}$/), { maxLength: 4 })
  .map((labels) => name(labels.length === 0 ? "." : `${labels.join(".")}.`));

test("parseName() reads back what formatName() wrote, for names of any bytes", () => {
  fc.assert(
    fc.property(anyName, (wire) => {
      assert.deepEqual(parseName(formatName(wire)), wire);
    }),
  );
});

test("parseName() never throws and gives only well-formed names", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary" }), closeName, (text, origin) => {
      const wire = parseName(text, origin);
      assert.ok(!(wire instanceof Uint8Array) || isName(wire));
    }),
  );
});

test("parseName() understands origin, escapes and relative names", () => {
  const origin = name("example.org.");
  const read = (text: string): string => {
    const wire = parseName(text, origin);
    return wire instanceof Uint8Array ? formatName(wire) : wire.error;
  };
  assert.deepEqual(["@", ".", "www", "www.", "a\\.b", "a\\046b", "\\@", "*.x", "\\200"].map(read), [
    "example.org.",
    ".",
    "www.example.org.",
    "www.",
    "a\\.b.example.org.",
    "a\\.b.example.org.",
    "\\@.example.org.",
    "*.x.example.org.",
    "\\200.example.org.",
  ]);
});

test("parseName() refuses empty labels, long labels, long names and bad escapes", () => {
  const label = "x".repeat(63);
  const longest = `${label}.${label}.${label}.${"x".repeat(61)}`;
  assert.equal(name(longest).length, 255);
  assert.equal(name(`${longest}.`).length, 255);
  for (const text of [
    "",
    "..",
    "a..b",
    ".a",
    `${label}x`,
    `${longest}x`,
    "a\\",
    "a\\25",
    "a\\256",
  ]) {
    assert.ok(!(parseName(text) instanceof Uint8Array), text);
  }
  assert.ok(!(parseName(longest, name("a")) instanceof Uint8Array));
  assert.ok(!(parseName(`${longest}x.`) instanceof Uint8Array));
});

test("compareNames() gives the order of RFC 4034 §6.1", () => {
  const ordered = [
    "example.",
    "a.example.",
    "yljkjljk.a.example.",
    "Z.a.example.",
    "zABC.a.EXAMPLE.",
    "z.example.",
    "\\001.z.example.",
    "*.z.example.",
    "\\200.z.example.",
  ].map(name);
  const shuffled = [...ordered].reverse().sort(compareNames);
  assert.deepEqual(
    shuffled.map((wire) => formatName(wire)),
    ordered.map((wire) => formatName(wire)),
  );
});

test("compareNames() is a total order that agrees with equalNames() and nameKey()", () => {
  fc.assert(
    fc.property(closeName, closeName, closeName, (a, b, c) => {
      assert.equal(compareNames(a, b) === 0, equalNames(a, b));
      assert.equal(nameKey(a) === nameKey(b), equalNames(a, b));
      assert.equal(Math.sign(compareNames(a, b)), -Math.sign(compareNames(b, a)) + 0);
      if (compareNames(a, b) <= 0 && compareNames(b, c) <= 0) {
        assert.ok(compareNames(a, c) <= 0);
      }
    }),
  );
});

test("isSubdomain() agrees with a walk over parents", () => {
  fc.assert(
    fc.property(closeName, closeName, (child, parent) => {
      let expected = false;
      for (let at: Uint8Array | undefined = child; at !== undefined; at = parentName(at)) {
        expected ||= equalNames(at, parent);
      }
      assert.equal(isSubdomain(child, parent), expected);
    }),
  );
});

test("isSubdomain() respects label boundaries", () => {
  assert.ok(!isSubdomain(name("badexample.org"), name("example.org")));
  assert.ok(!isSubdomain(name("a\\007example.org"), name("example.org")));
  assert.ok(isSubdomain(name("a.EXAMPLE.org"), name("example.ORG")));
  assert.ok(isSubdomain(name("a"), rootName));
});

test("names have counts, parents, wildcards and lower case", () => {
  assert.equal(labelCount(rootName), 0);
  assert.equal(labelCount(name("*.a.b")), 3);
  assert.equal(parentName(rootName), undefined);
  assert.deepEqual(parentName(name("a.b")), name("b"));
  assert.deepEqual(wildcardOf(name("a.b")), name("*.a.b"));
  assert.ok(isWildcard(name("*.a")) && !isWildcard(name("**.a")) && !isWildcard(rootName));
  assert.equal(wildcardOf(name("x.".repeat(127))), undefined);
  assert.deepEqual(lowerName(name("A-Z@[`{.")), name("a-z@[`{."));
});

test("replaceSuffix() exchanges suffixes and refuses what becomes too long", () => {
  assert.deepEqual(replaceSuffix(name("a.b.c"), name("B.c"), name("x.y.z")), name("a.x.y.z"));
  assert.equal(replaceSuffix(name("a.b"), name("c"), name("d")), undefined);
  const long = name("x.".repeat(126));
  assert.equal(replaceSuffix(name("aa.b"), name("b"), long), undefined);
  assert.equal(replaceSuffix(name("a.b"), name("b"), long)?.length, 255);
});

test("nameLength() refuses pointers, reserved labels and cut-off names", () => {
  assert.equal(nameLength(Uint8Array.of(9, 1, 65, 0, 7), 1), 3);
  for (const bytes of [[], [1], [1, 65], [0xc0, 0], [0x40, 0], [0x80, 0]]) {
    assert.equal(nameLength(Uint8Array.from(bytes)), -1);
  }
  assert.equal(nameLength(new Uint8Array(300).fill(1)), -1);
});
