// SPDX-License-Identifier: Apache-2.0

// `npm run bench [-- NAME…] [--smoke]`: the benchmarks of single functions, each `*.bench.ts` of bench/micro in a process of
// its own. A NAME narrows to the files whose path holds it; --smoke only shows that they still run.

import { spawnSync } from "node:child_process";
import { globSync } from "node:fs";
import { resolve } from "node:path";
import process from "node:process";

const root = resolve(import.meta.dirname, "..");
const names = process.argv.slice(2).filter((flag) => !flag.startsWith("--"));
const isSmoke = process.argv.includes("--smoke");

const files = globSync("bench/micro/**/*.bench.ts", { cwd: root })
  .filter((file) => names.length === 0 || names.some((name) => file.includes(name)))
  .toSorted();

if (files.length === 0) {
  process.stderr.write(
    `Cannot run benchmarks: no file of bench/micro matches ${names.join(", ")}\n`,
  );
  process.exitCode = 1;
}
for (const file of files) {
  process.stdout.write(`${file}\n`);
  const { status } = spawnSync(process.execPath, ["--expose-gc", "--allow-natives-syntax", file], {
    cwd: root,
    stdio: "inherit",
    env: { ...process.env, ...(isSmoke ? { MERIDIAN_BENCH_SMOKE: "1" } : {}) },
  });
  if (status !== 0) process.exitCode = 1;
}
