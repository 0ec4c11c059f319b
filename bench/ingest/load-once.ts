// SPDX-License-Identifier: Apache-2.0
import { createHash } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { classifierCompiler, compile, DataSets, readDocumentFiles } from "@meridian/control";
import { DocumentReader, formatProblem, lint, Model } from "@meridian/model";

// Loads a folder of documents in this process, once as a start does and once as after a change, and prints what each
// phase took as JSON. `ingest.ts` runs it in a process of its own, so that the memory is this load's alone.

/** What a phase took, in milliseconds: by the clock, of this thread, and of all threads with those that collect garbage. */
export interface Phase {
  readonly name: string;
  readonly wallMs: number;
  readonly threadMs: number;
  readonly processMs: number;
}

/** One load. */
export interface IngestLoad {
  readonly phases: readonly Phase[];
  readonly sections: number;
  readonly sectionBytes: number;
  /** Equal for equal sections. */
  readonly digest: string;
}

/** What one process found. */
export interface IngestRun {
  readonly first: IngestLoad;
  /** The largest resident set by the end of the first load, and that of a process that has loaded nothing. */
  readonly peakBytes: number;
  readonly emptyBytes: number;
  /** After a change of one in a hundred Records; left out where there are none. */
  readonly reload?: IngestLoad;
}

const CHANGED_FILE = "records-0.jsonl";
/** A file holds a twentieth of the Records. */
const CHANGED_ONE_IN = 5;

const folder = process.argv[2] ?? "";
const reader = new DocumentReader();
const dataSets = new DataSets();
const emptyBytes = peakBytes();
const first = load();
const run: IngestRun = { first, peakBytes: peakBytes(), emptyBytes, ...reloaded() };
process.stdout.write(`${JSON.stringify(run)}\n`);

function load(): IngestLoad {
  const phases: Phase[] = [];
  const timed = <Result>(name: string, work: () => Result): Result => {
    const wall = performance.now();
    const thread = process.threadCpuUsage();
    const all = process.cpuUsage();
    const result = work();
    const threadMs = milliseconds(process.threadCpuUsage(thread));
    const processMs = milliseconds(process.cpuUsage(all));
    phases.push({ name, wallMs: performance.now() - wall, threadMs, processMs });
    return result;
  };
  const read = timed("read", () => reader.read(readDocumentFiles([folder]).files));
  const { records, broken } = read;
  const readFile = (path: string): Uint8Array => readFileSync(path);
  const built = timed("build", () => Model.build(read.documents, { records, broken, readFile }));
  const { model } = built;
  if (model === undefined) {
    const problems = [...read.problems, ...built.problems].slice(0, 5).map(formatProblem);
    throw new Error(`Cannot load ${folder}: ${problems.join("\n")}`);
  }
  timed("lint", () => lint(model, Date.now()));
  const { sections } = timed("compile", () =>
    compile(model, { seed: 1, classify: classifierCompiler(dataSets) }),
  );
  const hash = createHash("sha256");
  for (const { name } of sections) hash.update(name);
  const sectionBytes = sections.reduce((sum, { buffer }) => sum + buffer.byteLength, 0);
  return { phases, sections: sections.length, sectionBytes, digest: hash.digest("hex") };
}

/** Changes the policy of one Record in a hundred and loads again. */
function reloaded(): Pick<IngestRun, "reload"> {
  const { files } = readDocumentFiles([folder]);
  if (!files.some(({ path }) => basename(path) === CHANGED_FILE)) return {};
  const path = join(folder, CHANGED_FILE);
  const before = readFileSync(path, "utf8");
  const policy = '"policy":"policy-0"';
  const changed = before
    .split("\n")
    .map((line, index) =>
      index % CHANGED_ONE_IN === 0 ? line.replace(/"policy":"[^"]*"/, policy) : line,
    );
  writeFileSync(path, changed.join("\n"));
  try {
    return { reload: load() };
  } finally {
    writeFileSync(path, before);
  }
}

function milliseconds({ user, system }: NodeJS.CpuUsage): number {
  return (user + system) / 1000;
}

function peakBytes(): number {
  return process.resourceUsage().maxRSS * 1024;
}
