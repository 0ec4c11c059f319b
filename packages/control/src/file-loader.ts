// SPDX-License-Identifier: Apache-2.0
import {
  closeSync,
  constants,
  fstatSync,
  openSync,
  readSync,
  readdirSync,
  statSync,
  type BigIntStats,
  type Dirent,
} from "node:fs";
import { join } from "node:path";
import { reasonOf } from "@meridian/core";
import { limits, type InputFile } from "@meridian/model";

const documentSuffixes = [".yaml", ".yml", ".json", ".jsonl"];
/** Deepest folder below a given one that is looked into. */
const FOLDER_DEPTH_MAX = 16;

/** How long ago a file has to have been changed for its times to tell it from a later version: file systems count in milliseconds or more. */
const SETTLED_MS = 2000;

/** Files to be read when it is their turn, and what cannot be. */
export interface ReadFiles {
  readonly files: readonly InputFile[];
  /** Where files were looked for. */
  readonly folders: readonly string[];
  readonly errors: readonly { readonly file: string; readonly message: string }[];
}

/** Finds the documents below `paths` (files as they are named, folders recursively by suffix), in a stable order. Never throws. */
export function readDocumentFiles(paths: readonly string[]): ReadFiles {
  const files: InputFile[] = [];
  const folders: string[] = [];
  const errors: { file: string; message: string }[] = [];
  for (const path of paths.flatMap((each) => listFiles(each, 0, { folders, errors }))) {
    // Opened now, so that what cannot be read is told at once; read one by one, since a million documents have 200 MB.
    const version = withFile(path, (_handle, stats) => ({ version: versionOf(stats) }));
    if (typeof version === "string") errors.push({ file: path, message: version });
    else files.push({ path, bytes: () => readBounded(path), ...version });
  }
  return { files, folders, errors };
}

function listFiles(
  path: string,
  depth: number,
  found: { readonly folders: string[]; readonly errors: { file: string; message: string }[] },
): string[] {
  try {
    if (!statSync(path).isDirectory()) return [path];
    if (depth > FOLDER_DEPTH_MAX) {
      found.errors.push({
        file: path,
        message: `Folder is nested ${depth} deep, expected at most ${FOLDER_DEPTH_MAX}`,
      });
      return [];
    }
    found.folders.push(path);
    const entries = readdirSync(path, { withFileTypes: true }).toSorted((a, b) =>
      a.name < b.name ? -1 : 1,
    );
    return entries.flatMap((entry) => {
      if (!isLookedInto(entry)) return [];
      const below = join(path, entry.name);
      return entry.isDirectory() ? listFiles(below, depth + 1, found) : [below];
    });
  } catch (error) {
    found.errors.push({ file: path, message: `Cannot read "${path}": ${reasonOf(error)}` });
    return [];
  }
}

/** Whether what lies in a folder of documents is one, or a folder of them. */
export function isLookedInto(entry: Dirent): boolean {
  if (entry.name.startsWith(".")) return false;
  return entry.isDirectory() || documentSuffixes.some((suffix) => entry.name.endsWith(suffix));
}

/** The file's bytes, or why it cannot be read; a file above the model's limit is refused before it is in memory. */
export function readBounded(path: string): Uint8Array | string {
  return withFile(path, (handle, { size }) => {
    const bytes = new Uint8Array(Number(size));
    let at = 0;
    while (at < bytes.length) {
      const count = readSync(handle, bytes, at, bytes.length - at, at);
      if (count === 0) break;
      at += count;
    }
    return bytes.subarray(0, at);
  });
}

/** Changes with a file; undefined where it cannot be told, or not yet, from a later version. */
export function versionAt(path: string): string | undefined {
  const found = withFile(path, (_handle, stats) => ({ version: versionOf(stats) }));
  return typeof found === "string" ? undefined : found.version;
}

function withFile<Result>(
  path: string,
  use: (handle: number, stats: BigIntStats) => Result,
): Result | string {
  let handle: number | undefined;
  try {
    // Without waiting: a named pipe would keep this process until somebody writes to it.
    handle = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    const stats = fstatSync(handle, { bigint: true });
    if (!stats.isFile())
      return `Cannot read "${path}": it is ${stats.isDirectory() ? "a folder" : "no ordinary file"}`;
    const { size } = stats;
    if (size > limits.fileBytesMax)
      return `Cannot read "${path}": it has ${size} bytes, expected at most ${limits.fileBytesMax}`;
    return use(handle, stats);
  } catch (error) {
    return `Cannot read "${path}": ${reasonOf(error)}`;
  } finally {
    if (handle !== undefined) closeSync(handle);
  }
}

/** Changes with the file; undefined right after a change, when another could leave all of this as it is. */
function versionOf({ dev, ino, size, mtimeNs, ctimeNs, ctimeMs }: BigIntStats): string | undefined {
  const isSettled = Date.now() - Number(ctimeMs) > SETTLED_MS;
  return isSettled ? [dev, ino, size, mtimeNs, ctimeNs].join(" ") : undefined;
}
