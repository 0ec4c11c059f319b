// SPDX-License-Identifier: Apache-2.0

import type { Logger } from "@meridian/control";
import type { EdgeLogger } from "@meridian/edge";
import { pino } from "pino";
import type { LogLevel } from "./log-level.ts";
import { ERASE_LINE } from "./progress.ts";

/** One structured log for both planes, as JSON lines on standard error; short lines where that is a terminal. */
export function processLogger(level: LogLevel): { control: Logger; edge: EdgeLogger } {
  const destination = process.stderr.isTTY
    ? { write: (line: string) => process.stderr.write(`${ERASE_LINE}${shortLine(line)}\n`) }
    : pino.destination({ dest: 2, sync: true });
  const log = pino({ level, base: null, timestamp: pino.stdTimeFunctions.isoTime }, destination);
  return {
    control: log,
    edge: {
      info: (message, fields) => log.info(fields ?? {}, message),
      warn: (message, fields) => log.warn(fields ?? {}, message),
      error: (message, fields) => log.error(fields ?? {}, message),
    },
  };
}

const levelNames: Readonly<Record<number, string>> = {
  20: "debug",
  30: "info",
  40: "warn",
  50: "error",
};

/** `12:00:00.000 warn  Message key=value` of a log line. */
function shortLine(line: string): string {
  const entry: unknown = JSON.parse(line);
  if (typeof entry !== "object" || entry === null) return line;
  const { level, time, msg, ...fields } = Object.fromEntries(Object.entries(entry));
  const facts = Object.entries(fields).map(([name, value]) => `${name}=${JSON.stringify(value)}`);
  const clock = String(time).slice(11, 23);
  const name = (levelNames[Number(level)] ?? "").padEnd(5);
  return [clock, name, String(msg), ...facts].join(" ");
}
