// SPDX-License-Identifier: Apache-2.0

// `meridian approve|reject`: votes on what somebody else wants to do.

import type { ItemOf } from "../api-requests.ts";
import { clientOf } from "../api-target.ts";
import type { CommandInput } from "../command.ts";
import { confirm } from "../confirm.ts";
import { CommandError, ExitCode } from "../exit-code.ts";
import { complain, print, printJson } from "../output.ts";

type Approval = ItemOf<"/v1/approvals">;

/** Shows what is wanted, asks, and approves it. */
export async function approve(input: CommandInput): Promise<ExitCode> {
  const id = input.argument(0);
  const listed = await clientOf(input).list("/v1/approvals");
  const found = listed.find((each) => each.id === id);
  if (found !== undefined) {
    describe(found);
    await confirm("Approve that?", input.flag("yes"));
  }
  return vote(input, "approve", input.text("reason") ?? "");
}

/** Rejects what is wanted, with a reason. */
export function reject(input: CommandInput): Promise<ExitCode> {
  const reason = input.text("reason") ?? "";
  if (reason.trim() === "")
    throw new CommandError(
      ExitCode.invalid,
      'Cannot reject: no reason is given, expected --reason "TEXT"',
    );
  return vote(input, "reject", reason);
}

async function vote(
  input: CommandInput,
  verdict: "approve" | "reject",
  reason: string,
): Promise<ExitCode> {
  const id = encodeURIComponent(input.argument(0));
  const answer = await clientOf(input).post(`/v1/approvals/${id}`, { verdict, reason });
  if (input.isJson()) printJson(answer);
  else
    print(
      `${answer.author}: ${answer.verb} ${answer.about}: ${answer.state}, ${answer.approved} of ${answer.needed}`,
    );
  return ExitCode.done;
}

function describe({ author, verb, about, reason, changes }: Approval): void {
  complain(`${author} wants to ${verb} ${about}${reason === "" ? "" : `: ${reason}`}`);
  for (const change of changes) complain(JSON.stringify(change, undefined, 1));
}
