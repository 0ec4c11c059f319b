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
import { isStoreKind } from "./store-kinds.ts";
import { suggest } from "./suggest.ts";

/** A file of documents. */
export interface InputFile {
  readonly path: string;
  /** What it holds; or what reads it when it is its turn, and gives a sentence where that fails. */
  readonly bytes: Uint8Array | (() => Uint8Array | string);
  /** Equal as long as the content is; without it the file is read each time. */
  readonly version?: string | undefined;
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
  /** What each file holds that is right in all. */
  readonly parts: ReadonlyMap<string, FilePart>;
}

/**
 * Reads documents: `.jsonl` holds one a line, `.json` one or a list, anything else is YAML with any
 * number. Never throws; bounded by `limits`.
 */
export class DocumentReader {
  #known: ReadonlyMap<string, KnownFile> = new Map();

  /** Reads files; those of the version that the last call found nothing wrong with are not read again. */
  read(files: readonly InputFile[]): ReadDocuments {
    const collector = new Collector();
    const known = new Map<string, KnownFile>();
    const parts = new Map<string, FilePart>();
    for (const file of files) {
      const before = file.version === undefined ? undefined : this.#known.get(file.path);
      const isKnown = before !== undefined && before.version === file.version;
      const part = isKnown ? collector.take(before.part) : collector.read(file);
      if (part !== undefined) parts.set(file.path, part);
      if (part !== undefined && file.version !== undefined) {
        known.set(file.path, { version: file.version, part });
      }
    }
    this.#known = known;
    return { ...collector.finish(), parts };
  }
}

/** What a file held that is right in all. */
export interface FilePart {
  readonly documents: readonly Document[];
  /** Its Records are those of a table from one index up to another. */
  readonly records: RecordTable;
  readonly start: number;
  readonly end: number;
}

interface KnownFile {
  readonly version: string;
  readonly part: FilePart;
}

/** Reads files once, with the Records behind the other documents. */
export function parseDocuments(files: readonly InputFile[]): Parsed {
  const { documents, records, broken, problems } = new DocumentReader().read(files);
  return { documents: [...documents, ...records], broken, problems };
}

/** A document as it was written, and the line it starts on. */
export interface RawDocument {
  readonly raw: unknown;
  /** From 1. */
  readonly line: number;
}

/** Reads a file without looking into its documents: problems are only of what keeps it from being read. */
export function readRawDocuments(file: InputFile): {
  readonly documents: readonly RawDocument[];
  readonly problems: readonly Problem[];
} {
  const documents: RawDocument[] = [];
  const problems: Problem[] = [];
  const reading: Reading = {
    document: (raw, line) => documents.push({ raw, line }),
    problem: (problem) => {
      if (problems.length >= limits.problemsMax) return;
      problems.push({ severity: "error", file: file.path, path: "", ...problem });
    },
  };
  readFile(file, reading, () => true);
  return { documents, problems };
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
function textBytes({ path, bytes: content }: InputFile): Buffer | FileFinding {
  const bytes = typeof content === "function" ? content() : content;
  if (typeof bytes === "string") {
    return {
      code: "file-unreadable",
      message: bytes,
      found: path,
      wanted: "a file that can be read",
    };
  }
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

  /** Takes what one file holds; returns it where all of it is right. */
  read(file: InputFile): FilePart | undefined {
    const { path } = file;
    const records = this.#records;
    const number = records.fileOf(path);
    const lines = this.#recordLines;
    const start = records.count;
    const documentsBefore = this.#documents.length;
    const problemsBefore = this.#problems.length + this.#unshown;
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
    readFile(file, reading, (bytes, lineStart, lineEnd, line) => {
      if (lines.take(bytes, lineStart, lineEnd, number, line)) return false;
      last = { bytes, start: lineStart, end: lineEnd };
      return true;
    });
    if (this.#problems.length + this.#unshown > problemsBefore) return undefined;
    const documents = this.#documents.slice(documentsBefore);
    return { documents, records, start, end: records.count };
  }

  /** Takes what a file held before. */
  take({ documents, records, start, end }: FilePart): FilePart {
    for (const document of documents) this.#documents.push(document);
    const first = this.#records.count;
    this.#records.addFrom(records, start, end);
    return { documents, records: this.#records, start: first, end: this.#records.count };
  }

  /** Takes a document; returns it where it is right by itself. */
  add(raw: unknown, source: Source, locate: Locate, mayShift: boolean): Document | undefined {
    const kind = valueAt(raw, ["kind"]);
    const isShift = kind === "Shift" && !mayShift;
    if (typeof kind !== "string" || !isKind(kind) || isShift) {
      const isForApi = typeof kind === "string" && (isShift || isStoreKind(kind));
      this.#find(
        [isForApi || kind === "Scenario" ? notInFiles(kind) : unknownKind(raw)],
        source,
        locate,
      );
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

  finish(): Omit<ReadDocuments, "parts"> {
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

function notInFiles(kind: string): Finding {
  const found = JSON.stringify(kind);
  const whose = kind === "Scenario" ? "what meridian simulate plays" : "for the API alone";
  const wanted = `a kind that belongs in files; this one is ${whose}`;
  const message = `Cannot read the document: kind is ${found}, expected ${wanted}`;
  return { code: "kind-refused", path: ["kind"], message, found, wanted };
}

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
  const isClusterWide = kind === "Site" || kind === "DataSet" || kind === "View";
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
