// SPDX-License-Identifier: Apache-2.0

/** A line of a CSV file. */
export interface CsvLine {
  /** From 1. */
  readonly number: number;
  readonly fields: readonly string[];
}

/**
 * The lines of a CSV file (RFC 4180 without line breaks inside quotes), fields trimmed of spaces. Empty lines, lines that start with
 * `#` and a first line that starts with `header` are left out.
 */
export function* csvLines(bytes: Uint8Array, header: string): Generator<CsvLine> {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("utf8");
  let number = 0;
  for (let start = 0; start < text.length;) {
    const newline = text.indexOf("\n", start);
    const end = newline < 0 ? text.length : newline;
    const line = text.slice(start, end).trim();
    start = end + 1;
    number++;
    if (line === "" || line.startsWith("#")) continue;
    const fields = splitFields(line);
    if (number === 1 && fields[0]?.toLowerCase() === header) continue;
    yield { number, fields };
  }
}

function splitFields(line: string): string[] {
  if (!line.includes('"')) return line.split(",").map((field) => field.trim());
  const fields = [...line.matchAll(/(?:^|,)\s*(?:"((?:[^"]|"")*)"|([^,]*))/g)];
  return fields.map(([, quoted, plain]) => quoted?.replaceAll('""', '"') ?? plain?.trim() ?? "");
}
