// SPDX-License-Identifier: Apache-2.0

import assert from "node:assert/strict";
import { test } from "node:test";
import { moduleFiles, textOf } from "./repository.ts";

const page = "docs/reference/errors.md";

test("docs/reference/errors.md lists exactly the error codes of the code", () => {
  const inCode = moduleFiles()
    .filter((file) => /^(packages|apps|native)\//.test(file) && !file.endsWith(".test.ts"))
    .flatMap((file) => [
      ...textOf(file).matchAll(/(?:new MeridianError|super)\(\s*"([A-Z]+(?:_[A-Z0-9]+)*)"/g),
    ])
    .map((match) => match[1] ?? "");
  const listed = [...textOf(page).matchAll(/^\| `([^`]+)` \|/gm)].map((match) => match[1] ?? "");
  assert.deepEqual(listed.toSorted(), [...new Set(inCode)].toSorted());
});

test("an error code is upper-case words", () => {
  const codes = [...textOf(page).matchAll(/^\| `([^`]+)` \|/gm)].map((match) => match[1] ?? "");
  assert.deepEqual(
    codes.filter((code) => !/^[A-Z]+(_[A-Z0-9]+)*$/.test(code)),
    [],
  );
});
