// SPDX-License-Identifier: Apache-2.0

import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { renderClientTypes } from "@meridian/control";

test("api-requests.ts is what the description of the API says", () => {
  const path = join(import.meta.dirname, "api-requests.ts");
  const rendered = renderClientTypes();
  if (process.env["UPDATE_TESTDATA"] === "1") writeFileSync(path, rendered);
  // But for its layout.
  const plain = (text: string): string =>
    text.replaceAll(/[\s;|()]+/g, " ").replaceAll(/ (?=[>[])|(?<=<) /g, "");
  assert.equal(plain(readFileSync(path, "utf8")), plain(rendered), "run with UPDATE_TESTDATA=1");
});
