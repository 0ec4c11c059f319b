// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { DocumentReader, loadModel, type InputFile } from "./index.ts";

const apiVersion = "meridian.dev/v1alpha1";

function pool(name: string): string {
  const members = { a: { address: "192.0.2.1" } };
  return JSON.stringify({ apiVersion, kind: "Pool", metadata: { name }, spec: { members } });
}

function record(name: string, target: string): string {
  const spec = { name: `${name}.example.org`, pool: target };
  return JSON.stringify({ apiVersion, kind: "Record", metadata: { name }, spec });
}

const lines = fc.oneof(
  fc.constantFrom("p", "q").map(pool),
  fc
    .tuple(fc.constantFrom("a", "b", "c", "d", "e"), fc.constantFrom("p", "q"))
    .map(([name, target]) => record(name, target)),
  fc.constantFrom("{", '{"kind":"Pol"}', ""),
);
const contents = fc.array(lines, { maxLength: 6 }).map((each) => each.join("\n"));

test("a reader gives what a new one gives, whichever files have changed", () => {
  fc.assert(
    fc.property(fc.array(fc.array(contents, { maxLength: 3 }), { maxLength: 4 }), (loads) => {
      const reader = new DocumentReader();
      for (const texts of loads) {
        const files = texts.map((text, index): InputFile => ({
          path: `${index}.jsonl`,
          bytes: Buffer.from(text),
          version: text,
        }));
        const { documents, records, broken, problems } = reader.read(files);
        const fresh = new DocumentReader().read(files);
        assert.deepEqual(documents, fresh.documents);
        assert.deepEqual([...records], [...fresh.records]);
        assert.deepEqual(records.shapes, fresh.records.shapes);
        assert.deepEqual(broken, fresh.broken);
        assert.deepEqual(problems, fresh.problems);
      }
    }),
    { numRuns: 200 },
  );
});

test("a reader reads only files whose version is new, or that were wrong", () => {
  const reader = new DocumentReader();
  const reads: string[] = [];
  const file = (path: string, version: string | undefined, text: string): InputFile => ({
    path,
    version,
    bytes: () => {
      reads.push(path);
      return Buffer.from(text);
    },
  });
  const files = (version: string): InputFile[] => [
    file("same.jsonl", "1", pool("p")),
    file("changed.jsonl", version, pool("q")),
    file("fresh.jsonl", undefined, pool("r")),
    file("wrong.jsonl", "1", "{"),
  ];
  reader.read(files("1"));
  assert.deepEqual(reads.splice(0), ["same.jsonl", "changed.jsonl", "fresh.jsonl", "wrong.jsonl"]);
  const { documents } = reader.read(files("2"));
  assert.deepEqual(reads, ["changed.jsonl", "fresh.jsonl", "wrong.jsonl"]);
  assert.deepEqual(
    documents.map(({ metadata }) => metadata.name),
    ["p", "q", "r"],
  );
});

test("a file that cannot be read when it is its turn is a problem beside the others", () => {
  const { model, problems } = loadModel(
    [
      { path: "gone.yaml", bytes: () => 'Cannot read "gone.yaml": there is no such file' },
      { path: "b.jsonl", bytes: Buffer.from("{") },
    ],
    { now: 0 },
  );
  assert.equal(model, undefined);
  assert.deepEqual(
    problems.map(({ file, code }) => `${file} ${code}`),
    ["gone.yaml file-unreadable", "b.jsonl syntax-wrong"],
  );
});
