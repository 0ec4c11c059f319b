// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { parseDocuments, type Document, type Problem } from "./index.ts";
import { isDomainLikeName, isDomainName, isPlainDomainName } from "./fields.ts";
import { RecordLines } from "./record-lines.ts";
import { RecordTable } from "./record-table.ts";

const path = "a.jsonl";

function line(name: string, owner: string, tail = '"policy":"p"'): string {
  return `{"apiVersion":"meridian.dev/v1alpha1","kind":"Record","metadata":{"name":"${name}"},"spec":{"name":"${owner}",${tail}}}`;
}

/** Each line read by itself, so always as JSON: the slow twin. */
function oneByOne(lines: readonly string[]): { documents: Document[]; problems: Problem[] } {
  const parsed = lines.map((text, index) =>
    parseDocuments([{ path, bytes: Buffer.from(`${"\n".repeat(index)}${text}`) }]),
  );
  return {
    documents: parsed.flatMap(({ documents }) => documents),
    problems: parsed.flatMap(({ problems }) => problems),
  };
}

function together(lines: readonly string[]): { documents: Document[]; problems: Problem[] } {
  const { documents, problems } = parseDocuments([{ path, bytes: Buffer.from(lines.join("\n")) }]);
  return { documents, problems };
}

const names = fc.oneof(
  fc.constantFrom("a", "www.example.org", "*.example.org", "www.example.org.", "9", "."),
  fc.constantFrom("A", "ä", "", "-a", "a\\u0062", 'a\\"b', "a b", "x".repeat(64), "a..b", "\u007f"),
  fc.stringMatching(/^[a-z0-9*_.-]{1,12}$/),
);
const tails = fc.constantFrom(
  '"policy":"p"',
  '"policy":"p","types":["A"]',
  '"pool":"q","ttl":{"max":"10s"}',
  '"pool":"q","policy":"p"',
  '"policy":"p","types":["A","A"]',
  '"policy":"p","name":"twice.example.org"',
  '"policy":"p","colour":"red"',
);
const forms = fc.constantFrom(
  (text: string) => text,
  (text: string) => text.replaceAll(":", ": "),
  (text: string) => `${text}\r`,
  (text: string) => text.replace('"metadata":{', '"metadata":{"labels":{"name":"x"},'),
  (text: string) => text.replace('"metadata":{"name"', '"metadata":{"n\\u0061me"'),
  (text: string) => text.replace(/("metadata":.*),("spec":.*)\}$/, "$2,$1}"),
  (text: string) => text.replace("v1alpha1", "v2"),
  (text: string) => text.slice(0, -1),
);

test("lines like those before give what each gives by itself", () => {
  const lines = fc.array(
    fc
      .tuple(forms, names, fc.option(names, { nil: undefined }), tails)
      .map(([form, name, owner, tail]) => form(line(name, owner ?? name, tail))),
    { minLength: 2, maxLength: 40 },
  );
  fc.assert(
    fc.property(lines, (texts) => {
      assert.deepEqual(together(texts), oneByOne(texts));
    }),
    { numRuns: 200 },
  );
});

test("take() accepts a line that differs in its names only, and declines all else", () => {
  const table = new RecordTable();
  const lines = new RecordLines(table);
  const [document] = together([line("a", "a.example.org")]).documents;
  assert.ok(document?.kind === "Record");
  const learnt = Buffer.from(line("a", "a.example.org"));
  const takes = (text: string): boolean =>
    lines.take(Buffer.from(text), 0, Buffer.byteLength(text), table.fileOf(path), 7);
  assert.equal(takes(learnt.toString()), false);
  lines.learn(learnt, 0, learnt.length, document);
  assert.equal(takes(line("b", "*.example.org")), true);
  assert.deepEqual(
    [...table],
    together([...Array<string>(6).fill(""), line("b", "*.example.org")]).documents,
  );
  for (const other of [
    line("b", "b..org"),
    line("B", "b.org"),
    line("b", "b.org", '"policy":"q"'),
    `${line("b", "b.org")} `,
    line("b", "b\\u002eorg"),
  ]) {
    assert.equal(takes(other), false, other);
  }
  assert.equal(table.count, 1);
});

test("isPlainDomainName() accepts nothing that one of the fields refuses", () => {
  const labels = fc.array(
    fc.oneof(fc.stringMatching(/^[a-z0-9_*A-Z-]{0,4}$/), fc.constantFrom("x".repeat(63), "*")),
    { minLength: 1, maxLength: 6 },
  );
  let accepted = 0;
  fc.assert(
    fc.property(labels, (parts) => {
      const text = parts.join(".");
      const bytes = Buffer.from(`"${text}"`);
      if (!isPlainDomainName(bytes, 1, bytes.length - 1)) return;
      accepted += 1;
      assert.ok(isDomainLikeName(text) && isDomainName(text), text);
    }),
    { numRuns: 3000 },
  );
  assert.ok(accepted > 100);
});

test("isPlainDomainName() accepts the names that programs make", () => {
  for (const text of ["www.example.org", "*.a-1.example.org", "_dmarc.example.org", "a"]) {
    assert.equal(isPlainDomainName(Buffer.from(text), 0, text.length), true, text);
  }
});
