// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { formatKey } from "./document-key.ts";
import { DocumentSet } from "./document-set.ts";

const write = fc.record({
  name: fc.integer({ min: 0, max: 40 }).map((number) => `p${number}`),
  dial: fc.option(fc.integer({ min: 0, max: 3 }), { nil: undefined }),
});

test("DocumentSet gives the same files whatever its history, and only changed ones are others", () => {
  fc.assert(
    fc.property(fc.array(fc.array(write, { maxLength: 4 }), { maxLength: 10 }), (changes) => {
      let set = DocumentSet.empty;
      const present = new Map<string, string>();
      for (const [index, writes] of changes.entries()) {
        const before = new Map(set.compilerFiles().files.map((file) => [file.path, file]));
        const applied = writes.map(({ name, dial }) => {
          const key = { kind: "Pool", namespace: "default", name };
          const text =
            dial === undefined ? undefined : JSON.stringify({ kind: "Pool", dial, name });
          if (text === undefined) present.delete(formatKey(key));
          else present.set(formatKey(key), text);
          return { key, text };
        });
        set = set.with(applied, index + 1);
        const kept = set.compilerFiles().files.filter((file) => before.get(file.path) === file);
        assert.ok(kept.length >= before.size - writes.length);
      }
      // The slow twin: all at once.
      const all = [...present].map(([name, text]) => {
        const [kind = "", namespace = "", last = ""] = name.split("/");
        return { key: { kind, namespace, name: last }, text };
      });
      const expected = DocumentSet.empty.with(all, changes.length);
      assert.deepEqual(set.compilerFiles().files, expected.compilerFiles().files);
      for (const file of set.compilerFiles().files) {
        const lines = Buffer.from(bytesOf(file.bytes)).toString().split("\n");
        for (const [index, line] of lines.entries()) {
          const key = set.compilerFiles().keyAt(file.path, index + 1);
          assert.equal(JSON.parse(line).name, key?.name);
        }
      }
    }),
  );
});

function bytesOf(bytes: unknown): Uint8Array {
  assert.ok(bytes instanceof Uint8Array);
  return bytes;
}
