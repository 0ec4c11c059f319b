// SPDX-License-Identifier: Apache-2.0

import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

const folder = fileURLToPath(new URL(".", import.meta.url));
const kinds = readdirSync(folder, { withFileTypes: true }).filter((each) => each.isDirectory());
const sections = ["Name", "Description", "Syntax", "Examples", "Metrics", "Known limits"];

test("every probe kind has a folder", () => {
  assert.deepEqual(
    kinds.map((kind) => kind.name).toSorted((a, b) => a.localeCompare(b)),
    "calculated dns grpc http https icmp prometheus push tcp tls".split(" "),
  );
});

for (const { name } of kinds) {
  test(`README of ${name} has its sections, an example and its kind`, () => {
    const text = readFileSync(`${folder}${name}/README.md`, "utf8");
    const headings = [...text.matchAll(/^## (.*)$/gm)].map((match) => match[1]);
    assert.deepEqual(headings, sections);
    const examples = text.slice(text.indexOf("## Examples"), text.indexOf("## Metrics"));
    assert.match(examples, /```yaml\n[^`]*kind: HealthCheck\n[^`]*```/);
    assert.ok(examples.includes(`\n  ${name}:`));
  });
}
