// SPDX-License-Identifier: Apache-2.0

import { readFileSync } from "node:fs";
import type { CommandInput } from "../command.ts";
import { CommandError, ExitCode } from "../exit-code.ts";
import type { ApiClient } from "../api-client.ts";
import { clientOf } from "../api-target.ts";
import { print, printJson } from "../output.ts";

const asked = ["type", "client", "resolver", "view", "at"] as const;
/** Outcomes of a name that is not there (`Explanation.outcome`). */
const outcomesNotFound: ReadonlySet<string> = new Set(["not served here", "no such name"]);

/**
 * Prints why a name is answered as it is, 4 where it is not served; with --replay whether a logged answer comes out again, 10 where
 * not.
 */
export async function explain(input: CommandInput): Promise<ExitCode> {
  const api = clientOf(input);
  const replay = input.text("replay");
  if (replay !== undefined) return replayLine(api, input, replay);
  const name = input.argument(0);
  if (name === "")
    throw new CommandError(ExitCode.invalid, "Cannot explain: no name is given, nor --replay LINE");
  const query = Object.fromEntries(asked.map((option) => [option, input.text(option)]));
  const answer = await api.get("/v1/explain", { name, ...query });
  show(input, answer);
  return outcomesNotFound.has(answer.outcome) ? ExitCode.notFound : ExitCode.done;
}

async function replayLine(api: ApiClient, input: CommandInput, given: string): Promise<ExitCode> {
  const line = (given === "-" ? readFileSync(0, "utf8") : given).trim();
  const answer = await api.post("/v1/replay", { line });
  show(input, answer);
  return answer.equal ? ExitCode.done : ExitCode.differences;
}

function show(input: CommandInput, answer: { readonly text: string }): void {
  if (input.isJson()) printJson(answer);
  else print(answer.text.trimEnd());
}
