// SPDX-License-Identifier: Apache-2.0

import type { EdgeLogger } from "@meridian/edge";
import { logLevels } from "./log-level.ts";
import { ERASE_LINE } from "./progress.ts";
import { shortLine } from "./short-line.ts";

/** As pino has them, which writes the log of control. */
const levelNumbers = { info: 30, warn: 40, error: 50 } as const;

/** Writes to standard error what control's log would, without a module for it: JSON lines, or short ones on a terminal. */
export function plainLogger(level: string): EdgeLogger {
  const least = logLevels.findIndex((known) => known === level);
  const write =
    (name: keyof typeof levelNumbers) =>
    (message: string, fields: Readonly<Record<string, unknown>> = {}): void => {
      if (logLevels.indexOf(name) < least) return;
      const line = JSON.stringify({
        level: levelNumbers[name],
        time: new Date().toISOString(),
        ...fields,
        msg: message,
      });
      process.stderr.write(
        process.stderr.isTTY ? `${ERASE_LINE}${shortLine(line)}\n` : `${line}\n`,
      );
    };
  return { info: write("info"), warn: write("warn"), error: write("error") };
}
