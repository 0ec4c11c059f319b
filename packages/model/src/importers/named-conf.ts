// SPDX-License-Identifier: Apache-2.0
// The zones that a BIND configuration lists: statements of words, quoted texts and blocks, each ended by a semicolon, with three kinds of
// comment. Of a zone its type and file count; what else a configuration says is the server's and not the zone's.
import { dirname, isAbsolute, join } from "node:path";
import type { ReadFile } from "../zone-data.ts";
import type { ImportReport } from "./imported.ts";
import { addViews, seenBesides } from "./named-views.ts";

/** A zone of which this server has the master file. */
export interface NamedZone {
  readonly origin: string;
  readonly file: string;
  /** The View that it belongs to. */
  readonly view: string | undefined;
}

/** A word or text, or a block of statements, with the line where it begins. */
export interface Item {
  readonly line: number;
  readonly text: string;
  readonly block?: readonly Statement[];
}

export interface Statement {
  readonly file: string;
  readonly items: readonly Item[];
}

const DEPTH_MAX = 16;
const FILES_MAX = 1024;

/** Zones of the configuration with all that it includes; others than primaries are reported as not mapped. */
export function readNamedConf(
  path: string,
  readFile: ReadFile,
  report: ImportReport,
): { readonly zones: readonly NamedZone[]; readonly mistakes: readonly string[] } {
  const reader = new ConfReader(readFile);
  const statements = reader.read(path, 0);
  const options = statements.find(({ items }) => items[0]?.text === "options");
  const folder = valueOf(options?.items.at(-1)?.block, "directory") ?? dirname(path);
  const zones: NamedZone[] = [];
  for (const { name: view, block } of [
    { name: undefined, block: statements },
    ...addViews(statements, report),
  ])
    for (const { file, items } of block)
      if (items[0]?.text === "zone") addNamedZone(file, items, { folder, zones, report, view });
  for (const view of new Set(zones.flatMap((zone) => zone.view ?? []))) {
    const besides = seenBesides(zones, view);
    if (besides.length > 0)
      report.skip(
        path,
        1,
        `view "${view}"`,
        `Who sees it sees zones of no view besides, which it had not: ${besides.join(", ")}`,
      );
  }
  return { zones, mistakes: reader.mistakes };
}

function addNamedZone(
  file: string,
  items: readonly Item[],
  {
    folder,
    zones,
    report,
    view,
  }: { folder: string; zones: NamedZone[]; report: ImportReport; view: string | undefined },
): void {
  const [word, name] = items;
  const block = items.at(-1)?.block;
  const skip = (why: string): void =>
    report.skip(file, word?.line ?? 1, `zone "${name?.text ?? ""}"`, why);
  const type = valueOf(block, "type") ?? "";
  const zoneFile = valueOf(block, "file");
  if (type === "hint") return;
  const other = valueOf(block, "in-view");
  if (other !== undefined)
    return skip(`It is the zone of view "${other}": a zone of no view is seen by all views`);
  if (type !== "primary" && type !== "master")
    return skip(`It is of type "${type}"; what has its data elsewhere is imported there`);
  if (zoneFile === undefined) return skip("It names no file");
  for (const statement of block ?? []) {
    const [option] = statement.items;
    if (option !== undefined && !understood.has(option.text))
      report.skip(
        file,
        option.line,
        `${option.text} of zone "${name?.text ?? ""}"`,
        "It is not a zone's data; see the guide for its counterpart",
      );
  }
  zones.push({
    origin: `${(name?.text ?? "").replace(/\.$/, "")}.`,
    file: isAbsolute(zoneFile) ? zoneFile : join(folder, zoneFile),
    view,
  });
}

const understood: ReadonlySet<string> = new Set(["type", "file"]);

function valueOf(block: readonly Statement[] | undefined, name: string): string | undefined {
  return block?.find(({ items }) => items[0]?.text === name)?.items[1]?.text;
}

class ConfReader {
  readonly mistakes: string[] = [];
  readonly #readFile: ReadFile;
  #files = 0;

  constructor(readFile: ReadFile) {
    this.#readFile = readFile;
  }

  /** All statements of a file, those of included files in their places. */
  read(path: string, depth: number): Statement[] {
    this.#files += 1;
    const bytes = this.#readFile(path);
    if (bytes === undefined || this.#files > FILES_MAX || depth > DEPTH_MAX) {
      this.mistakes.push(`Cannot read ${path}: expected a file, and ${FILES_MAX} at most`);
      return [];
    }
    const lexemes = lexemesOf(new TextDecoder().decode(bytes));
    const statements = this.#block(path, lexemes, 0);
    if (lexemes.at < lexemes.all.length)
      this.mistakes.push(
        `Cannot read ${path}:${lexemes.all[lexemes.at]?.line}: "}" closes nothing`,
      );
    return statements.flatMap((statement) => {
      const [word, included] = statement.items;
      if (word?.text !== "include" || included === undefined) return [statement];
      const file = isAbsolute(included.text) ? included.text : join(dirname(path), included.text);
      return this.read(file, depth + 1);
    });
  }

  #block(file: string, lexemes: Lexemes, depth: number): Statement[] {
    const statements: Statement[] = [];
    let items: Item[] = [];
    for (; lexemes.at < lexemes.all.length; lexemes.at += 1) {
      const { text, line, isQuoted } = lexemes.all[lexemes.at] ?? {
        text: "",
        line: 1,
        isQuoted: false,
      };
      if (isQuoted || !"{};".includes(text)) {
        items.push({ text, line });
      } else if (text === ";") {
        if (items.length > 0) statements.push({ file, items });
        items = [];
      } else if (text === "}") {
        if (items.length > 0)
          this.mistakes.push(`Cannot read ${file}:${line}: ";" is missing before "}"`);
        return statements;
      } else if (depth < DEPTH_MAX) {
        lexemes.at += 1;
        items.push({ text: "{", line, block: this.#block(file, lexemes, depth + 1) });
        if (lexemes.at >= lexemes.all.length)
          this.mistakes.push(`Cannot read ${file}:${line}: "{" is not closed`);
      }
    }
    if (items.length > 0)
      this.mistakes.push(
        `Cannot read ${file}:${items[0]?.line ?? 1}: ";" is missing after "${items[0]?.text ?? ""}"`,
      );
    return statements;
  }
}

interface Lexemes {
  readonly all: readonly {
    readonly text: string;
    readonly line: number;
    readonly isQuoted: boolean;
  }[];
  at: number;
}

function lexemesOf(text: string): Lexemes {
  const pattern = /\/\*[\s\S]*?\*\/|\/\/[^\n]*|#[^\n]*|"([^"]*)"|[{};]|[^\s{};"]+|\n/g;
  let line = 1;
  const all: Lexemes["all"][number][] = [];
  for (const [found, quoted] of text.matchAll(pattern)) {
    const isComment = /^(?:\/\*|\/\/|#)/.test(found);
    if (!isComment && found !== "\n")
      all.push({ text: quoted ?? found, line, isQuoted: quoted !== undefined });
    line += found.split("\n").length - 1;
  }
  return { all, at: 0 };
}
