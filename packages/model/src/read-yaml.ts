// SPDX-License-Identifier: Apache-2.0
// YAML step by step, so that no text is ever expensive: lexemes go into a parser whose stack is
// watched, its tree of one document into nodes, those into a value in which aliases may expand only
// so far. The nodes are dropped with each document; they give positions while there are problems.
import {
  Composer,
  type CST,
  isAlias,
  isMap,
  isScalar,
  isSeq,
  Lexer,
  LineCounter,
  type Document as YamlDocument,
  type Node,
  Parser,
  stringify,
  type Range,
  type Scalar,
  visit,
} from "yaml";
import { limits } from "./limits.ts";
import type { Path } from "./problem.ts";
import type { Position, Reading } from "./reading.ts";

/** Reads a file of YAML documents, empty ones skipped. */
export function readYaml(text: string, reading: Reading): void {
  const lines = new LineCounter();
  const composer = new Composer({
    lineCounter: lines,
    prettyErrors: false,
    stringKeys: true,
    // The library compares each key with all before it: 25,000 keys cost 6 s. `repeatedKeys` does not.
    uniqueKeys: false,
  });
  for (const token of readTokens(text, lines, reading)) {
    for (const document of composer.next(token)) readDocument(document, lines, reading);
  }
  for (const document of composer.end(false, text.length)) readDocument(document, lines, reading);
}

/** The documents of a text as tokens, up to the first that is nested too deep. */
function* readTokens(text: string, lines: LineCounter, reading: Reading): Generator<CST.Token> {
  const parser = new Parser(lines.addNewLine);
  lines.addNewLine(0);
  for (const lexeme of new Lexer().lex(text)) {
    yield* parser.next(lexeme);
    if (parser.stack.length <= stackMax) continue;
    const wanted = `at most ${limits.nestingMax} levels`;
    reading.problem({
      code: "nesting-too-deep",
      ...positionAt(parser.offset - lexeme.length, lines),
      message: `Cannot read YAML: mappings and lists are nested deeper, expected ${wanted}`,
      wanted,
    });
    return;
  }
  yield* parser.end();
}

/** The parser's stack holds the document and the present scalar besides the collections. */
const stackMax = limits.nestingMax + 2;

function readDocument(document: YamlDocument.Parsed, lines: LineCounter, reading: Reading): void {
  const faults = [...document.errors, ...document.warnings];
  for (const fault of faults) {
    const message = `Cannot read YAML: ${sentence(fault.message)}`;
    reading.problem({ code: "syntax-wrong", ...positionAt(fault.pos[0], lines), message });
  }
  const { contents } = document;
  if (faults.length > 0 || contents === null) return;
  const repeated = repeatedKeys(contents);
  for (const key of repeated) {
    const found = JSON.stringify(key.value);
    const message = `Cannot read YAML: found the key ${found} again, expected each key once`;
    const position = positionAt(key.range?.[0] ?? 0, lines);
    reading.problem({ code: "syntax-wrong", ...position, message, found, wanted: "each key once" });
  }
  if (repeated.length > 0 || !hasFewAliases(contents, lines, reading)) return;
  if (isScalar(contents) && contents.value === null) return;
  const start = positionAt(contents.range[0], lines);
  const raw = valueOf(document, start, reading);
  if (raw === undefined) return;
  reading.document(raw, start.line, (path, atKey) => {
    const offset = offsetOf(document, path, atKey);
    return positionAt(offset ?? contents.range[0], lines);
  });
}

/** The keys that a mapping has already, of all mappings. */
function repeatedKeys(contents: Node): Scalar[] {
  const repeated: Scalar[] = [];
  visit(contents, {
    Map: (_key, map) => {
      const known = new Set<unknown>();
      for (const { key } of map.items) {
        if (!isScalar(key)) continue;
        if (known.has(key.value)) repeated.push(key);
        known.add(key.value);
      }
    },
  });
  return repeated;
}

/** Each alias is looked up among all anchors before it, so there may not be many. */
function hasFewAliases(contents: Node, lines: LineCounter, reading: Reading): boolean {
  let count = 0;
  visit(contents, {
    Alias: (_key, alias) => {
      count += 1;
      if (count <= limits.yamlAliasesMax) return undefined;
      const wanted = `at most ${limits.yamlAliasesMax} aliases in a document`;
      const message = `Cannot read YAML: there are more aliases, expected ${wanted}`;
      const position = positionAt(alias.range?.[0] ?? 0, lines);
      reading.problem({ code: "alias-refused", ...position, message, wanted });
      return visit.BREAK;
    },
  });
  return count <= limits.yamlAliasesMax;
}

function valueOf(document: YamlDocument.Parsed, start: Position, reading: Reading): unknown {
  try {
    return document.toJS({ maxAliasCount: limits.yamlExpansionMax });
  } catch (error) {
    const cause = error instanceof Error ? error.message : String(error);
    if (cause.startsWith("Excessive alias count")) {
      const wanted = `aliases that expand to at most ${limits.yamlExpansionMax} nodes each`;
      const message = `Cannot read YAML: its aliases expand to more, expected ${wanted}`;
      reading.problem({ code: "alias-refused", ...start, message, wanted });
    } else {
      const message = `Cannot read YAML: ${sentence(cause)}`;
      reading.problem({ code: "syntax-wrong", ...start, message });
    }
    return undefined;
  }
}

/** The offset of the value at a path, or of the name of its last field; else of its deepest part. */
function offsetOf(document: YamlDocument, path: Path, atKey: boolean): number | undefined {
  let node: unknown = document.contents;
  let offset = startOf(document.contents);
  for (const [index, step] of path.entries()) {
    if (isAlias(node)) node = node.resolve(document);
    const isLast = index === path.length - 1;
    if (isMap(node)) {
      const pair = node.items.find(({ key }) => isScalar(key) && key.value === String(step));
      if (pair === undefined) return offset;
      offset = (isLast && atKey ? undefined : startOf(pair.value)) ?? startOf(pair.key) ?? offset;
      node = pair.value;
    } else if (isSeq(node) && typeof step === "number") {
      node = node.items[step];
      offset = startOf(node) ?? offset;
    } else {
      return offset;
    }
  }
  return offset;
}

function startOf(node: unknown): number | undefined {
  const range: Range | null | undefined = isNodeLike(node) ? node.range : undefined;
  return range?.[0];
}

function isNodeLike(value: unknown): value is Pick<Node, "range"> {
  return typeof value === "object" && value !== null && "range" in value;
}

function positionAt(offset: number, lines: LineCounter): Position {
  const { line, col } = lines.linePos(Math.max(0, offset));
  return { line: Math.max(1, line), column: Math.max(1, col) };
}

/** A message of the library as a part of one of ours: its first line, without a full stop. */
function sentence(message: string): string {
  const [first = ""] = message.split("\n");
  return (first.charAt(0).toLowerCase() + first.slice(1)).replace(/[.:]$/, "");
}

/** A value as one YAML document. */
export function yamlText(value: unknown): string {
  return stringify(value, { lineWidth: 0 });
}
