// SPDX-License-Identifier: Apache-2.0

import { mkdirSync } from "node:fs";
import { joinControl, roleOf, writeIdentity } from "@meridian/edge";
import { clientOf } from "../api-target.ts";
import type { CommandInput } from "../command.ts";
import { confirm } from "../confirm.ts";
import { CommandError, ExitCode } from "../exit-code.ts";
import { print, printJson } from "../output.ts";
import { stateDirOf } from "../server-settings.ts";

/** Refuses an edge from now on, and ends its connections. */
export async function revoke(input: CommandInput): Promise<ExitCode> {
  const name = input.argument(0);
  await confirm(`Refuse edge "${name}" until it joins again?`, input.flag("yes"));
  const answer = await clientOf(input).delete(`/v1/edges/${encodeURIComponent(name)}`, {});
  if (input.isJson()) printJson(answer);
  else print(`Edge "${name}" is revoked; what it serves now it goes on serving, alone`);
  return ExitCode.done;
}

/** Takes a control that is gone off the list. */
export async function forgetControl(input: CommandInput): Promise<ExitCode> {
  const name = input.argument(0);
  const answer = await clientOf(input).delete(`/v1/controls/${encodeURIComponent(name)}`, {});
  if (input.isJson()) printJson(answer);
  else print(`Control "${name}" is not on the list any more`);
  return ExitCode.done;
}

/** Makes a key, has it certified by control, and keeps both in the state folder. */
export async function join(input: CommandInput): Promise<ExitCode> {
  const given = input.argument(0);
  const at = given.indexOf("@");
  const url = given.slice(at + 1);
  if (at < 0 || !URL.canParse(url) || new URL(url).protocol !== "https:")
    throw new CommandError(
      ExitCode.invalid,
      "Cannot join: the argument is not TOKEN@URL, expected such as mrj_…@https://control.example.org:8054",
    );
  const identity = await joinControl(given.slice(0, at), url);
  const folder = stateDirOf(input);
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  writeIdentity(folder, identity);
  const role = roleOf(identity);
  if (input.isJson()) printJson({ edge: identity.edge, role, control: url });
  else
    print(`Joined as ${role} "${identity.edge}"; start it with: meridian ${role} --control ${url}`);
  return ExitCode.done;
}
