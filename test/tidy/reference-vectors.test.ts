// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import { textOf } from "./repository.ts";

const VECTORS = 40;
const page = textOf("docs/internals/reference-vectors.md");
const rows = [...page.matchAll(/^\| (\d+) \| [^|]+ \| (.+) \|$/gm)].map((match) => ({
  vector: Number(match[1]),
  text: match[2] ?? "",
}));

test("docs/internals/reference-vectors.md has every vector once, with a test that is there or a reason", () => {
  assert.deepEqual(
    rows.map(({ vector }) => vector),
    Array.from({ length: VECTORS }, (_, at) => at + 1),
  );
  for (const { vector, text } of rows) {
    const tests = [...text.matchAll(/`([^`]+\.(?:test\.ts|txt))` "([^"]+)"/g)];
    assert.ok(tests.length > 0 || text.startsWith("None"), `vector ${vector}`);
    for (const [, file = "", part = ""] of tests)
      assert.ok(textOf(file).includes(part), `vector ${vector}: ${file} has no "${part}"`);
  }
});
