// SPDX-License-Identifier: Apache-2.0

import { readFileSync } from "node:fs";
import { readDocumentFiles } from "@meridian/control";
import { formatProblem, loadModel, type Loaded, type Problem } from "@meridian/model";
import { colourWords, hasColours } from "./output.ts";
import { Progress } from "./progress.ts";

/** Documents of this many bytes take a second or more. */
const LONG_BYTES = 4 * 2 ** 20;

/** What the documents below `paths` say, and what could not be read. */
export function loadFiles(
  paths: readonly string[],
): Loaded & { readonly errors: ReturnType<typeof readDocumentFiles>["errors"] } {
  const progress = new Progress();
  const { files: listed, errors } = readDocumentFiles(paths);
  // By file: one with problems is read once more, to say where they are.
  const sizes = new Map<number, number>();
  // A file is read when it is its turn; what comes after the last one cannot be told from here.
  const files = listed.map((file, index) => {
    const { bytes: read } = file;
    if (typeof read !== "function") return file;
    const bytes = (): Uint8Array | string => {
      progress.show(`Reading file ${index + 1} of ${listed.length}`);
      const content = read();
      sizes.set(index, content.length);
      if (sizes.size < listed.length) return content;
      const sum = sizes.values().reduce((total, size) => total + size, 0);
      if (sum > LONG_BYTES)
        progress.announce(`Checking ${Math.ceil(sum / 2 ** 20)} MiB of documents`);
      return content;
    };
    return { ...file, bytes };
  });
  const loaded = loadModel(files, { now: Date.now(), readFile });
  progress.close();
  return { ...loaded, errors };
}

/** A problem as a line, with its severity in colour on a terminal. */
export function formatColouredProblem(problem: Problem): string {
  return colourWords(formatProblem(problem), hasColours());
}

/** The bytes of a file that documents name; undefined where it cannot be read. */
export function readFile(path: string): Uint8Array | undefined {
  try {
    return readFileSync(path);
  } catch {
    return undefined;
  }
}
