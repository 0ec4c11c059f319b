// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import type { SafetyRuleDocument } from "@meridian/model";
import { areCompatible } from "./rule-conflicts.ts";

type Spec = SafetyRuleDocument["spec"];

function assertion(names: string, require: Spec["require"], inverted: boolean = false): Spec {
  return {
    panel: "p",
    assertion: { controls: names.split("") },
    require,
    inverted,
    waitPeriod: "0s",
  };
}

test("areCompatible() tells rules that no states of the controls meet together", () => {
  const all = assertion("ab", { all: {} });
  const notAny = assertion("bc", { any: {} }, true);
  assert.equal(areCompatible([]), true);
  assert.equal(areCompatible([all]), true);
  assert.equal(areCompatible([all, notAny]), false);
  assert.equal(areCompatible([all, assertion("cd", { any: {} }, true)]), true);
  const two = assertion("abc", { atLeast: 2 });
  const notTwo = assertion("abc", { atLeast: 2 }, true);
  assert.equal(areCompatible([two, notTwo]), false);
  assert.equal(areCompatible([two, assertion("ab", { atLeast: 2 }, true)]), true);
  // At least one of each pair, at most one of all.
  const one = assertion("abc", { atLeast: 2 }, true);
  const pairs = ["ab", "bc", "ac"].map((names) => assertion(names, { any: {} }));
  assert.equal(areCompatible([one, ...pairs]), false);
  assert.equal(areCompatible([one, ...pairs.slice(1)]), true);
});
