// SPDX-License-Identifier: Apache-2.0

import assert from "node:assert/strict";
import { test } from "node:test";
import { problemCodes } from "@meridian/model";
import { moduleFiles, textOf } from "./repository.ts";

const page = textOf("docs/reference/errors.md");

/** Cells of the table rows that open with a code, without the backquotes. */
const rows = [...page.matchAll(/^\| `([^`]+)` \| (.*) \|$/gm)].map((match) => ({
  code: match[1] ?? "",
  text: match[2] ?? "",
}));

/** Codes of Node.js and of the system look alike, and are not ours. */
const isForeign = (code: string): boolean => /^(ERR_|MERIDIAN_|UV_|XDG_|NODE_|LISTEN_)/.test(code);

/**
 * Codes that a source file gives to a MeridianError: the words in capitals among its literals, since some stand in a
 * table first.
 */
function codesOf(file: string): readonly string[] {
  const text = textOf(file);
  if (!/\b(new|extends) MeridianError\b/.test(text)) return [];
  return [...text.matchAll(/"([A-Z]+(?:_[A-Z0-9]+)+)"/g)]
    .map((match) => match[1] ?? "")
    .filter((code) => !isForeign(code));
}

test("docs/reference/errors.md lists exactly the error codes of the code", () => {
  const inCode = moduleFiles()
    .filter((file) => /^(packages|apps|native)\//.test(file) && !file.endsWith(".test.ts"))
    .flatMap(codesOf);
  const listed = rows.map(({ code }) => code).filter((code) => /^[A-Z_0-9]+$/.test(code));
  assert.deepEqual(listed.toSorted(), [...new Set(inCode)].toSorted());
});

test("docs/reference/errors.md lists the problems of documents in the words of the code", () => {
  const listed = rows.filter(({ code }) => !/^[A-Z_0-9]+$/.test(code));
  assert.deepEqual(Object.fromEntries(listed.map(({ code, text }) => [code, text])), problemCodes);
});
