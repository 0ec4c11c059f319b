// SPDX-License-Identifier: Apache-2.0
// Where in a JSON text something is. JSON.parse says it only in prose, and nothing of the places of
// what it accepts; this scanner is slow, so it runs only over texts in which something is wrong.
import { limits } from "./limits.ts";
import type { Path } from "./problem.ts";

/** What is wrong with a JSON text, and where. */
export interface JsonError {
  /** In UTF-16 units from the start. */
  readonly offset: number;
  readonly wanted: string;
  /** Whether the text is well-formed but nested too deep. */
  readonly isTooDeep: boolean;
}

/** The first thing that is wrong with a JSON text (RFC 8259), duplicate names included. */
export function findJsonError(text: string): JsonError | undefined {
  const scanner = new Scanner(text, undefined);
  scanner.run();
  return scanner.error;
}

/**
 * The offset of the value at a path of a JSON text, or of its name when `atKey`; where the path ends
 * early, that of its deepest part.
 */
export function locateInJson(text: string, path: Path, atKey: boolean): number {
  const scanner = new Scanner(text, path);
  scanner.run();
  return (atKey ? scanner.keyOffset : undefined) ?? scanner.valueOffset;
}

/** Where each item of a JSON text that is a list begins, in one pass; none where it is no list. */
export function itemOffsets(text: string): readonly number[] {
  const scanner = new Scanner(text, undefined);
  scanner.run();
  return scanner.itemOffsets;
}

class Scanner {
  readonly text: string;
  readonly wanted: Path | undefined;
  offset = 0;
  error: JsonError | undefined;
  valueOffset = 0;
  keyOffset: number | undefined;
  /** Of the items of the outermost list. */
  readonly itemOffsets: number[] = [];
  /** Steps of `wanted` that have matched, as long as the scan is inside them. */
  #matched = 0;

  constructor(text: string, wanted: Path | undefined) {
    this.text = text;
    this.wanted = wanted;
  }

  run(): void {
    this.#space();
    this.valueOffset = this.offset;
    if (!this.#value(0)) return;
    this.#space();
    if (this.offset < this.text.length) this.#fail("the end of the text");
  }

  /** Each of these returns whether the scan may go on. */
  #value(depth: number): boolean {
    if (depth > limits.nestingMax) return this.#fail(`at most ${limits.nestingMax} levels`, true);
    const character = this.text[this.offset];
    if (character === "{") return this.#object(depth);
    if (character === "[") return this.#array(depth);
    if (character === '"') return this.#string("a text") !== undefined;
    for (const form of [/true|false|null/y, /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y]) {
      form.lastIndex = this.offset;
      const match = form.exec(this.text);
      if (match !== null) {
        this.offset += match[0].length;
        return true;
      }
    }
    return this.#fail("a value");
  }

  #object(depth: number): boolean {
    this.offset += 1;
    this.#space();
    if (this.#take("}")) return true;
    const names = new Set<string>();
    for (;;) {
      this.#space();
      const nameOffset = this.offset;
      const name = this.#string("a name in double quotes");
      if (name === undefined) return false;
      if (names.has(name)) {
        this.offset = nameOffset;
        return this.#fail(`the name ${JSON.stringify(name)} once`);
      }
      names.add(name);
      this.#space();
      if (!this.#take(":")) return this.#fail('":"');
      if (!this.#step(name, nameOffset, depth)) return false;
      this.#space();
      if (this.#take("}")) return true;
      if (!this.#take(",")) return this.#fail('"," or "}"');
    }
  }

  #array(depth: number): boolean {
    this.offset += 1;
    this.#space();
    if (this.#take("]")) return true;
    for (let index = 0; ; index += 1) {
      if (depth === 0) {
        this.#space();
        this.itemOffsets.push(this.offset);
      }
      if (!this.#step(index, undefined, depth)) return false;
      this.#space();
      if (this.#take("]")) return true;
      if (!this.#take(",")) return this.#fail('"," or "]"');
    }
  }

  /** Scans the value of one name or index, noting where it is when it lies on the wanted path. */
  #step(step: string | number, keyOffset: number | undefined, depth: number): boolean {
    this.#space();
    const isOnPath = this.#matched === depth && this.wanted?.[depth] === step;
    if (!isOnPath) return this.#value(depth + 1);
    this.#matched = depth + 1;
    this.valueOffset = this.offset;
    this.keyOffset = depth + 1 === this.wanted?.length ? keyOffset : undefined;
    const result = this.#value(depth + 1);
    // Past the value of the path nothing can match any more.
    this.#matched = Number.POSITIVE_INFINITY;
    return result;
  }

  #string(wanted: string): string | undefined {
    const form = /"(?:[^"\\\u0000-\u001f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"/y;
    form.lastIndex = this.offset;
    const match = this.text[this.offset] === '"' ? form.exec(this.text) : null;
    if (match === null) {
      this.#fail(this.text[this.offset] === '"' ? `${wanted} that ends` : wanted);
      return undefined;
    }
    this.offset += match[0].length;
    return String(JSON.parse(match[0]));
  }

  #space(): void {
    while (" \t\r\n".includes(this.text[this.offset] ?? "x")) this.offset += 1;
  }

  #take(character: string): boolean {
    if (this.text[this.offset] !== character) return false;
    this.offset += 1;
    return true;
  }

  #fail(wanted: string, isTooDeep = false): false {
    this.error ??= { offset: this.offset, wanted, isTooDeep };
    return false;
  }
}
