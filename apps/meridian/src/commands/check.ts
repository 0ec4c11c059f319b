// SPDX-License-Identifier: Apache-2.0

import { hasErrors } from "@meridian/model";
import type { CommandInput } from "../command.ts";
import { ExitCode } from "../exit-code.ts";
import { formatColouredProblem, loadFiles } from "../files.ts";
import { print, printJson } from "../output.ts";

/** Shows every problem of the files; 2 where one is an error. */
export function check(input: CommandInput): Promise<ExitCode> {
  const { problems, errors, documentCount } = loadFiles(input.arguments);
  const isWrong = errors.length > 0 || hasErrors(problems);
  if (input.isJson()) {
    printJson({ ok: !isWrong, documents: documentCount, errors, problems });
  } else {
    for (const { message } of errors) print(message);
    for (const problem of problems) print(formatColouredProblem(problem));
    const wrong = problems.filter(({ severity }) => severity === "error").length + errors.length;
    print(
      `${plural(documentCount, "document")}, ${plural(wrong, "error")}, ${plural(problems.length + errors.length - wrong, "warning")}`,
    );
  }
  return Promise.resolve(isWrong ? ExitCode.invalid : ExitCode.done);
}

function plural(count: number, word: string): string {
  return `${count} ${word}${count === 1 ? "" : "s"}`;
}
