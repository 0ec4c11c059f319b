// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { test, type TestContext } from "node:test";
import { limits } from "@meridian/model";
import { readBounded, readDocumentFiles } from "./file-loader.ts";

function makeFolder(context: TestContext, files: Readonly<Record<string, string>>): string {
  const folder = mkdtempSync(join(tmpdir(), "meridian-files-"));
  context.after(() => rmSync(folder, { recursive: true, force: true }));
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(join(folder, name, ".."), { recursive: true });
    writeFileSync(join(folder, name), text);
  }
  return folder;
}

test("documents are found below folders by suffix, in a stable order; hidden ones are passed over", (context) => {
  const folder = makeFolder(context, {
    "b.yml": "b",
    "a.yaml": "a",
    "sub/c.json": "c",
    "sub/d.jsonl": "d",
    "notes.txt": "no",
    ".hidden.yaml": "no",
    ".git/x.yaml": "no",
  });
  const { files, errors } = readDocumentFiles([folder]);
  assert.deepEqual(errors, []);
  assert.deepEqual(
    files.map(({ path }) => relative(folder, path)),
    ["a.yaml", "b.yml", "sub/c.json", "sub/d.jsonl"],
  );
  assert.deepEqual(
    files.map(({ bytes }) => Buffer.from(typeof bytes === "function" ? bytes() : bytes).toString()),
    ["a", "b", "c", "d"],
  );
});

test("a file that is named is read whatever its suffix", (context) => {
  const folder = makeFolder(context, { "model.txt": "x" });
  assert.equal(readDocumentFiles([join(folder, "model.txt")]).files.length, 1);
});

test("what is missing, unreadable, too large or nested too deep is an error that names it; the rest is read", (context) => {
  const deep = `${Array.from({ length: 20 }, () => "d").join("/")}/x.yaml`;
  const folder = makeFolder(context, {
    "ok.yaml": "x",
    "large/huge.yaml": "",
    "secret/s.yaml": "",
    [`deep/${deep}`]: "x",
  });
  truncateSync(join(folder, "large/huge.yaml"), limits.fileBytesMax + 1);
  symlinkSync(join(folder, "nowhere"), join(folder, "dangling.yaml"));
  chmodSync(join(folder, "secret/s.yaml"), 0);
  const { files, errors } = readDocumentFiles([folder, join(folder, "absent.yaml")]);
  const messages = errors.map(({ message }) => message).join("\n");
  assert.ok(files.some(({ path }) => path.endsWith("ok.yaml")));
  assert.match(messages, /absent\.yaml": there is no such file/);
  assert.match(messages, /dangling\.yaml": there is no such file/);
  assert.match(
    messages,
    new RegExp(
      `huge\\.yaml": it has ${limits.fileBytesMax + 1} bytes, expected at most ${limits.fileBytesMax}`,
    ),
  );
  assert.match(messages, /nested 17 deep, expected at most 16/);
  // Root reads what nobody may.
  if (process.getuid?.() !== 0) assert.match(messages, /s\.yaml": permission denied/);
});

test("a named pipe is refused instead of waited for", (context) => {
  const folder = makeFolder(context, {});
  execFileSync("mkfifo", [join(folder, "pipe.yaml")]);
  assert.match(readBounded(join(folder, "pipe.yaml")) as string, /it is no ordinary file/);
});

test("readBounded() gives the bytes, or a text for a folder", (context) => {
  const folder = makeFolder(context, { "a.yaml": "abc" });
  assert.deepEqual(readBounded(join(folder, "a.yaml")), new Uint8Array(Buffer.from("abc")));
  assert.match(readBounded(folder) as string, /it is a folder/);
});
