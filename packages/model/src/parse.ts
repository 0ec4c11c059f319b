// SPDX-License-Identifier: Apache-2.0
// Files to documents. All problems of all files are found in one go. Nothing of a position is kept:
// `locateProblems` reads the files again for those that only show when documents are put together.
import { isUtf8 } from "node:buffer";
import {
  type Document,
  type DocumentId,
  formatDocumentId,
  isKind,
  kinds,
  schemas,
  type Source,
} from "./documents.ts";
import { describeValue, type Finding, findingsOf, valueAt } from "./issues.ts";
import { limits } from "./limits.ts";
import { formatPath, parsePath, type Problem } from "./problem.ts";
import { eachLine, readJson, readJsonLine } from "./read-json.ts";
import { readYaml } from "./read-yaml.ts";
import type { Locate, Reading } from "./reading.ts";
import { RecordLines } from "./record-lines.ts";
import { RecordTable } from "./record-table.ts";
import { suggest } from "./suggest.ts";

/** A file as it was read from the disk. */
export interface InputFile {
  readonly path: string;
  readonly bytes: Uint8Array;
}

/** What files hold. */
export interface Parsed {
  /** Those that are right by themselves. */
  readonly documents: Document[];
  /** Those of which kind and name can be read but not all else; references to them are fine. */
  readonly broken: DocumentId[];
  readonly problems: Problem[];
}

/** What files hold, the Records apart: there may be a million. */
export interface ReadDocuments extends Parsed {
  readonly records: RecordTable;
}

/**
 * Reads documents: `.jsonl` holds one a line, `.json` one or a list, anything else is YAML with any
 * number. Never throws; bounded by `limits`.
 */
export function readDocuments(files: readonly InputFile[]): ReadDocuments {
  const collector = new Collector();
  for (const file of files) collector.read(file);
  return collector.finish();
}

/** As `readDocuments`, with the Records behind the other documents. */
export function parseDocuments(files: readonly InputFile[]): Parsed {
  const { documents, records, broken, problems } = readDocuments(files);
  return { documents: [...documents, ...records], broken, problems };
}

/** Reads one document that came by another way than a file; a Shift may. */
export function parseDocument(raw: unknown, source: Source): Parsed {
  const collector = new Collector();
  const locate: Locate = () => ({ line: source.line, column: 1 });
  collector.add(raw, source, locate, true);
  const { documents, broken, problems } = collector.finish();
  return { documents, broken, problems };
}

/** Fills in line and column of problems that know only the first line of their document. */
export function locateProblems(
  problems: readonly Problem[],
  files: readonly InputFile[],
): Problem[] {
  const located = new Map<Problem, Problem>();
  for (const file of files) {
    const byLine = Map.groupBy(
      problems.filter((problem) => problem.file === file.path && problem.path !== ""),
      (problem) => problem.line,
    );
    if (byLine.size === 0) continue;
    const reading: Reading = {
      document: (_raw, line, locate) => {
        for (const problem of byLine.get(line) ?? []) {
          located.set(problem, { ...problem, ...locate(parsePath(problem.path), false) });
        }
      },
      problem: () => {},
    };
    readFile(file, reading, (_bytes, _start, _end, line) => byLine.has(line));
  }
  return problems.map((problem) => located.get(problem) ?? problem);
}

/** Whether the line `bytes[start..end)` is to be read. */
type LineFilter = (bytes: Buffer, start: number, end: number, line: number) => boolean;

/** Reads a file that may be read; of JSON lines only those that `isWanted`. */
function readFile(file: InputFile, reading: Reading, isWanted: LineFilter): void {
  const bytes = textBytes(file);
  if (!Buffer.isBuffer(bytes)) {
    reading.problem({ line: 1, column: 1, ...bytes });
    return;
  }
  if (file.path.endsWith(".jsonl")) {
    eachLine(bytes, (start, end, line) => {
      if (isWanted(bytes, start, end, line))
        readJsonLine(bytes.toString("utf8", start, end), line, reading);
    });
  } else if (file.path.endsWith(".json")) readJson(bytes.toString(), reading);
  else readYaml(bytes.toString(), reading);
}

type FileFinding = Pick<Finding, "code" | "message" | "found" | "wanted">;

function tooLarge(bytes: number, bytesMax: number, isYaml: boolean): FileFinding {
  const found = `${(bytes / 1_048_576).toFixed(1)} MiB`;
  const hint = isYaml ? " of YAML; JSON lines may be larger" : "";
  const wanted = `at most ${bytesMax / 1_048_576} MiB${hint}`;
  const message = `Cannot read the file: its size is ${found}, expected ${wanted}`;
  return { code: "file-too-large", message, found, wanted };
}

/** The bytes of a file that are text, without a byte order mark; or why the file cannot be read. */
function textBytes({ path, bytes }: InputFile): Buffer | FileFinding {
  const isYaml = !/\.jsonl?$/.test(path);
  const bytesMax = isYaml ? limits.yamlBytesMax : limits.fileBytesMax;
  if (bytes.length > bytesMax) return tooLarge(bytes.length, bytesMax, isYaml);
  const wanted = "UTF-8 text";
  const nul = bytes.indexOf(0);
  if (nul >= 0) {
    const message = `Cannot read the file: byte ${nul} is 0 as in binary data, expected ${wanted}`;
    return { code: "file-not-text", message, found: "binary data", wanted };
  }
  if (!isUtf8(bytes)) {
    const message = `Cannot read the file: it holds bytes that are no UTF-8, expected ${wanted}`;
    return { code: "file-not-text", message, found: "binary data", wanted };
  }
  const hasMark = bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf;
  const start = hasMark ? 3 : 0;
  return Buffer.from(bytes.buffer, bytes.byteOffset + start, bytes.length - start);
}

