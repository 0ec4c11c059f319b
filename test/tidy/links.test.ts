// SPDX-License-Identifier: Apache-2.0

import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { repositoryFiles, root, textOf } from "./repository.ts";

const pages = repositoryFiles().filter(
  (path) => path.endsWith(".md") && !path.includes("/testdata/"),
);

/** Prose of a page: fenced code and code spans may hold brackets that are no links. */
function proseOf(page: string): string {
  return textOf(page)
    .replaceAll(/^(```|~~~)[\s\S]*?^\1/gm, "")
    .replaceAll(/`[^`\n]*`/g, "");
}

/** Anchor that a heading gets where Markdown is shown as a page. */
function anchorOf(heading: string): string {
  return heading
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N}\s_-]/gu, "")
    .trim()
    .replaceAll(/\s/g, "-");
}

function anchorsOf(page: string): ReadonlySet<string> {
  const text = textOf(page).replaceAll(/^(```|~~~)[\s\S]*?^\1/gm, "");
  return new Set([...text.matchAll(/^#+\s+(.+)$/gm)].map((match) => anchorOf(match[1] ?? "")));
}

test("every relative link leads somewhere", () => {
  const broken = pages.flatMap((page) =>
    [...proseOf(page).matchAll(/\]\(([^)\s]+)[^)]*\)|^\[[^\]]+\]:\s+(\S+)/gm)]
      .map((match) => match[1] ?? match[2] ?? "")
      .filter((target) => !/^[a-z][a-z0-9+.-]*:/i.test(target))
      .filter((target) => !leadsSomewhere(page, target))
      .map((target) => `${page}: ${target}`),
  );
  assert.deepEqual(broken, []);
});

function leadsSomewhere(page: string, target: string): boolean {
  const [path = "", anchor] = target.split("#", 2);
  const file = path === "" ? page : join(dirname(page), decodeURI(path));
  if (!existsSync(join(root, file))) return false;
  return anchor === undefined || !file.endsWith(".md") || anchorsOf(file).has(anchor);
}
