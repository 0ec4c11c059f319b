// SPDX-License-Identifier: Apache-2.0

// What a policy's manual page and the guide show as YAML is accepted by the model as it stands there.

import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { formatProblem, parseDocuments } from "@meridian/model";
import { root, textOf } from "./repository.ts";

const folder = "packages/snapshot/src/policies";
const pages = readdirSync(join(root, folder), { withFileTypes: true })
  .filter((entry) => entry.isDirectory())
  .map((entry) => `${folder}/${entry.name}/README.md`);

/** YAML documents of a page's code blocks. */
function examplesOf(page: string): string[] {
  const blocks = [...textOf(page).matchAll(/^```yaml\n([\s\S]*?)^```/gm)];
  return blocks.flatMap(([, block = ""]) => block.split(/^---\n/m));
}

/** A whole document out of what a page shows of one. */
function completed(example: string): string {
  if (example.startsWith("apiVersion:")) return example;
  if (example.startsWith("kind:")) return `apiVersion: meridian.dev/v1alpha1\n${example}`;
  const rootNode = /^nodes:\n {2}([a-z0-9-]+):/m.exec(example)?.[1] ?? "";
  const indented = example.replaceAll(/^(?=.)/gm, "  ");
  return `apiVersion: meridian.dev/v1alpha1\nkind: TrafficPolicy\nmetadata: { name: shown }\nspec:\n  root: ${rootNode}\n${indented}`;
}

for (const page of [...pages, "docs/guides/policies.md"]) {
  test(`the examples of ${page} are accepted by the model`, () => {
    const examples = examplesOf(page);
    assert.ok(examples.length > 0, "there is no example");
    for (const [index, example] of examples.entries()) {
      const file = { path: `${page}#${index}`, bytes: Buffer.from(completed(example)) };
      const { documents, problems } = parseDocuments([file]);
      assert.deepEqual(problems.map(formatProblem), []);
      assert.equal(documents.length, 1);
    }
  });
}

test("an example with a misspelt field is refused", () => {
  const bytes = Buffer.from(
    completed("nodes:\n  n:\n    weighted:\n      branches: [{ pool: a, wieght: 1 }]\n"),
  );
  const { problems } = parseDocuments([{ path: "example", bytes }]);
  assert.match(problems.map(formatProblem).join("\n"), /wieght/);
});
