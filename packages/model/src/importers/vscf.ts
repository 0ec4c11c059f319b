// SPDX-License-Identifier: Apache-2.0
// The configuration language of gdnsd: texts, lists in brackets, and hashes in braces, whose pairs are `key => value`; the file itself is a hash.

/** A value with the line where it begins. */
export type VscfValue = VscfText | VscfList | VscfHash;

export interface VscfText {
  readonly kind: "text";
  readonly line: number;
  readonly text: string;
}

export interface VscfList {
  readonly kind: "list";
  readonly line: number;
  readonly items: readonly VscfValue[];
}

export interface VscfHash {
  readonly kind: "hash";
  readonly line: number;
  readonly entries: ReadonlyMap<string, VscfValue>;
}

const DEPTH_MAX = 32;

/** The hash that a configuration is, or a sentence with the line of the first mistake. */
export function readVscf(text: string, file: string): VscfHash | string {
  const reader = new VscfReader(text);
  try {
    return reader.hash(1, undefined, 0);
  } catch (error) {
    return `Cannot read ${file}:${reader.line}: ${error instanceof Error ? error.message : String(error)}`;
  }
}

/** A hash without entries, for what is not there. */
export const emptyHash: VscfHash = { kind: "hash", line: 1, entries: new Map() };

/** The hash of a name, empty where there is none. */
export function hashAt(hash: VscfHash, name: string): VscfHash {
  const value = hash.entries.get(name);
  return value?.kind === "hash" ? value : emptyHash;
}

/** The text of a name. */
export function textAt(hash: VscfHash, name: string): string | undefined {
  const value = hash.entries.get(name);
  return value?.kind === "text" ? value.text : undefined;
}

/** A list of texts, of which one alone needs no brackets. */
export function textsOf(value: VscfValue | undefined): string[] {
  if (value?.kind === "text") return [value.text];
  if (value?.kind !== "list") return [];
  return value.items.flatMap((item) => (item.kind === "text" ? [item.text] : []));
}

class VscfReader {
  readonly #lexemes: readonly {
    readonly text: string;
    readonly line: number;
    readonly isText: boolean;
  }[];
  #at = 0;

  constructor(text: string) {
    this.#lexemes = lexemesOf(text);
  }

  get line(): number {
    return (this.#lexemes[this.#at] ?? this.#lexemes.at(-1))?.line ?? 1;
  }

  hash(line: number, end: string | undefined, depth: number): VscfHash {
    const entries = new Map<string, VscfValue>();
    while (!this.#takes(end)) {
      if (this.#takes(",") || this.#takes(";")) continue;
      const key = this.#lexemes[this.#at];
      if (key?.isText !== true) throw new Error(`"${key?.text ?? ""}" is no key`);
      this.#at += 1;
      if (!this.#takes("=>") && !this.#takes("="))
        throw new Error(`"=>" is missing after "${key.text}"`);
      entries.set(key.text, this.#value(depth + 1));
    }
    return { kind: "hash", line, entries };
  }

  #value(depth: number): VscfValue {
    const next = this.#lexemes[this.#at];
    if (next === undefined || depth > DEPTH_MAX) throw new Error("a value is missing, or too deep");
    this.#at += 1;
    const { line, text, isText } = next;
    if (isText) return { kind: "text", line, text };
    if (text === "{") return this.hash(line, "}", depth);
    if (text !== "[") throw new Error(`"${text}" is no value`);
    const items: VscfValue[] = [];
    while (!this.#takes("]")) {
      if (!this.#takes(",") && !this.#takes(";")) items.push(this.#value(depth + 1));
    }
    return { kind: "list", line, items };
  }

  /** Goes past a mark; without one, past the end of the text. */
  #takes(mark: string | undefined): boolean {
    const next = this.#lexemes[this.#at];
    if (mark === undefined) return next === undefined;
    if (next === undefined || next.isText || next.text !== mark) return false;
    this.#at += 1;
    return true;
  }
}

function lexemesOf(text: string): { text: string; line: number; isText: boolean }[] {
  const pattern = /#[^\n]*|"((?:[^"\\]|\\[\s\S])*)"|=>|[[\]{}=,;]|[^\s[\]{}=,;"#]+|\n/g;
  const lexemes: { text: string; line: number; isText: boolean }[] = [];
  let line = 1;
  for (const [found, quoted] of text.matchAll(pattern)) {
    const isMark = /^(?:=>|[[\]{}=,;])$/.test(found);
    if (!found.startsWith("#") && found !== "\n")
      lexemes.push({
        text: quoted?.replaceAll(/\\([\s\S])/g, "$1") ?? found,
        line,
        isText: quoted !== undefined || !isMark,
      });
    line += found.split("\n").length - 1;
  }
  return lexemes;
}
