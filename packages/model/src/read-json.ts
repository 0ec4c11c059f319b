// SPDX-License-Identifier: Apache-2.0
import { findJsonError, itemOffsets, locateInJson } from "./json-text.ts";
import type { Reading } from "./reading.ts";

/** Reads a `.json` file: one document, or a list of documents. */
export function readJson(text: string, reading: Reading): void {
  const lines = new LinePositions(text);
  const value = parseJson(text);
  if (value === undefined) {
    failJson(text, 0, lines, reading);
    return;
  }
  if (!Array.isArray(value)) {
    const start = lines.at(locateInJson(text, [], false));
    reading.document(value, start.line, (path, atKey) => lines.at(locateInJson(text, path, atKey)));
    return;
  }
  // Looked for one by one, the items of a list of 10,000 took minutes.
  const offsets = itemOffsets(text);
  for (const [index, document] of value.entries()) {
    const start = lines.at(offsets[index] ?? 0);
    reading.document(document, start.line, (path, atKey) =>
      lines.at(locateInJson(text, [index, ...path], atKey)),
    );
  }
}

/** Calls back for each line of a text; `end` is that of its line feed. */
export function eachLine(
  bytes: Uint8Array,
  onLine: (start: number, end: number, line: number) => void,
): void {
  let line = 0;
  for (let start = 0; start < bytes.length;) {
    const newline = bytes.indexOf(LINE_FEED, start);
    const end = newline < 0 ? bytes.length : newline;
    line += 1;
    onLine(start, end, line);
    start = end + 1;
  }
}

const LINE_FEED = 0x0a;

/** Reads one line of a `.jsonl` file: one document, or nothing. */
export function readJsonLine(text: string, line: number, reading: Reading): void {
  const value = parseJson(text);
  if (value === undefined) {
    if (text.trim() !== "") failJson(text, line - 1, new LinePositions(text), reading);
    return;
  }
  reading.document(value, line, (path, atKey) => ({
    line,
    column: locateInJson(text, path, atKey) + 1,
  }));
}

/** The value of a JSON text, or undefined where it is none. */
function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function failJson(text: string, linesBefore: number, lines: LinePositions, reading: Reading): void {
  const error = findJsonError(text) ?? { offset: 0, wanted: "a value", isTooDeep: false };
  const position = lines.at(error.offset);
  const character = [...text.slice(error.offset, error.offset + 2)][0];
  const found = character === undefined ? "the end of the text" : JSON.stringify(character);
  reading.problem({
    code: error.isTooDeep ? "nesting-too-deep" : "syntax-wrong",
    line: linesBefore + position.line,
    column: position.column,
    message: `Cannot read JSON: found ${found}, expected ${error.wanted}`,
    found,
    wanted: error.wanted,
  });
}

/** Lines and columns of the offsets of a text. */
export class LinePositions {
  readonly #starts: number[] = [0];

  constructor(text: string) {
    for (let at = text.indexOf("\n"); at >= 0; at = text.indexOf("\n", at + 1)) {
      this.#starts.push(at + 1);
    }
  }

  at(offset: number): { readonly line: number; readonly column: number } {
    let low = 0;
    let high = this.#starts.length;
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      if ((this.#starts[middle] ?? 0) <= offset) low = middle;
      else high = middle;
    }
    return { line: low + 1, column: offset - (this.#starts[low] ?? 0) + 1 };
  }
}
