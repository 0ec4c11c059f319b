// SPDX-License-Identifier: Apache-2.0

import { createInterface } from "node:readline/promises";
import { CommandError, ExitCode } from "./exit-code.ts";

/** Asks before what is dangerous. Throws where the answer is not yes, or where nobody is there to ask. */
export async function confirm(question: string, isYes: boolean): Promise<void> {
  if (isYes) return;
  if (!process.stdin.isTTY)
    throw new CommandError(
      ExitCode.refused,
      "Not done: that needs a yes, and there is no terminal to ask on; add --yes to mean it",
    );
  const prompt = createInterface({ input: process.stdin, output: process.stderr });
  try {
    const answer = await prompt.question(`${question} [y/N] `);
    if (!/^y(es)?$/i.test(answer.trim())) throw new CommandError(ExitCode.refused, "Not done");
  } finally {
    prompt.close();
  }
}
