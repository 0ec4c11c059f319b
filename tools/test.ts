// SPDX-License-Identifier: Apache-2.0

// `npm test [-- PATH…]`: every test of the repository, or those in the files and folders named, under node:test.
// The last thing it prints is the test runner's own summary; its exit code is 1 where a test failed.

import { execFileSync } from "node:child_process";
import { globSync, statSync } from "node:fs";
import { join, relative, resolve } from "node:path";
import process from "node:process";
import { pipeline } from "node:stream/promises";
import { run } from "node:test";
import { spec } from "node:test/reporters";

const root = resolve(import.meta.dirname, "..");

/** Files run in this order: those that take long first, so that none of them is the last, alone. */
const folders: readonly string[] = ["test", "packages", "apps", "tools", "bench", "native"];

/** How many test files run at once. Many wait for real processes: two of them leave a third of two processors idle. */
const concurrency = 3;

/** A single test that takes longer hangs. */
const testTimeoutMs = 180_000;

/** All of them together: a file whose tests are done and whose process stays has no timeout of its own. */
const allTestsLimitMs = 40 * 60_000;

/** What was compiled for one test file serves the next: they read the same packages, each in a process of its own. */
const compiledFolder = join(root, ".build", "compiled");

/** The command as it is installed, which the tests in processes of their own start. */
const bundleFolder = join(root, ".build", "test-bundle");

/** What the environment may say otherwise; `npm run check:all` asks more of the long suites. */
const defaults: Readonly<Record<string, string>> = {
  MERIDIAN_TEST_FUZZ_SECONDS: "20",
  MERIDIAN_TEST_SEEDS: "200",
  NODE_COMPILE_CACHE: compiledFolder,
  MERIDIAN_TEST_PROGRAM: join(bundleFolder, "app", "main.js"),
};

/** Test files below `path`, or `path` itself where it is a file. Relative to the root, in a stable order. */
function testFiles(path: string): readonly string[] {
  const found = statSync(path, { throwIfNoEntry: false });
  if (found === undefined) return [];
  if (found.isFile()) return [relative(root, path)];
  return globSync("**/*.test.{ts,mjs}", { cwd: path, exclude: ["**/node_modules/**"] })
    .map((name) => relative(root, join(path, name)))
    .toSorted();
}

async function main(): Promise<void> {
  const named = process.argv.slice(2);
  const paths =
    named.length > 0
      ? named.map((path) => resolve(path))
      : folders.map((folder) => join(root, folder));
  const files = [...new Set(paths.flatMap(testFiles))];
  if (files.length === 0) {
    process.stderr.write(`Cannot run tests: no *.test.ts in ${named.join(", ")}\n`);
    process.exitCode = 1;
    return;
  }
  process.chdir(root);
  execFileSync(process.execPath, [join(root, "tools", "bundle.ts"), bundleFolder], {
    stdio: "inherit",
  });
  for (const [name, value] of Object.entries(defaults)) process.env[name] ??= value;
  await runFiles(files);
}

/** Runs them, each in a process of its own, in this order. Who is interrupted says so in the summary. */
async function runFiles(files: readonly string[]): Promise<void> {
  const ending = new AbortController();
  const timer = setTimeout(() => ending.abort(), allTestsLimitMs);
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const)
    process.once(signal, () => ending.abort());
  const tests = run({ files, concurrency, timeout: testTimeoutMs, signal: ending.signal });
  tests.on("test:summary", ({ success }) => {
    if (!success) process.exitCode = 1;
  });
  await pipeline(tests, new spec(), process.stdout, { end: false });
  clearTimeout(timer);
  // What tests have started, and could not stop then, may hold on to the output.
  if (ending.signal.aborted) process.exit(1);
}

await main();
