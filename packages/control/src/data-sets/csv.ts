// SPDX-License-Identifier: Apache-2.0

/** A line of a CSV file. */
export interface CsvLine {
  /** From 1. */
  readonly number: number;
  readonly fields: readonly string[];
}

/**
 * The lines of a CSV file (RFC 4180 without line breaks inside quotes), fields trimmed of spaces. Empty lines, lines that start with
 * `#` and a first line that starts with `header` are left out. Fields from `fieldsMax` on are not looked at.
 */
export function* csvLines(bytes: Uint8Array, header: string, fieldsMax = 16): Generator<CsvLine> {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("utf8");
  let number = 0;
  for (let start = 0; start < text.length;) {
    const newline = text.indexOf("\n", start);
    const end = newline < 0 ? text.length : newline;
    const line = text.slice(start, end).trim();
    start = end + 1;
    number++;
    if (line === "" || line.startsWith("#")) continue;
    const fields = splitFields(line, fieldsMax);
    if (number === 1 && fields[0]?.toLowerCase() === header) continue;
    yield { number, fields };
  }
}

function splitFields(line: string, fieldsMax: number): string[] {
  const fields: string[] = [];
  for (let start = 0; start <= line.length && fields.length < fieldsMax;) {
    if (line[start] === '"') {
      const [text, end] = quotedField(line, start + 1);
      fields.push(text);
      start = end;
      continue;
    }
    const comma = line.indexOf(",", start);
    const end = comma < 0 ? line.length : comma;
    fields.push(line.slice(start, end).trim());
    start = end + 1;
  }
  return fields;
}

/** The text of a quoted field whose inside starts at `start`, and where the next field starts. */
function quotedField(line: string, start: number): [text: string, next: number] {
  let close = line.indexOf('"', start);
  while (close >= 0 && line[close + 1] === '"') close = line.indexOf('"', close + 2);
  const end = close < 0 ? line.length : close;
  const comma = line.indexOf(",", end);
  const text = line.slice(start, end).replaceAll('""', '"');
  return [text, comma < 0 ? line.length + 1 : comma + 1];
}
