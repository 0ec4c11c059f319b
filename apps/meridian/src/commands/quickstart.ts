// SPDX-License-Identifier: Apache-2.0

import type { CommandInput } from "../command.ts";
import type { ExitCode } from "../exit-code.ts";
import { checkQuickstart } from "../quickstart/check.ts";
import { runQuickstart } from "../quickstart/run.ts";

/** Runs the quick start until it is stopped, or with --check once through. */
export function quickstart(input: CommandInput): Promise<ExitCode> {
  return input.flag("check") ? checkQuickstart(input.flag("probing")) : runQuickstart(input);
}
