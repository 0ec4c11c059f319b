// SPDX-License-Identifier: Apache-2.0
//
// Master files (RFC 1035 §5, $TTL of RFC 2308 §4) to records. Lines of the plain kind go through
// MasterLine; everything else, mistakes above all, is cut into tokens and read here. A mistake
// costs its own entry only: parsing goes on, so that one run reports them all.

import { DnsLimits, RRType, classFromText, isMetaType, typeFromText } from "./constants.ts";
import { MasterLine } from "./master-line.ts";
import { expandTemplate, parseRange, rangeCount } from "./master-generate.ts";
import { readEntry, type Entry, type Token } from "./master-token.ts";
import { parseName } from "./name-text.ts";
import { parseRdata } from "./rdata.ts";
import { parseTtl } from "./text-field.ts";
import { textError, type TextError } from "./text-error.ts";

/** A mistake in a master file; line and column count from 1, the column in bytes. */
export interface MasterFileError {
  readonly file: string;
  readonly line: number;
  readonly column: number;
  /** A whole sentence with file, line and column. */
  readonly message: string;
  readonly found: string;
  readonly wanted: string;
}

/** Receives each record in order. `owner` and `rdata` may be kept; they are never changed. */
export type OnRecord = (
  owner: Uint8Array,
  type: number,
  ttl: number,
  rdata: Uint8Array,
  line: number,
  file: string,
) => void;

/** How to read a master file. */
export interface MasterFileOptions {
  /** What relative names are relative to before the first $ORIGIN. */
  readonly origin: Uint8Array;
  /** Seconds for records before the first $TTL that state no TTL; without it the SOA's minimum. */
  readonly defaultTtl?: number;
  /** Name for messages, and what `include` gets as `fromFile`. */
  readonly fileName: string;
  /** Content of an included file; what it throws becomes an error. Without it $INCLUDE is refused. */
  readonly include?: (path: string, fromFile: string) => Uint8Array | string;
  readonly onRecord: OnRecord;
}

/** Bounds of one run. */
export const MasterFileLimits = {
  errorsMax: 100,
  includeDepthMax: 8,
  includesMax: 1024,
  /** Records that all $GENERATE of a run make together. */
  generatedMax: 1_048_576,
} as const;

const SOA_MINIMUM_BYTES = 4;

/** Reads a whole master file; returns its mistakes, at most 100 (reading stops there). */
export function parseMasterFile(
  source: Uint8Array | string,
  options: MasterFileOptions,
): MasterFileError[] {
  const parser = new MasterFileParser(options);
  parser.parse(source, options.fileName, options.origin, 0);
  return parser.errors;
}

/** Where in which file the parser is; one for each level of $INCLUDE. */
interface Place {
  readonly bytes: Uint8Array;
  readonly file: string;
  readonly depth: number;
  origin: Uint8Array;
  owner: Uint8Array | undefined;
}

/** TTL, class and type in front of the data, and the index of the first field of the data. */
interface Head {
  readonly type: number;
  readonly ttl: number | undefined;
  readonly dataIndex: number;
}

class MasterFileParser {
  readonly errors: MasterFileError[];
  readonly #options: MasterFileOptions;
  readonly #line: MasterLine;
  /** From $TTL; stays in force after an $INCLUDE that sets it, as in BIND. */
  #directiveTtl: number | undefined;
  #lastTtl: number | undefined;
  #includes: number;
  #generated: number;

  constructor(options: MasterFileOptions) {
    this.errors = [];
    this.#options = options;
    this.#line = new MasterLine();
    this.#directiveTtl = undefined;
    this.#lastTtl = undefined;
    this.#includes = 0;
    this.#generated = 0;
  }

  parse(source: Uint8Array | string, file: string, origin: Uint8Array, depth: number): void {
    const bytes = typeof source === "string" ? new TextEncoder().encode(source) : source;
    const place: Place = { bytes, file, depth, origin, owner: undefined };
    let at = startsWithByteOrderMark(bytes) ? 3 : 0;
    let line = 1;
    while (at < bytes.length && this.errors.length < MasterFileLimits.errorsMax) {
      const next = this.#plainLine(place, at, line);
      if (next >= 0) {
        at = next;
        line++;
        continue;
      }
      const entry = readEntry(bytes, at, line);
      this.#entry(place, entry);
      at = entry.next;
      line = entry.nextLine;
    }
  }

