// SPDX-License-Identifier: Apache-2.0

import assert from "node:assert/strict";
import process from "node:process";
import { test } from "node:test";
import { needs, programPath } from "./needs.ts";

function inCi(value: string | undefined, work: () => void): void {
  const before = process.env["MERIDIAN_CI"];
  if (value === undefined) delete process.env["MERIDIAN_CI"];
  else process.env["MERIDIAN_CI"] = value;
  try {
    work();
  } finally {
    if (before === undefined) delete process.env["MERIDIAN_CI"];
    else process.env["MERIDIAN_CI"] = before;
  }
}

test("needs() is false for a program that is there", () => {
  assert.equal(needs("sh", "dash"), false);
  assert.match(programPath("sh") ?? "", /\/sh$/);
});

test("needs() gives the reason on a developer's machine, and throws in CI", () => {
  inCi(undefined, () => {
    assert.equal(
      needs("no-such-program", "no-such-package"),
      "no-such-program is not installed; apt-get install no-such-package",
    );
  });
  inCi("1", () => {
    assert.throws(
      () => needs("no-such-program", "no-such-package"),
      /^Error: Cannot skip a test in CI: /,
    );
  });
});
