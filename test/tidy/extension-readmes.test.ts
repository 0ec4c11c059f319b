// SPDX-License-Identifier: Apache-2.0

// A policy or probe kind is a folder with its manual page, in sections that are always the same.

import assert from "node:assert/strict";
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { root, textOf } from "./repository.ts";

const extensionFolders: readonly string[] = [
  "packages/snapshot/src/policies",
  "packages/health/src/probes",
];

const sections: readonly string[] = [
  "Name",
  "Description",
  "Syntax",
  "Examples",
  "Metrics",
  "Known limits",
];

const kinds = extensionFolders
  .filter((folder) => existsSync(join(root, folder)))
  .flatMap((folder) =>
    readdirSync(join(root, folder), { withFileTypes: true })
      .filter((entry) => entry.isDirectory() && entry.name !== "testdata")
      .map((entry) => `${folder}/${entry.name}`),
  );

for (const kind of kinds) {
  test(`${kind} has a README with every section, in order, each with text`, () => {
    const page = `${kind}/README.md`;
    assert.ok(existsSync(join(root, page)), `${page} is missing`);
    const parts = textOf(page).split(/^## /m).slice(1);
    assert.deepEqual(
      parts.map((part) => part.split("\n", 1)[0]?.trim()),
      sections,
    );
    const empty = parts.filter((part) => part.split("\n").slice(1).join("").trim() === "");
    assert.deepEqual(empty, []);
    const examples = parts[sections.indexOf("Examples")] ?? "";
    assert.match(examples, /^```/m, "Examples holds no example");
  });
}
