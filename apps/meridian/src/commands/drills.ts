// SPDX-License-Identifier: Apache-2.0

// `meridian drill run|cancel`: begins and ends rehearsals.

import { clientOf } from "../api-target.ts";
import type { CommandInput } from "../command.ts";
import { ExitCode } from "../exit-code.ts";
import { print, printJson } from "../output.ts";

/** Has a drill begin; the control that leads does it within seconds. */
export function runDrill(input: CommandInput): Promise<ExitCode> {
  return order(input, "run");
}

/** Has it end. */
export function cancelDrill(input: CommandInput): Promise<ExitCode> {
  return order(input, "cancel");
}

async function order(input: CommandInput, wanted: "run" | "cancel"): Promise<ExitCode> {
  const [first = "", second] = input.argument(0).split("/");
  const [namespace, name] = second === undefined ? ["default", first] : [first, second];
  const place = encodeURIComponent(namespace ?? "");
  const answer = await clientOf(input).post(
    `/v1/drills/${place}/${encodeURIComponent(name ?? "")}`,
    {
      order: wanted,
      reason: input.text("reason") ?? "",
      ...(input.flag("breakGlass") ? { breakGlass: true } : {}),
    },
  );
  if (input.isJson()) printJson(answer);
  else
    print(`Drill ${answer.name} of ${answer.target} is to ${wanted === "run" ? "begin" : "end"}`);
  return ExitCode.done;
}
