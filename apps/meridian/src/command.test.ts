// SPDX-License-Identifier: Apache-2.0

import assert from "node:assert/strict";
import { test } from "node:test";
import { MeridianError } from "@meridian/core";
import { CommandInput } from "./command.ts";
import { CommandError, ExitCode, exitCodeOf } from "./exit-code.ts";
import { httpOf, listenOf, stateDirOf, workersOf } from "./server-settings.ts";

test("CommandInput takes lists from repeated flags and from one variable with commas", () => {
  const input = new CommandInput([], { listen: ["a", "b,c"], file: "d,e,", none: undefined });
  assert.deepEqual(input.list("listen"), ["a", "b", "c"]);
  assert.deepEqual(input.list("file"), ["d", "e"]);
  assert.deepEqual(input.list("none"), []);
});

test("CommandInput.flag() reads what an environment variable may say", () => {
  const input = new CommandInput([], { a: true, b: "1", c: "yes", d: "0", e: "", f: false });
  const flags = ["a", "b", "c", "d", "e", "f", "g"].map((name) => input.flag(name));
  assert.deepEqual(flags, [true, true, true, false, false, false, false]);
});

test("CommandInput.wholeNumber() names the flag, the value and the range where it is wrong", () => {
  const input = new CommandInput([], { queryLogSample: "1.5", count: "7", much: "1e9" });
  assert.equal(input.wholeNumber("count", 1, 10), 7);
  assert.equal(input.wholeNumber("missing", 1, 10), undefined);
  assert.throws(
    () => input.wholeNumber("queryLogSample", 1, 10),
    new CommandError(
      ExitCode.invalid,
      'Option --query-log-sample is "1.5", expected a whole number from 1 to 10',
    ),
  );
  assert.throws(() => input.wholeNumber("much", 1, 10), /expected a whole number from 1 to 10/);
});

test("settings have the defaults that the reference promises", () => {
  const input = new CommandInput([], { http: "127.0.0.1:8053" });
  assert.equal(listenOf(input)[0], "127.0.0.1:5300");
  assert.equal(httpOf(input), "127.0.0.1:8053");
  assert.equal(httpOf(new CommandInput([], { http: "none" })), undefined);
  assert.match(stateDirOf(input), /^\/.*\/meridian$/);
  assert.ok(workersOf(input) >= 1 && workersOf(input) <= 4);
  assert.throws(() => workersOf(new CommandInput([], { workers: "64" })), /from 1 to 63/);
});

test("exitCodeOf() tells refusal, invalid input and failure apart", () => {
  const coded = (code: string): number => exitCodeOf(new MeridianError(code, "user", "x"));
  assert.equal(coded("STATE_LOCKED"), ExitCode.refused);
  assert.equal(coded("EDGE_LISTEN_IN_USE"), ExitCode.refused);
  assert.equal(coded("EDGE_LISTEN_INVALID"), ExitCode.invalid);
  assert.equal(coded("COMPILE_FAILED"), ExitCode.failed);
  assert.equal(exitCodeOf(new CommandError(ExitCode.notFound, "x")), ExitCode.notFound);
  assert.equal(exitCodeOf("x"), ExitCode.failed);
});
