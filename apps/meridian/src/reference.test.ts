// SPDX-License-Identifier: Apache-2.0

import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { test } from "node:test";
import { commands } from "./commands.ts";
import { ExitCode } from "./exit-code.ts";
import { renderCliReference } from "./reference.ts";

const page = new URL("../../../docs/reference/cli.md", import.meta.url);

test("docs/reference/cli.md is what the table of commands says", () => {
  const rendered = renderCliReference();
  if (process.env["UPDATE_TESTDATA"] === "1") writeFileSync(page, rendered);
  assert.equal(readFileSync(page, "utf8"), rendered, "run with UPDATE_TESTDATA=1");
});

test("docs/reference/cli.md lists every exit code", () => {
  const text = renderCliReference();
  for (const code of Object.values(ExitCode))
    assert.match(text, new RegExp(`^\\| ${code} \\| `, "m"));
});

test("a flag means the same in every command, and its variable is named after it", () => {
  const seen = new Map<string, string>();
  for (const { name, options } of commands) {
    for (const { flags, environment } of options) {
      if (environment === undefined) continue;
      const long = /--([a-z-]+)/.exec(flags)?.[1] ?? "";
      assert.equal(environment, `MERIDIAN_${long.replaceAll("-", "_").toUpperCase()}`, name);
      assert.equal(seen.get(environment) ?? long, long);
      seen.set(environment, long);
    }
  }
});
