// SPDX-License-Identifier: Apache-2.0

// `meridian zone …`: zones between Meridian and other name servers.

import { mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import {
  checkZone,
  diffZones,
  formatMasterFile,
  formatRecord,
  type ZoneProblem,
} from "@meridian/dns";
import {
  importGdnsd,
  importMasterFile,
  importNamedConf,
  importPowerdnsGeoip,
  importPowerdnsLua,
  readMaster,
  yamlText,
  type Imported,
} from "@meridian/model";
import type { CommandInput } from "../command.ts";
import { CommandError, ExitCode } from "../exit-code.ts";
import { colourWords, complain, hasColours, print, printJson } from "../output.ts";
import { keyInFile } from "../zones/key-file.ts";
import { documentCopy, readFile, zoneCopyOf } from "../zones/zone-copy.ts";

/** What is exported of routed names. */
const transferForms = ["default", "all", "omit"] as const;

/** Writes documents; 10 where something of the source has no counterpart, 2 where it cannot be read. */
export function zoneImport(input: CommandInput): Promise<ExitCode> {
  const imported = importFrom(input);
  if (imported.mistakes.length > 0)
    throw new CommandError(ExitCode.invalid, imported.mistakes.join("\n"));
  for (const { file, line, what, why } of imported.unmapped)
    complain(`${file}:${line}: not taken over: ${what}: ${why}`);
  const folder = input.text("to");
  if (folder === undefined) {
    for (const document of imported.documents) process.stdout.write(`---\n${yamlText(document)}`);
  } else {
    writeDocuments(folder, imported);
  }
  return Promise.resolve(imported.unmapped.length > 0 ? ExitCode.differences : ExitCode.done);
}

function importFrom(input: CommandInput): Imported {
  const path = input.argument(0);
  const origin = input.text("zone");
  const source = { path, readFile, ...(origin === undefined ? {} : { origin }) };
  switch (input.requiredText("from")) {
    case "gdnsd":
      return importGdnsd(path, readFile, listFolder);
    case "named":
      return importNamedConf(path, readFile);
    case "powerdns-geoip":
      return importPowerdnsGeoip(path, readFile);
    case "powerdns-lua":
      return importPowerdnsLua(source);
    default:
      return importMasterFile(source);
  }
}

function listFolder(path: string): string[] {
  try {
    return readdirSync(path).toSorted();
  } catch {
    return [];
  }
}

function writeDocuments(folder: string, { documents }: Imported): void {
  mkdirSync(folder, { recursive: true });
  for (const document of documents) {
    const path = join(
      folder,
      `${document.kind.toLowerCase()}-${String(document.metadata["name"])}.yaml`,
    );
    try {
      writeFileSync(path, yamlText(document), { flag: "wx" });
    } catch (cause) {
      throw new CommandError(
        ExitCode.refused,
        `Cannot write ${path}: it is there already, expected a new file`,
        { cause },
      );
    }
    print(path);
  }
}

/** Prints a zone of documents as a master file. */
export function zoneExport(input: CommandInput): Promise<ExitCode> {
  const as = transferForms.find((form) => form === input.text("transferAs"));
  const { records, routed } = documentCopy(input.list("file"), input.argument(0), as);
  for (const { name, types, target, records: own } of routed)
    print(
      `; ${name} (${types.join(", ")}) follows ${target}; ${own.length === 0 ? "nothing of it is below" : "its records below are the same for every client"}`,
    );
  process.stdout.write(formatMasterFile(records));
  return Promise.resolve(ExitCode.done);
}

/** Prints what one copy has and the other lacks; 10 where there is something. */
export async function zoneDiff(input: CommandInput): Promise<ExitCode> {
  const origin = input.text("zone");
  const keyFile = input.text("keyFile");
  const key = keyFile === undefined ? undefined : keyInFile(keyFile);
  const first = await zoneCopyOf(input.argument(0), origin, key);
  const second = await zoneCopyOf(input.argument(1), origin, key);
  const differences = diffZones(first.records, second.records).map(({ side, record }) => ({
    side,
    record: formatRecord({ ...record, class: 1 }),
  }));
  if (input.isJson()) printJson({ equal: differences.length === 0, differences });
  else
    for (const { side, record } of differences) print(`${side === "first" ? "-" : "+"} ${record}`);
  return differences.length === 0 ? ExitCode.done : ExitCode.differences;
}

/** Prints every problem of a master file; 2 where one is an error. */
export function zoneCheck(input: CommandInput): Promise<ExitCode> {
  const path = input.argument(0);
  const origin = input.text("zone");
  const { records, mistakes, ...read } = readMaster({
    path,
    readFile,
    ...(origin === undefined ? {} : { origin }),
  });
  const problems = records.length === 0 ? [] : checkZone(records, read.origin);
  const errors = mistakes.length + problems.filter(({ severity }) => severity === "error").length;
  const warnings = mistakes.length + problems.length - errors;
  if (input.isJson()) {
    printJson({
      ok: errors === 0,
      records: records.length,
      mistakes,
      problems: problems.map(plainProblem),
    });
  } else {
    for (const mistake of mistakes) print(colourWords(`error: ${mistake}`, hasColours()));
    for (const problem of problems) print(colourWords(problemLine(path, problem), hasColours()));
    print(`${records.length} records, ${errors} errors, ${warnings} warnings`);
  }
  return Promise.resolve(errors > 0 ? ExitCode.invalid : ExitCode.done);
}

function plainProblem({ severity, code, message, record }: ZoneProblem): object {
  return { severity, code, message, file: record?.file, line: record?.line };
}

function problemLine(path: string, { severity, code, message, record }: ZoneProblem): string {
  return `${record?.file ?? path}:${record?.line ?? 1}: ${severity}: ${message} [${code}]`;
}