  /** Takes the line by the fast path; -1 if it has to be read as an entry. */
  #plainLine(place: Place, at: number, line: number): number {
    const plain = this.#line;
    const next = plain.read(place.bytes, at, place.origin);
    const owner = plain.owner ?? place.owner;
    const ttl = plain.ttl >= 0 ? plain.ttl : this.#impliedTtl();
    if (next < 0 || owner === undefined || ttl === undefined) {
      return -1;
    }
    if (plain.ttl >= 0) {
      this.#lastTtl = plain.ttl;
    }
    place.owner = owner;
    this.#options.onRecord(owner, plain.type, ttl, plain.rdata, line, place.file);
    return next;
  }

  #impliedTtl(): number | undefined {
    return this.#directiveTtl ?? this.#lastTtl ?? this.#options.defaultTtl;
  }

  #entry(place: Place, entry: Entry): void {
    if (entry.fault !== undefined) {
      // Whose the lines after it would be is unknown, unless this one continues an owner.
      place.owner = entry.startsBlank ? place.owner : undefined;
      const { at, what, wanted } = entry.fault;
      this.#report(place, at, textError(what, tokenText(place.bytes, at), wanted));
      return;
    }
    const first = entry.tokens[0];
    if (first === undefined) {
      return;
    }
    if (!entry.startsBlank && place.bytes[first.start] === 0x24) {
      this.#directive(place, entry.tokens);
    } else {
      this.#record(place, entry);
    }
  }

  #directive(place: Place, tokens: readonly Token[]): void {
    const [first, ...rest] = tokens;
    if (first === undefined) {
      return;
    }
    const word = tokenText(place.bytes, first).toUpperCase();
    switch (word) {
      case "$ORIGIN":
        return this.#originDirective(place, first, rest);
      case "$TTL":
        return this.#ttlDirective(place, first, rest);
      case "$INCLUDE":
        return this.#includeDirective(place, first, rest);
      case "$GENERATE":
        return this.#generateDirective(place, first, rest);
      default:
        return this.#report(
          place,
          first,
          textError(
            "directive",
            tokenText(place.bytes, first),
            "$ORIGIN, $TTL, $INCLUDE or $GENERATE",
          ),
        );
    }
  }

  #originDirective(place: Place, first: Token, rest: readonly Token[]): void {
    const token = this.#only(place, first, rest, "a domain name");
    const origin = token === undefined ? undefined : this.#name(place, token);
    place.origin = origin ?? place.origin;
  }

  #ttlDirective(place: Place, first: Token, rest: readonly Token[]): void {
    const token = this.#only(place, first, rest, "a TTL");
    if (token !== undefined) {
      this.#directiveTtl = this.#ttl(place, token) ?? this.#directiveTtl;
    }
  }

  #includeDirective(place: Place, first: Token, rest: readonly Token[]): void {
    const [pathToken, originToken, extra] = rest;
    if (pathToken === undefined || extra !== undefined) {
      const found = tokensText(place.bytes, rest);
      const at = extra ?? first;
      return this.#report(place, at, textError("$INCLUDE", found, "a path and perhaps an origin"));
    }
    const origin = originToken === undefined ? place.origin : this.#name(place, originToken);
    const path = tokenText(place.bytes, pathToken).replaceAll('"', "");
    const source = this.#includedSource(place, pathToken, path);
    if (source !== undefined && origin !== undefined) {
      this.parse(source, path, origin, place.depth + 1);
    }
  }

  #includedSource(place: Place, token: Token, path: string): Uint8Array | string | undefined {
    const include = this.#options.include;
    if (include === undefined) {
      this.#report(place, token, textError("$INCLUDE", path, "no $INCLUDE here"));
      return undefined;
    }
    if (place.depth >= MasterFileLimits.includeDepthMax) {
      const wanted = `at most ${MasterFileLimits.includeDepthMax} files inside one another`;
      this.#report(place, token, textError("$INCLUDE", path, wanted));
      return undefined;
    }
    if (this.#includes >= MasterFileLimits.includesMax) {
      const wanted = `at most ${MasterFileLimits.includesMax} files in all`;
      this.#report(place, token, textError("$INCLUDE", path, wanted));
      return undefined;
    }
    this.#includes++;
    try {
      return include(path, place.file);
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      const wanted = `a file that can be read (${reason})`;
      this.#report(place, token, textError("$INCLUDE", path, wanted));
      return undefined;
    }
  }

  /** Reads each record that the directive stands for; after the first mistake, which the others would repeat, it is left. */
  #generateDirective(place: Place, first: Token, rest: readonly Token[]): void {
    const [rangeToken, ...templateTokens] = rest;
    const range = parseRange(rangeToken === undefined ? "" : tokenText(place.bytes, rangeToken));
    if (range === undefined || templateTokens.length === 0) {
      const found = tokensText(place.bytes, rest);
      const wanted = "START-STOP or START-STOP/STEP, and a record in which $ is the number";
      return this.#report(place, rangeToken ?? first, textError("$GENERATE", found, wanted));
    }
    this.#generated += rangeCount(range);
    if (this.#generated > MasterFileLimits.generatedMax) {
      const wanted = `at most ${MasterFileLimits.generatedMax} records in all`;
      const found = String(this.#generated);
      return this.#report(place, first, textError("$GENERATE", found, wanted));
    }
    const template = tokensText(place.bytes, templateTokens);
    const mistakes = this.errors.length;
    for (let number = range.start; number <= range.stop; number += range.step) {
      const text = expandTemplate(template, number);
      if (text === undefined) {
        const wanted = "$, ${OFFSET}, ${OFFSET,WIDTH} or ${OFFSET,WIDTH,BASE}";
        return this.#report(place, first, textError("$GENERATE", template, wanted));
      }
      const bytes = new TextEncoder().encode(text);
      // A place of its own: the generated text is neither the file's nor an owner for its next line.
      this.#record({ ...place, bytes }, readEntry(bytes, 0, first.line));
      if (this.errors.length > mistakes) return;
    }
  }

  /** The one token a directive takes; undefined after reporting that there is none, or more. */
  #only(place: Place, first: Token, rest: readonly Token[], wanted: string): Token | undefined {
    const [token, extra] = rest;
    if (token === undefined || extra !== undefined) {
      const what = tokenText(place.bytes, first).toUpperCase();
      const found = tokensText(place.bytes, rest);
      this.#report(place, extra ?? first, textError(what, found, wanted));
      return undefined;
    }
    return token;
  }

  #record(place: Place, entry: Entry): void {
    const { tokens } = entry;
    const [first] = tokens;
    if (first === undefined || !this.#owner(place, entry, first)) {
      return;
    }
    const owner = place.owner;
    const head = this.#head(place, tokens, entry.startsBlank ? 0 : 1);
    if (head === undefined || owner === undefined) {
      return;
    }
    const dataTokens = tokens.slice(head.dataIndex);
    const fields = dataTokens.map((token) => tokenText(place.bytes, token));
    const result = parseRdata(head.type, fields, place.origin);
    if ("error" in result) {
      const at = dataTokens[result.field ?? 0] ?? tokens.at(-1) ?? first;
      return this.#report(place, at, result);
    }
    const ttl = head.ttl ?? this.#impliedTtl() ?? soaMinimum(head.type, result.rdata);
    if (ttl === undefined) {
      return this.#report(place, first, textError("TTL", "", "a TTL here or $TTL before"));
    }
    if (head.ttl !== undefined || this.#impliedTtl() === undefined) {
      this.#lastTtl = ttl;
    }
    this.#options.onRecord(owner, head.type, ttl, result.rdata, first.line, place.file);
  }

  /** Sets the owner of the entry; false after reporting that there is none. */
  #owner(place: Place, entry: Entry, first: Token): boolean {
    if (!entry.startsBlank) {
      // A line whose owner is wrong must not leave its followers to the owner before it.
      place.owner = this.#name(place, first);
    } else if (place.owner === undefined && this.errors.length === 0) {
      this.#report(place, first, textError("owner", "", "a name in the first column"));
    }
    return place.owner !== undefined;
  }

  /** Reads TTL and class, in either order, and the type. */
  #head(place: Place, tokens: readonly Token[], start: number): Head | undefined {
    let ttl: number | undefined;
    let classSeen = false;
    for (let i = start; i < tokens.length; i++) {
      const token = tokens[i]!;
      const text = tokenText(place.bytes, token);
      if (ttl === undefined && /^[0-9]/.test(text)) {
        ttl = this.#ttl(place, token);
        if (ttl === undefined) {
          return undefined;
        }
      } else if (!classSeen && classFromText(text) !== undefined && !/^ANY$/i.test(text)) {
        classSeen = true;
        if (classFromText(text) !== 1) {
          this.#report(place, token, textError("class", text, "IN"));
          return undefined;
        }
      } else {
        return this.#type(place, token, text, { ttl, dataIndex: i + 1 });
      }
    }
    const last = tokens.at(-1);
    if (last !== undefined) {
      const found = tokensText(place.bytes, tokens);
      this.#report(place, last, textError("record", found, "a type and data"));
    }
    return undefined;
  }

  #type(place: Place, token: Token, text: string, head: Omit<Head, "type">): Head | undefined {
    const type = typeFromText(text);
    if (type === undefined || isMetaType(type)) {
      this.#report(
        place,
        token,
        textError("type", text, "a record type such as A, MX or TYPE65280"),
      );
      return undefined;
    }
    return { type, ...head };
  }

  #ttl(place: Place, token: Token): number | undefined {
    const text = tokenText(place.bytes, token);
    const ttl = parseTtl(text, DnsLimits.ttlSecondsMax);
    if (ttl === undefined) {
      const wanted = `0..${DnsLimits.ttlSecondsMax} seconds or a duration such as 1h30m`;
      this.#report(place, token, textError("TTL", text, wanted));
    }
    return ttl;
  }

  #name(place: Place, token: Token): Uint8Array | undefined {
    const name = parseName(tokenText(place.bytes, token), place.origin);
    if (name instanceof Uint8Array) {
      return name;
    }
    this.#report(place, token, name);
    return undefined;
  }

  #report(place: Place, at: Token, fault: TextError): void {
    if (this.errors.length < MasterFileLimits.errorsMax) {
      const { line, column } = at;
      const message = `Cannot read ${place.file}:${line}:${column}: ${fault.error}`;
      const { found, wanted } = fault;
      this.errors.push({ file: place.file, line, column, message, found, wanted });
    }
  }
}

/** RFC 1035 files without any TTL: the SOA's minimum serves, as in BIND. */
function soaMinimum(type: number, rdata: Uint8Array): number | undefined {
  if (type !== RRType.SOA) {
    return undefined;
  }
  const view = new DataView(rdata.buffer, rdata.byteOffset, rdata.length);
  return view.getUint32(rdata.length - SOA_MINIMUM_BYTES) & DnsLimits.ttlSecondsMax;
}

/** A token as text; bytes above 127 as `\DDD`, so that what is not UTF-8 survives too. */
function tokenText(bytes: Uint8Array, token: Token): string {
  let text = "";
  for (let at = token.start; at < token.end; at++) {
    const byte = bytes[at]!;
    text += byte < 0x80 ? String.fromCharCode(byte) : `\\${byte}`;
  }
  return text;
}

function tokensText(bytes: Uint8Array, tokens: readonly Token[]): string {
  return tokens.map((token) => tokenText(bytes, token)).join(" ");
}

function startsWithByteOrderMark(bytes: Uint8Array): boolean {
  return bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf;
}
