// SPDX-License-Identifier: Apache-2.0
import { existsSync } from "node:fs";
import { join, relative, resolve } from "node:path";
import { parseArgs } from "node:util";
import { runProgram } from "../load/measure/program.ts";
import { formatSpread, markdownTable } from "../load/output/table.ts";
import { checkOut } from "./checkout.ts";
import { comparePairs, parseTimes, type Comparison } from "./lines.ts";

// Whether a change made a benchmark faster: the same file of bench/micro in the base revision and in the working tree, each
// run in a fresh process, the order changing from round to round. Only such a comparison justifies "faster" in a commit.

const usage = `node bench/compare/compare.ts [--base REVISION] [--rounds N] FILE

  FILE            a benchmark, e.g. bench/micro/core/hash.bench.ts; both revisions must have it
  --base REVISION what the working tree is compared with (default HEAD)
  --rounds N      pairs of runs (default 9)
`;

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    options: { base: { type: "string" }, rounds: { type: "string" }, help: { type: "boolean" } },
    allowPositionals: true,
  });
  const [file] = positionals;
  const rounds = Number(values.rounds ?? 9);
  if (file === undefined || values.help === true || !(rounds >= 1)) {
    console.error(usage);
    return 2;
  }
  const head = join(import.meta.dirname, "../..");
  const path = relative(head, resolve(file));
  const base = await checkOut(values.base ?? "HEAD");
  try {
    if (!existsSync(join(base.folder, path))) {
      console.error(`Cannot compare: "${path}" is not in the base revision`);
      return 1;
    }
    const pairs = [];
    for (let round = 0; round < rounds; round += 1) {
      pairs.push(await runPair(base.folder, head, path, round % 2 === 0));
      process.stderr.write(`round ${round + 1} of ${rounds}\n`);
    }
    console.log(formatComparisons(comparePairs(pairs)));
    return 0;
  } finally {
    base.remove();
  }
}

async function runPair(
  baseFolder: string,
  headFolder: string,
  path: string,
  isBaseFirst: boolean,
): Promise<{ base: ReadonlyMap<string, number>; head: ReadonlyMap<string, number> }> {
  if (isBaseFirst) {
    const base = await runBench(baseFolder, path);
    return { base, head: await runBench(headFolder, path) };
  }
  const head = await runBench(headFolder, path);
  return { base: await runBench(baseFolder, path), head };
}

async function runBench(folder: string, path: string): Promise<ReadonlyMap<string, number>> {
  const flags = ["--expose-gc", "--allow-natives-syntax"];
  return parseTimes(await runProgram(process.execPath, [...flags, join(folder, path)]));
}

function formatComparisons(comparisons: readonly Comparison[]): string {
  return markdownTable(
    ["benchmark", "base ns", "head ns", "head ÷ base"],
    comparisons.map(({ name, base, head, ratio }) => [
      name,
      spreadText(base),
      spreadText(head),
      spreadText(ratio),
    ]),
  );
}

function spreadText({ min, median, max }: Comparison["base"]): string {
  return formatSpread([min, median, max], 2);
}

process.exitCode = await main();
