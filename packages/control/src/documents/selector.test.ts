// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { fieldSelector, labelSelector } from "./selector.ts";

const word = fc.constantFrom("a", "b", "team", "example.org/tier", "x-y");
const requirement = fc.oneof(
  fc.record({ key: word, sign: fc.constantFrom("=", "==", "!="), value: word }),
  fc.record({
    key: word,
    among: fc.constantFrom("in", "notin"),
    values: fc.array(word, { minLength: 1, maxLength: 3 }),
  }),
  fc.record({ key: word, there: fc.boolean() }),
);
type Requirement = typeof requirement extends fc.Arbitrary<infer Value> ? Value : never;

function textOf(one: Requirement): string {
  if ("sign" in one) return `${one.key}${one.sign}${one.value}`;
  if ("among" in one) return `${one.key} ${one.among} (${one.values.join(", ")})`;
  return `${one.there ? "" : "!"}${one.key}`;
}

/** The slow twin: what each form says, in the words of Kubernetes. */
function isMet(one: Requirement, labels: ReadonlyMap<string, string>): boolean {
  const value = labels.get(one.key);
  if ("sign" in one) return one.sign === "!=" ? value !== one.value : value === one.value;
  if ("among" in one) {
    const isAmong = value !== undefined && one.values.some((each) => each === value);
    return one.among === "in" ? isAmong : !isAmong;
  }
  return one.there === (value !== undefined);
}

test("labelSelector() selects what its requirements say, all of them", () => {
  fc.assert(
    fc.property(
      fc.array(requirement, { maxLength: 4 }),
      fc.dictionary(word, word, { maxKeys: 4, noNullPrototype: true }),
      (requirements, labels) => {
        const select = labelSelector(requirements.map(textOf).join(" , "));
        const known = new Map(Object.entries(labels));
        const expected = requirements.every((one) => isMet(one, known));
        assert.equal(select({ metadata: { labels } }), expected);
      },
    ),
  );
});

test("labelSelector() and fieldSelector() take any text or refuse it, and never throw anything else", () => {
  fc.assert(
    fc.property(fc.string(), (text) => {
      for (const make of [labelSelector, fieldSelector]) {
        try {
          make(text)({});
        } catch (error) {
          assert.equal(Reflect.get(Object(error), "code"), "REQUEST_INVALID");
        }
      }
    }),
  );
});

test("fieldSelector() follows a path to a scalar", () => {
  const document = { metadata: { name: "web" }, spec: { dial: 50, isOn: true, members: {} } };
  const selects = (text: string): boolean => fieldSelector(text)(document);
  assert.ok(selects("metadata.name=web,spec.dial=50,spec.isOn=true,spec.none!=x"));
  assert.ok(!selects("spec.members=x"));
  assert.ok(!selects("spec.dial=5"));
  assert.throws(() => selects("spec.dial"), { code: "REQUEST_INVALID" });
});
