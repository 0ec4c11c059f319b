// SPDX-License-Identifier: Apache-2.0

import assert from "node:assert/strict";
import { basename } from "node:path";
import { test } from "node:test";
import { repositoryFiles, textOf } from "./repository.ts";

const files = repositoryFiles().filter((path) => !path.includes("/testdata/"));

const isSource = (path: string): boolean =>
  /\.(ts|tsx|mts|mjs|js|c|h|sh)$/.test(path) || /^(bin\/[^/]+|\.ci\/run)$/.test(path);

test("every source file opens with its licence", () => {
  const without = files.filter(isSource).filter((path) => {
    const lines = textOf(path).split("\n", 2);
    const line = lines[0]?.startsWith("#!") === true ? lines[1] : lines[0];
    return !/^(\/\/|#|\/\*) SPDX-License-Identifier: Apache-2\.0( \*\/)?$/.test(line ?? "");
  });
  assert.deepEqual(without, []);
});

test("files and folders are named in kebab-case", () => {
  // Names that a tool or a custom of the trade fixes.
  const fixed = new Set(["README.md", "Dockerfile", "LICENSE"]);
  const misnamed = files
    .filter((path) => path.includes("/") && !path.startsWith("bench/results/"))
    .filter((path) => {
      const parts = path.split("/");
      const name = parts.pop() ?? "";
      const isKebab = (part: string): boolean =>
        /^\.?[a-z0-9]+(-[a-z0-9]+)*(\.[a-z0-9]+(-[a-z0-9]+)*)*$/.test(part);
      return !(parts.every(isKebab) && (fixed.has(name) || isKebab(name)));
    });
  assert.deepEqual(misnamed, []);
});

test("no file or folder is a grab-bag", () => {
  const grabBags = new Set([
    "utils",
    "util",
    "helpers",
    "helper",
    "common",
    "misc",
    "shared-utils",
  ]);
  const found = files.filter((path) =>
    path.split("/").some((part) => grabBags.has(part.replace(/\..*$/, ""))),
  );
  assert.deepEqual(found, []);
});

test("no file names a machine's folders or a package registry", () => {
  // Put together here, so that this file does not hold what it looks for.
  const folders = ["work", "root"].map((name) => `(?<![\\w.$}~])/${name}/`);
  const hosts = ["registry\\.[a-z0-9-]+\\.[a-z]{2,}", "artifact" + "ory", "verda" + "ccio"];
  const pattern = new RegExp([...folders, ...hosts].join("|"));
  const found = files
    .filter((path) => /\.(ts|tsx|mjs|js|json|jsonc|c|h|md|ya?ml|service|sh|txt)$/.test(path))
    .filter((path) => basename(path) !== "source-files.test.ts")
    .flatMap((path) => {
      const match = pattern.exec(textOf(path));
      return match === null ? [] : [`${path}: ${match[0]}`];
    });
  assert.deepEqual(found, []);
});

test("nothing waits to be fixed", () => {
  const marks = new RegExp(`\\b(${["TO" + "DO", "FIX" + "ME", "XX" + "X"].join("|")})\\b`);
  const found = files.filter(isSource).filter((path) => marks.test(textOf(path)));
  assert.deepEqual(found, []);
});
