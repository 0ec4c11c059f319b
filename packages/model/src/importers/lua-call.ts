// SPDX-License-Identifier: Apache-2.0
// The part of Lua that LUA records mostly are: one call of a function with texts, numbers and tables of these. Anything else is no such call.

export type LuaValue = string | number | boolean | LuaTable;

export interface LuaTable {
  readonly items: readonly LuaValue[];
  readonly fields: ReadonlyMap<string, LuaValue>;
}

export interface LuaCall {
  readonly name: string;
  readonly arguments: readonly LuaValue[];
}

const DEPTH_MAX = 8;

/** The one call that a text is, or undefined. */
export function readLuaCall(text: string): LuaCall | undefined {
  const reader = new LuaReader(text.replace(/^\s*;?\s*(?:return\s+)?/, ""));
  return reader.call();
}

class LuaReader {
  readonly #tokens: readonly string[];
  #at = 0;
  #failed = false;

  constructor(text: string) {
    this.#tokens = text.match(/'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|\d+(?:\.\d+)?|\w+|\S/g) ?? [];
  }

  call(): LuaCall | undefined {
    const name = this.#next();
    if (!/^[a-z]\w*$/i.test(name) || this.#next() !== "(") return undefined;
    const { items, fields } = this.#list(")", 0);
    while (this.#tokens[this.#at] === ";") this.#at += 1;
    const isWhole = !this.#failed && fields.size === 0 && this.#at === this.#tokens.length;
    return isWhole ? { name, arguments: items } : undefined;
  }

  #next(): string {
    const token = this.#tokens[this.#at] ?? "";
    this.#at += 1;
    return token;
  }

  #list(end: string, depth: number): LuaTable {
    const items: LuaValue[] = [];
    const fields = new Map<string, LuaValue>();
    while (!this.#failed) {
      const token = this.#next();
      if (token === end) break;
      if (token === "," || token === ";") continue;
      if (/^[a-z_]\w*$/i.test(token) && this.#tokens[this.#at] === "=") {
        this.#at += 1;
        fields.set(token, this.#value(this.#next(), depth));
      } else items.push(this.#value(token, depth));
    }
    return { items, fields };
  }

  #value(token: string, depth: number): LuaValue {
    if (token === "{" && depth < DEPTH_MAX) return this.#list("}", depth + 1);
    if (/^['"]/.test(token)) return token.slice(1, -1).replaceAll(/\\(.)/g, "$1");
    if (/^\d/.test(token)) return Number(token);
    if (token === "true" || token === "false") return token === "true";
    this.#failed = true;
    return "";
  }
}

/** A table of no items for anything else. */
export function tableOf(value: LuaValue | undefined): LuaTable {
  return typeof value === "object" ? value : { items: [], fields: new Map() };
}

/** The texts of a table. */
export function luaTexts(value: LuaValue | undefined): string[] {
  return tableOf(value).items.flatMap((item) => (typeof item === "string" ? [item] : []));
}
