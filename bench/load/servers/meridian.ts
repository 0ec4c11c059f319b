// SPDX-License-Identifier: Apache-2.0
import { existsSync, mkdirSync, readFileSync, renameSync } from "node:fs";
import { join } from "node:path";
import { parseManifest } from "@meridian/snapshot";
import { masterFile, writePieces } from "../data/files.ts";
import { outputOf, runProgram, startPinned } from "../measure/program.ts";
import type { ServerAdapter, Serving, Workload } from "./adapter.ts";
import {
  baseDocuments,
  networksText,
  placesText,
  policyDocuments,
  recordDocuments,
  tableText,
} from "./meridian-documents.ts";

const root = join(import.meta.dirname, "../../..");
/** Meridian reads files of at most 64 MiB; a record takes about 200 bytes. */
const RECORDS_PER_FILE = 50_000;
/** Started as an installed one is: as a bundle, made anew before it is started. */
const bundle = join(root, ".build/bench-bundle");
const program = join(bundle, "app/main.js");

/** How either way of serving is started and looked at. */
const running = {
  checkSecondsLeast: 0.1,
  start: (serving: Serving) => start(serving, "documents"),
  // What its documents say cannot be taken, so the stored revision stays, and nothing is compiled.
  startStored: (serving: Serving) => start(serving, "refused"),
  replace: (serving: Serving) => Promise.resolve(start(serving, "documents", ["--replace"])),
  ready,
  snapshotBytes,
  compiledAt,
} satisfies Partial<ServerAdapter>;

/** Meridian with one worker, policies and records as JSON lines, its own HTTP checks running. */
export const meridian: ServerAdapter = {
  name: "meridian",
  label: () => "Meridian",
  answers: (workload) => (workload === "static" ? "static" : "policy"),
  version,
  serves: () => true,
  configure: (serving) => configure(serving, serving.workload !== "static"),
  ...running,
  reload: (serving) => {
    if (serving.workload !== "static") writePolicies(serving);
    writeRecords(serving, serving.workload !== "static");
    return Promise.resolve();
  },
};

/** Meridian with the same names as plain A records in master files: how fast it reads those, and what it costs to answer. */
export const meridianFile: ServerAdapter = {
  name: "meridian-file",
  label: () => "Meridian, master file",
  answers: () => "static",
  version,
  serves: (workload: Workload) => workload === "mixed",
  configure: (serving) => configure(serving, false),
  ...running,
  reload: (serving) => {
    writeRecords(serving, false);
    return Promise.resolve();
  },
};

async function version(): Promise<string | undefined> {
  await runProgram(process.execPath, [join(root, "tools/bundle.ts"), bundle]);
  return /(\d+\.\d+\.\d+\S*)/.exec(await outputOf(process.execPath, [program, "--version"]))?.[1];
}

function configure(serving: Serving, hasPolicies: boolean): void {
  for (const name of ["documents", "refused", "state"]) mkdirSync(join(serving.folder, name));
  const documents = join(serving.folder, "documents");
  writePieces(join(documents, "base.jsonl"), baseDocuments(serving, hasPolicies));
  writePieces(join(serving.folder, "refused", "base.jsonl"), ["no document\n"]);
  if (hasPolicies) {
    writePieces(join(documents, "places.csv"), [placesText(serving)]);
    writePieces(join(documents, "networks.csv"), [networksText(serving)]);
    writePieces(join(documents, "latency.csv"), [tableText(serving)]);
    writePolicies(serving);
  }
  writeRecords(serving, hasPolicies);
}

function writePolicies(serving: Serving): void {
  const next = join(serving.folder, "policies.next");
  writePieces(next, policyDocuments(serving));
  renameSync(next, join(serving.folder, "documents", "policies.jsonl"));
}

/** Written beside and renamed, so that a watcher never sees half a file. */
function writeRecords({ plan, folder }: Serving, hasPolicies: boolean): void {
  const documents = join(folder, "documents");
  if (hasPolicies) {
    for (let first = 0; first < plan.owners.length; first += RECORDS_PER_FILE) {
      const next = join(folder, "records.next");
      writePieces(next, recordDocuments(plan, first, RECORDS_PER_FILE));
      renameSync(next, join(documents, `records-${first / RECORDS_PER_FILE}.jsonl`));
    }
    return;
  }
  for (const [zone, origin] of plan.origins.entries()) {
    const next = join(folder, `${origin}.next`);
    writePieces(next, masterFile(plan, zone));
    renameSync(next, join(documents, `${origin}.zone`));
  }
}

function start(
  { folder, port, controlPort, cores }: Serving,
  documents: "documents" | "refused",
  more: readonly string[] = [],
): ReturnType<typeof startPinned> {
  return startPinned(
    cores,
    process.execPath,
    [
      program,
      ...["up", "-f", join(folder, documents), "--state", join(folder, "state"), ...more],
      ...["--listen", `127.0.0.1:${port}`, "--http", `127.0.0.1:${controlPort}`, "--workers", "1"],
    ],
    join(folder, "log"),
  );
}

async function ready({ controlPort }: Serving): Promise<boolean> {
  try {
    const response = await fetch(`http://127.0.0.1:${controlPort}/readyz`);
    await response.arrayBuffer();
    return response.status === 200;
  } catch {
    return false;
  }
}

function snapshotBytes({ folder }: Serving): number | undefined {
  const path = join(folder, "state/manifest.json");
  if (!existsSync(path)) return undefined;
  const manifest = parseManifest(readFileSync(path, "utf8"));
  if (typeof manifest === "string") return undefined;
  return manifest.sections.reduce((sum, { bytes }) => sum + bytes, 0);
}

/** From the newest line of its log that says so. */
function compiledAt({ folder }: Serving): number | undefined {
  const line = readFileSync(join(folder, "log"), "utf8")
    .split("\n")
    .findLast((text) => text.includes('"msg":"Compiled the files"'));
  const time = /"time":"([^"]+)"/.exec(line ?? "")?.[1];
  return time === undefined ? undefined : Date.parse(time);
}
