// SPDX-License-Identifier: Apache-2.0
// Files to documents. All problems of all files are found in one go. Nothing of a position is kept:
// `locateProblems` reads the files again for those that only show when documents are put together.
import {
  type Document,
  type DocumentId,
  formatDocumentId,
  isKind,
  kinds,
  schemas,
  type RecordDocument,
  type Source,
} from "./documents.ts";
import { describeValue, type Finding, findingsOf, valueAt } from "./issues.ts";
import type { RecordSpec } from "./kinds/record.ts";
import { limits } from "./limits.ts";
import { formatPath, parsePath, type Problem } from "./problem.ts";
import { readJson, readJsonLines } from "./read-json.ts";
import { readYaml } from "./read-yaml.ts";
import type { Locate, Reading } from "./reading.ts";
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

/**
 * Reads documents: `.jsonl` holds one a line, `.json` one or a list, anything else is YAML with any
 * number. Never throws; bounded by `limits`.
 */
export function parseDocuments(files: readonly InputFile[]): Parsed {
  const collector = new Collector();
  for (const file of files) readFile(file, collector.readingOf(file.path), collector);
  return collector.finish();
}

/** Reads one document that came by another way than a file; a Shift may. */
export function parseDocument(raw: unknown, source: Source): Parsed {
  const collector = new Collector();
  const locate: Locate = () => ({ line: source.line, column: 1 });
  collector.add(raw, source, locate, true);
  return collector.finish();
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
    readFile(file, reading, undefined);
  }
  return problems.map((problem) => located.get(problem) ?? problem);
}

function readFile(file: InputFile, reading: Reading, collector: Collector | undefined): void {
  const isYaml = !/\.jsonl?$/.test(file.path);
  const bytesMax = isYaml ? limits.yamlBytesMax : limits.fileBytesMax;
  const text = file.bytes.length > bytesMax ? undefined : decodeText(file.bytes);
  if (typeof text !== "string") {
    const problem = text ?? tooLarge(file.bytes.length, bytesMax, isYaml);
    collector?.readingOf(file.path).problem({ line: 1, column: 1, ...problem });
    return;
  }
  if (file.path.endsWith(".jsonl")) readJsonLines(text, reading);
  else if (file.path.endsWith(".json")) readJson(text, reading);
  else readYaml(text, reading);
}

type FileFinding = Pick<Finding, "code" | "message" | "found" | "wanted">;

function tooLarge(bytes: number, bytesMax: number, isYaml: boolean): FileFinding {
  const found = `${(bytes / 1_048_576).toFixed(1)} MiB`;
  const hint = isYaml ? " of YAML; JSON lines may be larger" : "";
  const wanted = `at most ${bytesMax / 1_048_576} MiB${hint}`;
  const message = `Cannot read the file: its size is ${found}, expected ${wanted}`;
  return { code: "file-too-large", message, found, wanted };
}

function decodeText(bytes: Uint8Array): string | FileFinding {
  const wanted = "UTF-8 text";
  const nul = bytes.indexOf(0);
  if (nul < 0) {
    try {
      return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
    } catch {
      const message = `Cannot read the file: it holds bytes that are no UTF-8, expected ${wanted}`;
      return { code: "file-not-text", message, found: "binary data", wanted };
    }
  }
  const message = `Cannot read the file: byte ${nul} is 0 as in binary data, expected ${wanted}`;
  return { code: "file-not-text", message, found: "binary data", wanted };
}

class Collector {
  readonly #documents: Document[] = [];
  readonly #broken: DocumentId[] = [];
  readonly #problems: Problem[] = [];
  #unshown = 0;
  #lastRecord: RecordSpec | undefined;

  /** Takes what one file holds. */
  readingOf(file: string): Reading {
    return {
      document: (raw, line, locate) => this.add(raw, { file, line }, locate, false),
      problem: (problem) => this.#report({ severity: "error", file, path: "", ...problem }),
    };
  }

  add(raw: unknown, source: Source, locate: Locate, mayShift: boolean): void {
    const kind = valueAt(raw, ["kind"]);
    const finding = mayShift || kind !== "Shift" ? undefined : shiftInFile;
    if (typeof kind !== "string" || !isKind(kind) || finding !== undefined) {
      this.#find([finding ?? unknownKind(raw)], source, locate);
      return;
    }
    const result = schemas[kind].safeParse(raw);
    if (result.success) {
      // Zod's output is ours alone, so it needs no copy.
      const document: Document = Object.assign(result.data, { source });
      if (document.kind === "Record") this.#shareValues(document);
      this.#documents.push(document);
      return;
    }
    const id = rawId(raw, kind);
    if (id !== undefined) this.#broken.push(id);
    const subject = `Cannot read ${id === undefined ? kind : formatDocumentId(id)}`;
    this.#find(findingsOf(result.error, schemas[kind], raw, subject), source, locate);
  }

  finish(): Parsed {
    const last = this.#problems.at(-1);
    if (this.#unshown > 0 && last !== undefined) {
      const message = `Cannot show all problems: there are ${this.#unshown} more`;
      this.#problems.push({ ...last, code: "too-many-problems", path: "", message });
    }
    return { documents: this.#documents, broken: this.#broken, problems: this.#problems };
  }

  /** Lets neighbours with equal types and TTLs, as a million Records mostly are, hold the same. */
  #shareValues({ spec }: RecordDocument): void {
    const last = this.#lastRecord;
    this.#lastRecord = spec;
    if (last === undefined) return;
    const { types, ttl } = last;
    if (ttl.min === spec.ttl.min && ttl.max === spec.ttl.max) spec.ttl = ttl;
    const hasSameTypes = types.length === spec.types.length;
    if (hasSameTypes && types.every((type, index) => type === spec.types[index]))
      spec.types = types;
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
