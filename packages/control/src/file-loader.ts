// SPDX-License-Identifier: Apache-2.0
import {
  closeSync,
  constants,
  fstatSync,
  openSync,
  readSync,
  readdirSync,
  statSync,
} from "node:fs";
import { join } from "node:path";
import { limits, type InputFile } from "@meridian/model";

const documentSuffixes = [".yaml", ".yml", ".json", ".jsonl"];
/** Deepest folder below a given one that is looked into. */
const FOLDER_DEPTH_MAX = 16;

/** Files as they were read, and what could not be. */
export interface ReadFiles {
  readonly files: readonly InputFile[];
  readonly errors: readonly { readonly file: string; readonly message: string }[];
}

/** Reads the documents below `paths` (files as they are named, folders recursively by suffix), in a stable order. Never throws. */
export function readDocumentFiles(paths: readonly string[]): ReadFiles {
  const files: InputFile[] = [];
  const errors: { file: string; message: string }[] = [];
  for (const path of paths.flatMap((each) => listFiles(each, 0, errors))) {
    const read = readBounded(path);
    if (read instanceof Uint8Array) files.push({ path, bytes: read });
    else errors.push({ file: path, message: read });
  }
  return { files, errors };
}

function listFiles(
  path: string,
  depth: number,
  errors: { file: string; message: string }[],
): string[] {
  try {
    if (!statSync(path).isDirectory()) return [path];
    if (depth > FOLDER_DEPTH_MAX) {
      errors.push({
        file: path,
        message: `Folder is nested ${depth} deep, expected at most ${FOLDER_DEPTH_MAX}`,
      });
      return [];
    }
    const entries = readdirSync(path, { withFileTypes: true }).toSorted((a, b) =>
      a.name < b.name ? -1 : 1,
    );
    return entries.flatMap((entry) => {
      if (entry.name.startsWith(".")) return [];
      const below = join(path, entry.name);
      if (entry.isDirectory()) return listFiles(below, depth + 1, errors);
      return documentSuffixes.some((suffix) => entry.name.endsWith(suffix)) ? [below] : [];
    });
  } catch (error) {
    errors.push({ file: path, message: `Cannot read "${path}": ${reasonOf(error)}` });
    return [];
  }
}

/** The file's bytes, or why it cannot be read; a file above the model's limit is refused before it is in memory. */
export function readBounded(path: string): Uint8Array | string {
  let handle: number | undefined;
  try {
    // Without waiting: a named pipe would keep this process until somebody writes to it.
    handle = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    const stats = fstatSync(handle);
    if (!stats.isFile())
      return `Cannot read "${path}": it is ${stats.isDirectory() ? "a folder" : "no ordinary file"}`;
    const { size } = stats;
    if (size > limits.fileBytesMax)
      return `Cannot read "${path}": it has ${size} bytes, expected at most ${limits.fileBytesMax}`;
    const bytes = new Uint8Array(size);
    let at = 0;
    while (at < size) {
      const count = readSync(handle, bytes, at, size - at, at);
      if (count === 0) break;
      at += count;
    }
    return bytes.subarray(0, at);
  } catch (error) {
    return `Cannot read "${path}": ${reasonOf(error)}`;
  } finally {
    if (handle !== undefined) closeSync(handle);
  }
}

/** The short reason of a failed system call, or the error's own words. */
export function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const code = "code" in error ? String(error.code) : "";
  const known: Readonly<Record<string, string>> = {
    ENOENT: "there is no such file",
    EACCES: "permission denied",
    EISDIR: "it is a folder",
    ENOTDIR: "part of the path is no folder",
  };
  return known[code] ?? error.message;
}
