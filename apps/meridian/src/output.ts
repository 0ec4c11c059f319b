// SPDX-License-Identifier: Apache-2.0

// What commands print: text for people, with colours on a terminal only, or JSON for programs.

import { styleText } from "node:util";

/** One row; every value becomes text. */
export type Row = Readonly<Record<string, unknown>>;

/** A column: where its value comes from, and how it is written. */
export interface Column {
  readonly title: string;
  readonly value: (row: Row) => string;
  readonly isNumber?: boolean;
}

/** Colours, unless the output is no terminal or NO_COLOR is set (no-color.org). */
export function hasColours(stream: { readonly isTTY?: boolean } = process.stdout): boolean {
  return stream.isTTY === true && (process.env["NO_COLOR"] ?? "") === "";
}

/** Writes a line to standard output. */
export function print(line: string = ""): void {
  process.stdout.write(`${line}\n`);
}

/** Writes a line to standard error. */
export function complain(line: string): void {
  process.stderr.write(`${line}\n`);
}

export function printJson(value: unknown): void {
  print(JSON.stringify(value, undefined, 2));
}

/** Lines of a table with a heading, columns as wide as they need to be. */
export function tableLines(
  rows: readonly Row[],
  columns: readonly Column[],
  isColoured: boolean,
): string[] {
  const cells = rows.map((row) => columns.map(({ value }) => value(row)));
  const widths = columns.map(({ title }, index) =>
    Math.max(title.length, ...cells.map((line) => line[index]?.length ?? 0)),
  );
  const line = (texts: readonly string[]): string =>
    texts
      .map((text, index) => {
        const width = widths[index] ?? 0;
        return columns[index]?.isNumber === true ? text.padStart(width) : text.padEnd(width);
      })
      .join("  ")
      .trimEnd();
  const heading = line(columns.map(({ title }) => title));
  return [
    isColoured ? styleText("bold", heading, { validateStream: false }) : heading,
    ...cells.map((texts) => colourWords(line(texts), isColoured)),
  ];
}

const wordStyles = {
  healthy: "green",
  unhealthy: "red",
  unknown: "yellow",
  drained: "yellow",
  error: "red",
  warning: "yellow",
} as const;

/** Verdicts in the colours that people expect. */
export function colourWords(line: string, isColoured: boolean): string {
  if (!isColoured) return line;
  return line.replaceAll(/\b(healthy|unhealthy|unknown|drained|error|warning)\b/g, (word) => {
    const style = Object.entries(wordStyles).find(([name]) => name === word)?.[1];
    return style === undefined ? word : styleText(style, word, { validateStream: false });
  });
}

/** A column that shows a field as it is. */
export function field(title: string, name: string, isNumber = false): Column {
  return { title, value: (row) => textOf(row[name]), isNumber };
}

/** A column that shows how long ago a field's wall milliseconds are. */
export function ageField(title: string, name: string, nowMs: number): Column {
  return {
    title,
    isNumber: true,
    value: (row) => {
      const atMs = row[name];
      return typeof atMs === "number" ? formatAge(nowMs - atMs) : "";
    },
  };
}

/** `42s`, `7m`, `3h` or `2d`. */
export function formatAge(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  if (seconds < 120) return `${seconds}s`;
  if (seconds < 7200) return `${Math.floor(seconds / 60)}m`;
  return seconds < 172_800 ? `${Math.floor(seconds / 3600)}h` : `${Math.floor(seconds / 86_400)}d`;
}

function textOf(value: unknown): string {
  if (value === undefined || value === null) return "";
  return typeof value === "string" ? value : JSON.stringify(value);
}

/** Rows of an answer of the API: its objects, anything else is left out. */
export function rowsOf(answer: unknown): Row[] {
  if (!Array.isArray(answer)) return [];
  return answer.flatMap((row: unknown) =>
    typeof row === "object" && row !== null ? [Object.fromEntries(Object.entries(row))] : [],
  );
}
