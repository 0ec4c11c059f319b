// SPDX-License-Identifier: Apache-2.0

import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { test } from "node:test";
import { findingKinds } from "./finding.ts";

const page = new URL("../../../../docs/reference/doctor.md", import.meta.url);

test("docs/reference/doctor.md lists what the doctor finds", () => {
  const text = readFileSync(page, "utf8");
  const [head] = text.split("| code |");
  const rows = Object.entries(findingKinds).map(
    ([code, { severity, advice }]) => `| \`${code}\` | ${severity} | ${advice} |\n`,
  );
  const rendered = `${head}| code | severity | what to do |\n| --- | --- | --- |\n${rows.join("")}`;
  if (process.env["UPDATE_TESTDATA"] === "1") writeFileSync(page, rendered);
  assert.equal(text, rendered, "run with UPDATE_TESTDATA=1");
});
