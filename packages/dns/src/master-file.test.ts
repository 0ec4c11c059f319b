// SPDX-License-Identifier: Apache-2.0
//
// Transcripts in testdata/: files in, records and mistakes out. UPDATE_TESTDATA=1 writes the
// output anew, to be reviewed as a diff.

import assert from "node:assert/strict";
import { readFileSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import fc from "fast-check";
import { RRType, typeToText } from "./constants.ts";
import { MasterFileLimits, parseMasterFile, type MasterFileError } from "./master-file.ts";
import { formatName, parseName } from "./name-text.ts";
import { formatRdata } from "./rdata.ts";

const parsedOrigin = parseName("example.org.");
assert.ok(parsedOrigin instanceof Uint8Array);
const origin: Uint8Array = parsedOrigin;
const folder = join(import.meta.dirname, "testdata");

interface Output {
  readonly records: string[];
  readonly errors: readonly MasterFileError[];
}

function parse(
  source: Uint8Array | string,
  files: ReadonlyMap<string, string> = new Map(),
): Output {
  const records: string[] = [];
  const errors = parseMasterFile(source, {
    origin,
    fileName: "zone",
    include: (path) => {
      const content = files.get(path);
      if (content === undefined) {
        throw new Error("no such file");
      }
      return content;
    },
    onRecord: (owner, type, ttl, rdata, line, file) => {
      const data = `${typeToText(type)} ${formatRdata(type, rdata)}`;
      records.push(`${file}:${line} ${formatName(owner)} ${ttl} ${data}`);
    },
  });
  return { records, errors };
}

/** Parts of a transcript by the title in `-- title --`. */
function sections(text: string): Map<string, string> {
  const parts = text.split(/^-- (.*) --\n/m).slice(1);
  const found = new Map<string, string>();
  for (let i = 0; i + 1 < parts.length; i += 2) {
    found.set(parts[i] ?? "", parts[i + 1] ?? "");
  }
  return found;
}

for (const file of readdirSync(folder)) {
  test(`parseMasterFile() gives what testdata/${file} says`, () => {
    const path = join(folder, file);
    const text = readFileSync(path, "utf8");
    const files = sections(text);
    const { records, errors } = parse(files.get("zone") ?? "", files);
    const messages = errors.map(({ message }) => message);
    const output = `-- records --\n${lines(records)}-- errors --\n${lines(messages)}`;
    const input = text.split("-- records --\n", 1)[0] ?? "";
    if (process.env["UPDATE_TESTDATA"] !== undefined) {
      writeFileSync(path, input + output);
    }
    assert.equal(readFileSync(path, "utf8"), input + output);
  });
}

test("parseMasterFile() reads plain lines by both of its paths alike", () => {
  const token = fc.constantFrom(
    ...[
      "a",
      "A",
      "a.b",
      "*",
      "x.",
      ".",
      "@",
      "-",
      "_x",
      "a..b",
      `${"l".repeat(63)}.`,
      "l".repeat(64),
    ],
    ...["\\097", "ü", "IN", "in", "CH", "NS", "cname", "AAAA", "TXT", "60", "1h", "999999999"],
    ...["2147483648", "00", "192.0.2.1", "192.0.2.256", "::1", "1:2", "2001:db8::", "a:b"],
  );
  const gap = fc.constantFrom(" ", "\t", "  ");
  const ending = fc.constantFrom("", " ", "; c", " ; c", ";c");
  const line = fc
    .tuple(fc.constantFrom("", " "), fc.array(token, { minLength: 1, maxLength: 5 }), gap, ending)
    .map(([start, tokens, between, end]) => ({ text: start + tokens.join(between), end }));
  fc.assert(
    fc.property(line, ({ text, end }) => {
      const head = "$TTL 7\nfirst A 192.0.2.77\n";
      const direct = parse(`${head}${text}${end}\n`);
      // Parentheses mean nothing here but send the line to the general path.
      const general = parse(`${head}${text} ( )${end.startsWith(";c") ? " " : ""}${end}\n`);
      const shape = (output: Output): unknown => [
        output.records,
        output.errors.map(({ line: at, wanted }) => [at, wanted]),
      ];
      assert.deepEqual(shape(direct), shape(general));
    }),
    { numRuns: 5000 },
  );
});

test("parseMasterFile() never throws, whatever the bytes", () => {
  const piece = fc.constantFrom(
    ...[
      "a",
      "@",
      " ",
      "\t",
      "\n",
      "\r\n",
      "(",
      ")",
      '"',
      ";",
      "\\",
      "\\1",
      ".",
      "$TTL ",
      "$ORIGIN ",
    ],
    ...["$INCLUDE zone\n", "IN ", "A ", "TXT ", "SOA ", "1h ", "192.0.2.1", "\\# ", "\u0000", "é"],
  );
  const text = fc.array(piece, { maxLength: 60 }).map((pieces) => pieces.join(""));
  fc.assert(
    fc.property(fc.oneof(text, fc.uint8Array({ maxLength: 200 })), (source) => {
      const { errors } = parse(source, new Map([["zone", "inner A 192.0.2.1\n"]]));
      assert.ok(errors.length <= MasterFileLimits.errorsMax);
      assert.ok(errors.every(({ line, column }) => line >= 1 && column >= 1));
    }),
    { numRuns: 5000 },
  );
});

test("parseMasterFile() stops after 100 mistakes", () => {
  assert.equal(parse("a A x\n".repeat(1000)).errors.length, 100);
});

test("parseMasterFile() bounds the number of included files", () => {
  const wide = "$INCLUDE wide\n".repeat(4);
  const { errors } = parse(wide, new Map([["wide", wide]]));
  assert.equal(errors.length, MasterFileLimits.errorsMax);
});

test("parseMasterFile() refuses one endless token, line or parenthesis in bounded memory", () => {
  const million = 1_000_000;
  for (const text of ["x".repeat(million), `a TXT "${"x".repeat(million)}`, "x ".repeat(million)]) {
    for (const source of [text, `( ${text}`, `a 1 TXT ${text}`]) {
      const { records, errors } = parse(source);
      assert.deepEqual([records, errors.length], [[], 1]);
      assert.ok((errors[0]?.message.length ?? 0) < 400);
    }
  }
});

test("parseMasterFile() takes CR LF, a byte order mark and a last line without line feed", () => {
  const { records, errors } = parse("\uFEFF$TTL 9\r\na A 192.0.2.1\r\nb TXT x\r\nc A 192.0.2.2");
  assert.deepEqual(errors, []);
  assert.deepEqual(records, [
    "zone:2 a.example.org. 9 A 192.0.2.1",
    'zone:3 b.example.org. 9 TXT "x"',
    "zone:4 c.example.org. 9 A 192.0.2.2",
  ]);
});

test("parseMasterFile() keeps bytes that are not UTF-8", () => {
  const source = Buffer.from("a 1 TXT \xff\xfe\n\xe9 1 A 192.0.2.1\n", "latin1");
  assert.deepEqual(parse(source).records, [
    'zone:1 a.example.org. 1 TXT "\\255\\254"',
    "zone:2 \\233.example.org. 1 A 192.0.2.1",
  ]);
});

test("parseMasterFile() takes defaultTtl where the file states none, and refuses $INCLUDE alone", () => {
  const ttls: number[] = [];
  const errors = parseMasterFile("a A 192.0.2.1\n$INCLUDE x\n", {
    origin,
    defaultTtl: 42,
    fileName: "zone",
    onRecord: (_owner, type, ttl) => {
      assert.equal(type, RRType.A);
      ttls.push(ttl);
    },
  });
  assert.deepEqual(ttls, [42]);
  assert.deepEqual(
    errors.map(({ wanted }) => wanted),
    ["no $INCLUDE here"],
  );
});

test("parseMasterFile() takes the fast path for plain lines: 100,000 in well under 2 s of CPU", () => {
  const text = Array.from(
    { length: 100_000 },
    (_, i) => `h${i}.p 300 IN A 10.1.${(i >> 8) & 255}.${i & 255}\n`,
  ).join("");
  let count = 0;
  const started = process.cpuUsage();
  parseMasterFile(text, { origin, fileName: "zone", onRecord: () => count++ });
  const { user, system } = process.cpuUsage(started);
  assert.equal(count, 100_000);
  assert.ok(user + system < 2_000_000, `took ${user + system} µs`);
});

function lines(items: readonly string[]): string {
  return items.map((item) => `${item}\n`).join("");
}
