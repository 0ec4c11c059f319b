// SPDX-License-Identifier: Apache-2.0

import { readFileSync } from "node:fs";
import { readDocumentFiles } from "@meridian/control";
import { formatProblem, loadModel, type Loaded, type Problem } from "@meridian/model";
import { colourWords, hasColours } from "./output.ts";

/** What the documents below `paths` say, and what could not be read. */
export function loadFiles(
  paths: readonly string[],
): Loaded & { readonly errors: ReturnType<typeof readDocumentFiles>["errors"] } {
  const { files, errors } = readDocumentFiles(paths);
  return { ...loadModel(files, { now: Date.now(), readFile }), errors };
}

/** A problem as a line, with its severity in colour on a terminal. */
export function formatColouredProblem(problem: Problem): string {
  return colourWords(formatProblem(problem), hasColours());
}

function readFile(path: string): Uint8Array | undefined {
  try {
    return readFileSync(path);
  } catch {
    return undefined;
  }
}
