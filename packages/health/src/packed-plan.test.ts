// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { defaultTiming, type CheckSpec, type ProbeTarget } from "./check.ts";
import { isPackedTargets, packTargets, unpackTargets } from "./packed-plan.ts";

const checks: readonly CheckSpec[] = [
  { ...defaultTiming, kind: "tcp" },
  { ...defaultTiming, kind: "icmp", intervalMs: 1000 },
];
const text = fc.constantFrom("", "a", "b", "c");
const targets: fc.Arbitrary<ProbeTarget[]> = fc.array(
  fc.record(
    {
      key: fc.string(),
      checkName: text,
      check: fc.constantFrom(...checks),
      address: fc.ipV4(),
      port: fc.nat(65_535),
      hostName: text,
      site: text,
    },
    {
      requiredKeys: ["key", "checkName", "check", "address", "port"],
      noNullPrototype: true,
    },
  ),
  { maxLength: 20 },
);

test("targets come back as they were, over a thread's message and over a file, and share their checks", () => {
  fc.assert(
    fc.property(targets, (given) => {
      const packed = packTargets(given);
      assert.ok(packed.checks.length <= checks.length);
      assert.deepEqual(unpackTargets(structuredClone(packed)), given);
      const read: unknown = JSON.parse(JSON.stringify(packed));
      assert.ok(isPackedTargets(read));
      assert.deepEqual(unpackTargets(read), given);
    }),
  );
});

test("what has no such columns is no plan", () => {
  for (const raw of [undefined, null, 1, {}, { ...packTargets([]), keys: 1 }])
    assert.ok(!isPackedTargets(raw));
});
