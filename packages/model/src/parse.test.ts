// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { stringify } from "yaml";
import { examples, limits, Model, parseDocument, parseDocuments, type Problem } from "./index.ts";
import { modelArbitrary, rawOf } from "./model-arbitrary.ts";

function problemsOf(path: string, text: string | Uint8Array): Problem[] {
  const bytes = typeof text === "string" ? Buffer.from(text) : text;
  return parseDocuments([{ path, bytes }]).problems;
}

function codesOf(path: string, text: string | Uint8Array): string[] {
  return problemsOf(path, text).map(({ code }) => code);
}

describe("parseDocuments()", () => {
  test("reads several documents of several files with their places", () => {
    const site = "apiVersion: meridian.dev/v1alpha1\nkind: Site\nspec: {}\nmetadata:";
    const { documents, problems } = parseDocuments([
      {
        path: "a.yaml",
        bytes: Buffer.from(`# first\n${site} { name: a }\n---\n${site} { name: b }\n`),
      },
      { path: "b.yml", bytes: Buffer.from(`\uFEFF${site} { name: c }\n`) },
    ]);
    assert.deepEqual(problems, []);
    assert.deepEqual(
      documents.map(({ metadata, source }) => `${metadata.name} ${source.file}:${source.line}`),
      ["a a.yaml:2", "b a.yaml:7", "c b.yml:1"],
    );
  });

  test("fills defaults in", () => {
    const { documents } = parseDocuments([{ path: "a.yaml", bytes: Buffer.from(examples.Record) }]);
    const [record] = documents;
    assert.ok(record?.kind === "Record");
    assert.deepEqual(record.spec.types, ["A", "AAAA"]);
    assert.deepEqual(record.spec.ttl, { min: "5s", max: "30s" });
    assert.equal(record.metadata.namespace, "default");
  });

  test("reads nothing out of empty files", () => {
    for (const text of ["", "\n", "---\n---\n", "# nothing\n", "...\n"]) {
      assert.deepEqual(problemsOf("a.yaml", text), []);
    }
    assert.deepEqual(problemsOf("a.jsonl", "\n \n"), []);
  });

  test("refuses files that are too large with one sentence", () => {
    const [problem] = problemsOf("a.jsonl", new Uint8Array(100_000_000).fill(0x20));
    assert.equal(
      problem?.message,
      "Cannot read the file: its size is 95.4 MiB, expected at most 64 MiB",
    );
    assert.deepEqual(codesOf("a.yaml", new Uint8Array(limits.yamlBytesMax + 1)), [
      "file-too-large",
    ]);
  });

  test("refuses what is no text", () => {
    assert.deepEqual(codesOf("a.yaml", Uint8Array.of(0x61, 0xff)), ["file-not-text"]);
    assert.deepEqual(codesOf("a.yaml", Buffer.from("\uFEFFa: b", "utf16le")), ["file-not-text"]);
    assert.deepEqual(codesOf("a.json", Uint8Array.of(0x7f, 0x45, 0x4c, 0x46, 0)), [
      "file-not-text",
    ]);
  });

  test("stops telling problems at the limit and counts the rest", () => {
    const lines = '{"kind":"Nothing"}\n'.repeat(limits.problemsMax + 7);
    const problems = problemsOf("a.jsonl", lines);
    assert.equal(problems.length, limits.problemsMax + 1);
    assert.equal(problems.at(-1)?.message, "Cannot show all problems: there are 7 more");
  });

  test("takes a Shift only by another way than a file", () => {
    const source = { file: "api", line: 1 };
    const raw = {
      apiVersion: "meridian.dev/v1alpha1",
      kind: "Shift",
      metadata: { name: "a" },
      spec: { target: "site/eu", reason: "r", actor: "a", expiresAt: "2026-01-31T18:00:00Z" },
    };
    assert.deepEqual(codesOf("a.json", JSON.stringify(raw)), ["kind-refused"]);
    assert.deepEqual(parseDocument(raw, source).problems, []);
  });
});

describe("hostile YAML", () => {
  const size = 100_000;
  const texts = {
    "open lists": "[".repeat(size),
    "open maps": "{".repeat(size),
    "lists in lists": "- ".repeat(size),
    "keys of keys": "? ".repeat(size),
    "a text that does not end": `"${"a".repeat(size)}`,
    "many keys": Array.from({ length: size / 10 }, (_, i) => `k${i}: 1\n`).join(""),
    "many aliases": `a: &a 1\nb: [${"*a,".repeat(size / 4)}]`,
    "many documents": "a\n---\n".repeat(size / 50),
    "closed brackets": "]".repeat(size / 10),
    anchors: "&a ".repeat(size / 10),
  };
  for (const [title, text] of Object.entries(texts)) {
    test(`${title} cost little and are refused`, () => {
      const startedAt = process.cpuUsage().user;
      assert.ok(problemsOf("a.yaml", text).length > 0);
      // Quadratic work would take minutes; this only has to tell it from linear work.
      assert.ok(process.cpuUsage().user - startedAt < 10_000_000);
    });
  }

  test("no bytes make it throw, and each problem has a place", () => {
    const seeds = Object.values(examples).map((text) => Buffer.from(text));
    const edit = fc.record({
      at: fc.double({ min: 0, max: 1, noNaN: true }),
      cut: fc.nat(12),
      bytes: fc.oneof(
        fc.uint8Array({ maxLength: 6 }),
        fc
          .constantFrom(
            "---\n",
            "&a ",
            "*a",
            "{",
            "[",
            "]",
            "}",
            ": ",
            "- ",
            "|\n",
            "!!x ",
            '"',
            "'",
          )
          .map((text) => Buffer.from(text)),
      ),
    });
    fc.assert(
      fc.property(
        fc.constantFrom(...seeds),
        fc.array(edit, { maxLength: 6 }),
        fc.constantFrom("a.yaml", "a.json", "a.jsonl"),
        (seed, edits, path) => {
          let bytes = seed;
          for (const { at, cut, bytes: inserted } of edits) {
            const offset = Math.floor(at * bytes.length);
            bytes = Buffer.concat([
              bytes.subarray(0, offset),
              inserted,
              bytes.subarray(offset + cut),
            ]);
          }
          const { documents, problems } = parseDocuments([{ path, bytes }]);
          Model.build(documents);
          for (const { line, column, message } of problems) {
            assert.ok(line >= 1 && column >= 1 && message.startsWith("Cannot "), message);
          }
        },
      ),
      { numRuns: 600 },
    );
  });
});

test("any valid model survives being written and read, as YAML, JSON and JSON lines", () => {
  fc.assert(
    fc.property(modelArbitrary, (raws) => {
      const files = {
        "a.yaml": raws.map((raw) => stringify(raw)).join("---\n"),
        "a.json": JSON.stringify(raws, undefined, 1),
        "a.jsonl": raws.map((raw) => `${JSON.stringify(raw)}\n`).join(""),
      };
      for (const [path, text] of Object.entries(files)) {
        const first = parseDocuments([{ path, bytes: Buffer.from(text) }]);
        assert.deepEqual(first.problems, []);
        const again = first.documents.map((document) => `${JSON.stringify(rawOf(document))}\n`);
        const second = parseDocuments([{ path: "b.jsonl", bytes: Buffer.from(again.join("")) }]);
        assert.deepEqual(second.documents.map(rawOf), first.documents.map(rawOf));
        const { model, problems } = Model.build(second.documents);
        assert.deepEqual(problems, []);
        assert.equal(model?.documentCount, raws.length);
      }
    }),
    { numRuns: 60 },
  );
});
