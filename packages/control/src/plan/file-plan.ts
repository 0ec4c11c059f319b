// SPDX-License-Identifier: Apache-2.0

// What would come of the files that this server watches if they were others: as a reload would take them, guards included.

import { isAbsolute } from "node:path";
import type { Problem } from "@meridian/model";
import type { VersionedLoad } from "../adopted-model.ts";
import { invalid } from "../documents/change-plan.ts";
import { shrunk } from "../documents/change-refusals.ts";
import type { DocumentProblem } from "../documents/document-problem.ts";
import type { Embedded } from "../embedded.ts";
import type { FileChanges } from "../planned-files.ts";
import { RequestRefusal } from "../request-refusal.ts";

const PATHS_MAX = 100;

export interface FilePlan extends FileChanges {
  readonly warnings: readonly DocumentProblem[];
  readonly trial: VersionedLoad;
}

/** `text` has a path in each line. Throws a RequestRefusal where a reload would refuse them. */
export async function filePlan(
  embedded: Pick<Embedded, "hasFiles" | "tryFiles">,
  text: string,
  allowShrink: boolean,
): Promise<FilePlan> {
  const paths = text.split("\n");
  const wrong = paths.find((path) => !isAbsolute(path) || path.includes("\0"));
  if (wrong !== undefined || paths.length > PATHS_MAX)
    throw new RequestRefusal(
      "REQUEST_INVALID",
      `Cannot plan files: ${wrong === undefined ? `there are ${paths.length}` : JSON.stringify(wrong)}, expected at most ${PATHS_MAX} absolute paths`,
    );
  if (!embedded.hasFiles)
    throw new RequestRefusal(
      "REQUEST_INVALID",
      "Cannot plan files: this server watches none, expected one that was started with --file; plan documents without --as-files",
    );
  const { accepted, problems, errors, shrinking, fileChanges } = await embedded.tryFiles(
    paths,
    allowShrink,
  );
  if (shrinking !== undefined) throw shrunk(shrinking);
  if (accepted === undefined || fileChanges === undefined)
    throw invalid([
      ...problems.filter(({ severity }) => severity === "error").map(placed),
      ...errors.map((message): DocumentProblem => {
        return { severity: "error", code: "file-refused", document: "", path: "", message };
      }),
    ]);
  const warnings = problems.filter(({ severity }) => severity === "warning").map(placed);
  return { ...fileChanges, warnings, trial: accepted };
}

function placed({ severity, code, file, line, path, message }: Problem): DocumentProblem {
  return { severity, code, document: `${file}:${line}`, path, message };
}
