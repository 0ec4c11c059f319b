// SPDX-License-Identifier: Apache-2.0

const levelNames: Readonly<Record<number, string>> = {
  20: "debug",
  30: "info",
  40: "warn",
  50: "error",
};

/** `12:00:00.000 warn  Message key=value` of a log line. */
export function shortLine(line: string): string {
  const entry: unknown = JSON.parse(line);
  if (typeof entry !== "object" || entry === null) return line;
  const { level, time, msg, ...fields } = Object.fromEntries(Object.entries(entry));
  const facts = Object.entries(fields).map(([name, value]) => `${name}=${JSON.stringify(value)}`);
  const clock = String(time).slice(11, 23);
  const name = (levelNames[Number(level)] ?? "").padEnd(5);
  return [clock, name, String(msg), ...facts].join(" ");
}
