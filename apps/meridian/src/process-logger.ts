// SPDX-License-Identifier: Apache-2.0

import type { Logger } from "@meridian/control";
import { pino } from "pino";
import type { LogLevel } from "./log-level.ts";
import { ERASE_LINE } from "./progress.ts";
import { shortLine } from "./short-line.ts";

/** The structured log of control, as JSON lines on standard error; short lines where that is a terminal. */
export function processLogger(level: LogLevel): Logger {
  const destination = process.stderr.isTTY
    ? { write: (line: string) => process.stderr.write(`${ERASE_LINE}${shortLine(line)}\n`) }
    : pino.destination({ dest: 2, sync: true });
  return pino({ level, base: null, timestamp: pino.stdTimeFunctions.isoTime }, destination);
}
