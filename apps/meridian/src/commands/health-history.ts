// SPDX-License-Identifier: Apache-2.0

import type { CommandInput } from "../command.ts";
import { ExitCode } from "../exit-code.ts";
import { clientOf } from "../api-target.ts";
import { field, hasColours, print, printJson, tableLines, type Column } from "../output.ts";

const COUNT_MAX = 10_000;

const columns: readonly Column[] = [
  { title: "TIME", value: (row) => new Date(Number(row["atMs"])).toISOString() },
  field("ENDPOINT", "key"),
  field("VERDICT", "verdict"),
  field("BEFORE", "previous"),
  field("VANTAGE", "vantage"),
  field("REASON", "reason"),
];

/** Prints the newest changed verdicts, oldest first. */
export async function healthHistory(input: CommandInput): Promise<ExitCode> {
  const count = input.wholeNumber("count", 1, COUNT_MAX) ?? 50;
  const answer = await clientOf(input).get("/v1/health/history", {
    endpoint: input.argument(0),
    count: String(count),
  });
  if (input.isJson()) {
    printJson(answer);
    return ExitCode.done;
  }
  if (answer.length === 0) print("No verdict has changed");
  else for (const line of tableLines(answer, columns, hasColours())) print(line);
  return ExitCode.done;
}
