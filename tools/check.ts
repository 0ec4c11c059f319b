// SPDX-License-Identifier: Apache-2.0

// `npm run check`: the gate for a change. Each step prints one line with its seconds, a failing one its whole output;
// all of them run, and the exit code is 1 where any failed. `npm run check:all` adds the tests with longer fuzzing,
// more simulation seeds and more rounds of each proof, faults planted in the code, and a smoke run of the benchmarks.

import { spawn } from "node:child_process";
import { resolve } from "node:path";
import process from "node:process";

const root = resolve(import.meta.dirname, "..");

interface Step {
  readonly name: string;
  readonly command: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  /** Its output is worth seeing while it runs, and when it succeeds. */
  readonly isLong?: boolean;
}

const node = process.execPath;

/** `node_modules/.bin/NAME`, which a package's own launcher or script stands behind. */
const tool = (name: string): string => resolve(root, "node_modules/.bin", name);

const quickSteps: readonly Step[] = [
  { name: "format", command: [tool("oxfmt"), "--check"] },
  { name: "lint", command: [tool("oxlint"), "--type-aware", "--deny-warnings"] },
  { name: "types", command: [tool("tsc"), "-b"] },
  { name: "tidy", command: [node, "--test", "test/tidy/**/*.test.ts"] },
  { name: "unused", command: [tool("knip"), "--no-progress", "--no-config-hints"] },
  { name: "markdown", command: [tool("markdownlint-cli2")] },
  { name: "spelling", command: [tool("cspell"), "--no-progress", "--no-summary"] },
];

const longSteps: readonly Step[] = [
  {
    name: "tests",
    command: [node, "tools/test.ts"],
    environment: {
      MERIDIAN_TEST_FUZZ_SECONDS: "120",
      MERIDIAN_TEST_SEEDS: "2000",
      MERIDIAN_LONG: "1",
    },
    isLong: true,
  },
  { name: "faults", command: [node, "test/proof/planted-faults.ts"], isLong: true },
  { name: "benchmarks", command: [node, "tools/bench.ts", "--smoke"] },
];

interface Outcome {
  readonly name: string;
  readonly isOk: boolean;
  readonly seconds: number;
  readonly output: string;
}

function run(step: Step): Promise<Outcome> {
  const startMs = performance.now();
  const [command = "", ...commandArguments] = step.command;
  return new Promise((done) => {
    const child = spawn(command, commandArguments, {
      cwd: root,
      // The tools' launchers ask for `node`: it must be the pinned one, some need a newer one than the host's.
      env: { ...process.env, ...step.environment, PATH: pathWithPinnedTools() },
      stdio: [
        "ignore",
        step.isLong === true ? "inherit" : "pipe",
        step.isLong === true ? "inherit" : "pipe",
      ],
    });
    const chunks: Buffer[] = [];
    child.stdout?.on("data", (chunk: Buffer) => chunks.push(chunk));
    child.stderr?.on("data", (chunk: Buffer) => chunks.push(chunk));
    const finish = (isOk: boolean, output: string): void => {
      done({ name: step.name, isOk, seconds: (performance.now() - startMs) / 1000, output });
    };
    child.on("error", (error) => {
      finish(false, `${error.message}\n`);
    });
    child.on("close", (code) => {
      finish(code === 0, Buffer.concat(chunks).toString());
    });
  });
}

function pathWithPinnedTools(): string {
  return `${resolve(root, "node_modules/.bin")}:${process.env["PATH"] ?? ""}`;
}

async function main(): Promise<void> {
  const flags = process.argv.slice(2);
  const wanted = flags.filter((flag) => !flag.startsWith("--"));
  const all = flags.includes("--all") ? [...quickSteps, ...longSteps] : quickSteps;
  const steps = wanted.length === 0 ? all : all.filter((step) => wanted.includes(step.name));
  if (steps.length === 0) {
    const names = all.map((step) => step.name).join(", ");
    process.stderr.write(`Cannot check "${wanted.join(" ")}": expected any of ${names}\n`);
    process.exitCode = 1;
    return;
  }
  const failed: string[] = [];
  for (const step of steps) {
    const outcome = await run(step);
    const mark = outcome.isOk ? "ok" : "FAILED";
    process.stdout.write(
      `${outcome.name.padEnd(12)}${mark.padEnd(8)}${outcome.seconds.toFixed(1)} s\n`,
    );
    if (outcome.isOk) continue;
    failed.push(outcome.name);
    process.stdout.write(`${outcome.output.trimEnd()}\n`);
  }
  process.stdout.write(
    failed.length === 0 ? "All checks passed\n" : `Checks failed: ${failed.join(", ")}\n`,
  );
  process.exitCode = failed.length === 0 ? 0 : 1;
}

await main();