class Collector {
  readonly #documents: Document[] = [];
  readonly #records = new RecordTable();
  readonly #recordLines = new RecordLines(this.#records);
  readonly #broken: DocumentId[] = [];
  readonly #problems: Problem[] = [];
  #unshown = 0;

  /** Takes what one file holds. */
  read(file: InputFile): void {
    const { path } = file;
    const number = this.#records.fileOf(path);
    const lines = this.#recordLines;
    // The line that is being read as JSON, to learn from it.
    let last: { bytes: Buffer; start: number; end: number } | undefined;
    const reading: Reading = {
      document: (raw, line, locate) => {
        const document = this.add(raw, { file: path, line }, locate, false);
        if (last === undefined || document?.kind !== "Record") return;
        lines.learn(last.bytes, last.start, last.end, document);
      },
      problem: (problem) => this.#report({ severity: "error", file: path, path: "", ...problem }),
    };
    readFile(file, reading, (bytes, start, end, line) => {
      if (lines.take(bytes, start, end, number, line)) return false;
      last = { bytes, start, end };
      return true;
    });
  }

  /** Takes a document; returns it where it is right by itself. */
  add(raw: unknown, source: Source, locate: Locate, mayShift: boolean): Document | undefined {
    const kind = valueAt(raw, ["kind"]);
    const finding = mayShift || kind !== "Shift" ? undefined : shiftInFile;
    if (typeof kind !== "string" || !isKind(kind) || finding !== undefined) {
      this.#find([finding ?? unknownKind(raw)], source, locate);
      return undefined;
    }
    const result = schemas[kind].safeParse(raw);
    if (result.success) {
      // Zod's output is ours alone, so it needs no copy.
      const document: Document = Object.assign(result.data, { source });
      if (document.kind === "Record") this.#records.add(document);
      else this.#documents.push(document);
      return document;
    }
    const id = rawId(raw, kind);
    if (id !== undefined) this.#broken.push(id);
    const subject = `Cannot read ${id === undefined ? kind : formatDocumentId(id)}`;
    this.#find(findingsOf(result.error, schemas[kind], raw, subject), source, locate);
    return undefined;
  }

  finish(): ReadDocuments {
    const last = this.#problems.at(-1);
    if (this.#unshown > 0 && last !== undefined) {
      const message = `Cannot show all problems: there are ${this.#unshown} more`;
      this.#problems.push({ ...last, code: "too-many-problems", path: "", message });
    }
    return {
      documents: this.#documents,
      records: this.#records,
      broken: this.#broken,
      problems: this.#problems,
    };
  }

  #find(findings: readonly Finding[], source: Source, locate: Locate): void {
    for (const finding of findings) {
      if (this.#problems.length >= limits.problemsMax) this.#unshown += 1;
      else this.#report(problemOf(finding, "error", source, locate));
    }
  }

  #report(problem: Problem): void {
    if (this.#problems.length >= limits.problemsMax) this.#unshown += 1;
    else this.#problems.push(problem);
  }
}

const shiftInFile: Finding = {
  code: "kind-refused",
  path: ["kind"],
  message: 'Cannot read the document: kind is "Shift", expected a kind that belongs in files',
  found: '"Shift"',
  wanted: "a kind that belongs in files",
};

function unknownKind(raw: unknown): Finding {
  const kind = valueAt(raw, ["kind"]);
  const wanted = `one of ${kinds.filter((each) => each !== "Shift").join(", ")}`;
  if (typeof raw !== "object" || raw === null || Array.isArray(raw)) {
    const found = describeValue(raw);
    const message = `Cannot read the document: it is ${found}, expected a mapping with a kind`;
    return { code: "value-wrong", path: [], message, found, wanted: "a mapping with a kind" };
  }
  const found = describeValue(kind);
  const message = `Cannot read the document: kind is ${found}, expected ${wanted}`;
  const suggestion = typeof kind === "string" ? suggest(kind, kinds) : undefined;
  return { code: "kind-unknown", path: ["kind"], message, found, wanted, suggestion };
}

function rawId(raw: unknown, kind: DocumentId["kind"]): DocumentId | undefined {
  const name = valueAt(raw, ["metadata", "name"]);
  const namespace = valueAt(raw, ["metadata", "namespace"]) ?? "default";
  if (typeof name !== "string" || typeof namespace !== "string") return undefined;
  const isClusterWide = kind === "Site" || kind === "DataSet";
  return { kind, namespace: isClusterWide ? "" : namespace, name };
}

function problemOf(
  { path, atKey = false, code, message, found, wanted, suggestion }: Finding,
  severity: Problem["severity"],
  { file }: Source,
  locate: Locate,
): Problem {
  return {
    severity,
    code,
    file,
    ...locate(path, atKey),
    path: formatPath(path),
    message,
    ...(found === undefined ? {} : { found }),
    ...(wanted === undefined ? {} : { wanted }),
    ...(suggestion === undefined ? {} : { suggestion }),
  };
}
