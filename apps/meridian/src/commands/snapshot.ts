// SPDX-License-Identifier: Apache-2.0

import { join } from "node:path";
import { SnapshotStore } from "@meridian/control";
import { SectionKind, type Manifest, type ManifestSection } from "@meridian/snapshot";
import type { CommandInput } from "../command.ts";
import { CommandError, ExitCode } from "../exit-code.ts";
import { field, hasColours, print, printJson, tableLines } from "../output.ts";
import { Progress } from "../progress.ts";
import { stateDirOf } from "../server-settings.ts";

const REVISION_MAX = 2 ** 32 - 1;

const kindNames = new Map<number, string>(
  Object.entries(SectionKind).map(([name, kind]) => [kind, name]),
);

/** Lists the kept snapshots, or the sections of one. */
export function inspect(input: CommandInput): Promise<ExitCode> {
  const folder = stateDirOf(input);
  const store = new SnapshotStore(folder);
  const revision = input.wholeNumber("revision", 0, REVISION_MAX);
  if (revision !== undefined) {
    const manifest = oldManifest(store, revision);
    showSections(input, manifest);
    return Promise.resolve(ExitCode.done);
  }
  const rows = manifestsOf(store, folder).map(({ file, manifest }) =>
    typeof manifest === "string"
      ? { file, revision: "", sections: "", bytes: "", hash: manifest }
      : {
          file,
          revision: manifest.revision,
          sections: manifest.sections.length,
          bytes: manifest.sections.reduce((sum, { bytes }) => sum + bytes, 0),
          hash: manifest.hash,
        },
  );
  const columns = [
    field("FILE", "file"),
    field("REVISION", "revision", true),
    field("SECTIONS", "sections", true),
    field("BYTES", "bytes", true),
    field("HASH", "hash"),
  ];
  if (input.isJson()) printJson(rows);
  else for (const line of tableLines(rows, columns, hasColours())) print(line);
  return Promise.resolve(ExitCode.done);
}

/** Compares the sections of two revisions; 10 where they differ. */
export function diff(input: CommandInput): Promise<ExitCode> {
  const store = new SnapshotStore(stateDirOf(input));
  const before = byPlace(oldManifest(store, revisionOf(input.argument(0))));
  const after = byPlace(oldManifest(store, revisionOf(input.argument(1))));
  const rows = [...new Set([...before.keys(), ...after.keys()])].flatMap((place) => {
    const [old, now] = [before.get(place), after.get(place)];
    if (old?.name === now?.name) return [];
    const change = old === undefined ? "added" : now === undefined ? "removed" : "changed";
    const shown = now ?? old;
    return [
      {
        change,
        kind: kindNames.get(shown?.kind ?? 0) ?? String(shown?.kind),
        key: shown?.key ?? "",
        before: old?.bytes ?? "",
        after: now?.bytes ?? "",
      },
    ];
  });
  const columns = [
    field("CHANGE", "change"),
    field("KIND", "kind"),
    field("KEY", "key"),
    field("BEFORE", "before", true),
    field("AFTER", "after", true),
  ];
  if (input.isJson()) printJson(rows);
  else if (rows.length === 0) print("The two have the same sections");
  else for (const line of tableLines(rows, columns, hasColours())) print(line);
  return Promise.resolve(rows.length === 0 ? ExitCode.done : ExitCode.differences);
}

/** Reads every section of every kept manifest; 1 where one is not what its name says. */
export function verify(input: CommandInput): Promise<ExitCode> {
  const folder = stateDirOf(input);
  const store = new SnapshotStore(folder);
  const progress = new Progress();
  const results = manifestsOf(store, folder).map(({ file, manifest }) => ({
    file,
    problems:
      typeof manifest === "string"
        ? [manifest]
        : store.verify(manifest, (read, count) =>
            progress.show(`${file}: reading section ${read + 1} of ${count}`),
          ),
  }));
  progress.close();
  if (input.isJson()) printJson(results);
  else
    for (const { file, problems } of results) {
      print(`${file}: ${problems.length === 0 ? "whole" : "not whole"}`);
      for (const problem of problems) print(`  ${problem}`);
    }
  const isWhole = results.every(({ problems }) => problems.length === 0);
  return Promise.resolve(isWhole ? ExitCode.done : ExitCode.failed);
}

function manifestsOf(
  store: SnapshotStore,
  folder: string,
): { file: string; manifest: Manifest | string }[] {
  const files = store.manifestFiles();
  if (files.length === 0)
    throw new CommandError(ExitCode.notFound, `There is no snapshot in "${folder}"`);
  return files.map((file) => ({ file, manifest: store.manifest(file) }));
}

function oldManifest(store: SnapshotStore, revision: number): Manifest {
  const manifest = store.manifest(join("history", `manifest-${revision}.json`));
  if (typeof manifest !== "string") return manifest;
  throw new CommandError(ExitCode.notFound, `Revision ${revision} is not kept: ${manifest}`);
}

function revisionOf(text: string): number {
  const revision = Number(text);
  if (Number.isInteger(revision) && revision >= 0 && revision <= REVISION_MAX) return revision;
  throw new CommandError(ExitCode.invalid, `Revision is "${text}", expected a whole number`);
}

function byPlace(manifest: Manifest): Map<string, ManifestSection> {
  return new Map(manifest.sections.map((section) => [`${section.kind}/${section.key}`, section]));
}

function showSections(input: CommandInput, manifest: Manifest): void {
  if (input.isJson()) {
    printJson(manifest);
    return;
  }
  const { revision, seed, hash, sections } = manifest;
  print(`Revision ${revision}, seed ${seed}, hash ${hash}`);
  const rows = sections.map((section) => ({
    ...section,
    kind: kindNames.get(section.kind) ?? String(section.kind),
  }));
  const columns = [
    field("KIND", "kind"),
    field("KEY", "key"),
    field("BYTES", "bytes", true),
    field("SHA-256", "name"),
  ];
  for (const line of tableLines(rows, columns, hasColours())) print(line);
}
