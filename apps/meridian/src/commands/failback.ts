// SPDX-License-Identifier: Apache-2.0

import type { CommandInput } from "../command.ts";
import { confirm } from "../confirm.ts";
import { ExitCode } from "../exit-code.ts";
import { clientOf } from "../api-target.ts";
import { complain, print, printJson } from "../output.ts";

/** Sends the traffic of a failover back to its first tier. */
export async function failback(input: CommandInput): Promise<ExitCode> {
  const api = clientOf(input);
  const node = input.argument(0);
  const latch = (await api.list("/v1/latches")).find(({ name }) => name === node);
  if (latch !== undefined && latch.tier !== 1) {
    complain(`${node} serves from tier ${latch.tier}`);
    await confirm("Go back to tier 1?", input.flag("yes"));
  }
  const how = {
    reason: input.text("reason"),
    ...(input.flag("breakGlass") ? { breakGlass: "true" } : {}),
  };
  const answer = await api.post("/v1/failback", {}, { node, ...how });
  if (input.isJson()) printJson(answer);
  else print(`${node} is back on tier 1`);
  return ExitCode.done;
}
