// SPDX-License-Identifier: Apache-2.0

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { test } from "node:test";
import { commands } from "../commands.ts";
import { completionScript } from "./completion.ts";

/** What bash offers after some words, of which the last is being typed. */
function offered(...words: readonly string[]): string[] {
  const script = `${completionScript("bash")}
COMP_WORDS=(meridian "$@"); COMP_CWORD=$#; _meridian; printf '%s\\n' "\${COMPREPLY[@]}"`;
  const { stdout, stderr } = spawnSync("bash", ["-c", script, "bash", ...words], {
    cwd: import.meta.dirname,
    encoding: "utf8",
  });
  assert.equal(stderr, "");
  return stdout.trim().split("\n");
}

test("bash completes commands, groups, kinds and flags", () => {
  assert.deepEqual(offered("qu"), ["quickstart"]);
  assert.deepEqual(offered("snapshot", "v"), ["verify"]);
  assert.deepEqual(offered("get", "po"), ["pools", "policies"]);
  assert.deepEqual(offered("snapshot", "diff", "--o"), ["--output"]);
  assert.ok(offered("drain", "--").includes("--reason"));
  assert.deepEqual(offered("get", "pools", "--output", ""), ["table", "yaml", "json"]);
  assert.deepEqual(offered("check", ""), [""], "files");
});

test("every shell's script names every command, and no hidden flag", () => {
  for (const shell of ["bash", "zsh", "fish"]) {
    const script = completionScript(shell);
    for (const { name } of commands)
      for (const word of name.split(" ")) assert.match(script, new RegExp(`\\b${word}\\b`));
    assert.doesNotMatch(script, /no-probing/);
  }
});
