// SPDX-License-Identifier: Apache-2.0
// Bad input and the exact messages it gets, as transcripts: blocks of `=== FILE` and text, then `=>`
// and the problems. `UPDATE_TESTDATA=1` writes what is found now, to be reviewed as a diff.
import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { formatProblem, loadModel } from "./index.ts";

const folder = join(import.meta.dirname, "testdata");
const now = Date.parse("2026-01-31T12:00:00Z");

interface Case {
  readonly title: string;
  /** The block up to the problems, as it is written. */
  readonly source: string;
  readonly files: readonly { readonly path: string; readonly text: string }[];
  readonly problems: string;
}

for (const transcript of ["documents", "references", "zones", "lints"]) {
  const path = join(folder, `${transcript}.txt`);
  const text = readFileSync(path, "utf8");
  const cases = readCases(text);
  if (process.env["UPDATE_TESTDATA"] === "1") {
    const blocks = cases.map((each) => `## ${each.source}=>\n${problemsOf(each)}`);
    writeFileSync(path, text.slice(0, text.indexOf("## ")) + blocks.join("\n"));
  }
  for (const each of cases) {
    test(`${transcript}: ${each.title}`, () => {
      assert.equal(problemsOf(each), each.problems);
    });
  }
}

function problemsOf({ files }: Case): string {
  const contents = new Map(files.map(({ path, text }) => [path, Buffer.from(text)]));
  const documents = files.filter(({ path }) => /\.(yaml|json|jsonl)$/.test(path));
  const inputs = documents.map(({ path, text }) => ({ path, bytes: Buffer.from(text) }));
  const { problems } = loadModel(inputs, {
    now,
    readFile: (path) => contents.get(path),
    facts: { dataSetTime: () => Date.parse("2025-12-31T12:00:00Z") },
  });
  return problems.map((problem) => `${formatProblem(problem)}\n`).join("");
}

function readCases(text: string): Case[] {
  return text
    .split(/^## /m)
    .slice(1)
    .map((block) => {
      const [source = "", problems = ""] = block.split(/^=>\n/m);
      const [title = "", ...files] = source.split(/^=== /m);
      const found = files.map((file) => {
        const end = file.indexOf("\n");
        return { path: file.slice(0, end), text: expand(file.slice(end + 1)) };
      });
      return {
        title: title.trim(),
        source,
        files: found,
        problems: problems.trimStart().replace(/\n+$/, "\n"),
      };
    });
}

/** Writes out the short form of a document's first two lines. */
function expand(text: string): string {
  const version = "meridian.dev/v1alpha1";
  return text
    .replaceAll(/^API:/gm, `apiVersion: ${version}\nkind:`)
    .replaceAll('"API"', `"apiVersion":"${version}","kind"`);
}
