// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import { readOptions } from "./options.ts";

test("readOptions() defaults to all scenarios and nine rounds", () => {
  const options = readOptions([]);
  assert.ok(typeof options !== "string");
  assert.equal(options.rounds, 9);
  assert.equal(options.scenarios.length, 12);
});

test("readOptions() reads lists and groups", () => {
  const options = readOptions(["--quick", "--only", "echo,knot", "--scenario", "small,flip"]);
  assert.ok(typeof options !== "string");
  assert.deepEqual(options.only, ["echo", "knot"]);
  assert.deepEqual(options.scenarios, ["weighted", "geo", "failover", "flip"]);
  assert.equal(options.rounds, 1);
});

test("readOptions() says what is wrong", () => {
  assert.match(complaint(["--scenario", "smal"]), /name is "smal", expected one of/);
  assert.match(complaint(["--rounds", "0"]), /rounds is "0"/);
  assert.match(complaint(["--seconds", "x"]), /seconds is "NaN"/);
  assert.match(complaint(["--fast"]), /--fast/);
});

function complaint(args: readonly string[]): string {
  const found = readOptions(args);
  return typeof found === "string" ? found : "";
}
