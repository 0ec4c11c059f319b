// SPDX-License-Identifier: Apache-2.0

import { mkdirSync } from "node:fs";
import { joinControl, writeIdentity } from "@meridian/edge";
import type { CommandInput } from "../command.ts";
import { CommandError, ExitCode } from "../exit-code.ts";
import { print } from "../output.ts";
import { stateDirOf } from "../server-settings.ts";

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
  print(`Joined as edge "${identity.edge}"; start it with: meridian edge --control ${url}`);
  return ExitCode.done;
}
