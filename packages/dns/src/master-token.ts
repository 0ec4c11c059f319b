// SPDX-License-Identifier: Apache-2.0
//
// Tokens of a master file (RFC 1035 §5.1). An entry is a line, or several if parentheses span them.
// A token is kept as its byte range, quotes and escapes included; comments and line ends inside
// parentheses vanish. A quote that is still open at the end of its line ends there, as an error:
// otherwise one forgotten quote would swallow the rest of the file.

/** A token with its place; line and column count from 1, the column in bytes. */
export interface Token {
  readonly start: number;
  readonly end: number;
  readonly line: number;
  readonly column: number;
}

/** What is wrong with the structure of an entry, and where. */
export interface TokenFault {
  readonly at: Token;
  readonly what: string;
  readonly wanted: string;
}

/** An entry cut into tokens. */
export interface Entry {
  readonly tokens: readonly Token[];
  /** True if the first line starts with a blank: the owner is the last one stated. */
  readonly startsBlank: boolean;
  /** Offset and line number of what follows. */
  readonly next: number;
  readonly nextLine: number;
  readonly fault: TokenFault | undefined;
}

/** Tokens in one entry; the largest rdata as single hexadecimal bytes stays below. */
export const ENTRY_TOKENS_MAX = 65_600;

/** Bytes of one token; the longest rdata with every byte as `\DDD`, and its quotes, stays below. */
export const TOKEN_BYTES_MAX = 262_400;

const FAULT_BYTES_SHOWN = 100;

const TAB = 0x09;
const LINE_FEED = 0x0a;
const CARRIAGE_RETURN = 0x0d;
const SPACE = 0x20;
const QUOTE = 0x22;
const OPEN = 0x28;
const CLOSE = 0x29;
const SEMICOLON = 0x3b;
const BACKSLASH = 0x5c;

/** True for space, tab and carriage return (so that CR LF ends lines too). */
export function isBlank(byte: number | undefined): boolean {
  return byte === SPACE || byte === TAB || byte === CARRIAGE_RETURN;
}

/** Cuts the entry that starts at `start`, the beginning of line `line`. Linear in its length. */
export function readEntry(bytes: Uint8Array, start: number, line: number): Entry {
  const reader = new EntryReader(bytes, start, line);
  return reader.read();
}

class EntryReader {
  readonly #bytes: Uint8Array;
  readonly #start: number;
  readonly #tokens: Token[];
  #at: number;
  #line: number;
  #lineStart: number;
  #openAt: Token | undefined;
  #depth: number;
  #fault: TokenFault | undefined;

  constructor(bytes: Uint8Array, start: number, line: number) {
    this.#bytes = bytes;
    this.#start = start;
    this.#tokens = [];
    this.#at = start;
    this.#line = line;
    this.#lineStart = start;
    this.#openAt = undefined;
    this.#depth = 0;
    this.#fault = undefined;
  }

  read(): Entry {
    const bytes = this.#bytes;
    while (this.#at < bytes.length) {
      const byte = bytes[this.#at]!;
      if (byte === LINE_FEED) {
        this.#newLine();
        if (this.#depth === 0) {
          break;
        }
      } else if (isBlank(byte)) {
        this.#at++;
      } else if (byte === SEMICOLON) {
        this.#skipComment();
      } else if (byte === OPEN || byte === CLOSE) {
        this.#parenthesis(byte);
      } else {
        this.#token();
      }
    }
    if (this.#depth > 0 && this.#openAt !== undefined) {
      this.#fail(this.#openAt, "parenthesis", "a closing parenthesis before the end of the file");
    }
    return {
      tokens: this.#tokens,
      startsBlank: isBlank(bytes[this.#start]),
      next: this.#at,
      nextLine: this.#line,
      fault: this.#fault,
    };
  }

  #newLine(): void {
    this.#at++;
    this.#line++;
    this.#lineStart = this.#at;
  }

  #skipComment(): void {
    const end = this.#bytes.indexOf(LINE_FEED, this.#at);
    this.#at = end < 0 ? this.#bytes.length : end;
  }

  #parenthesis(byte: number): void {
    const token = this.#place(this.#at, this.#at + 1);
    this.#at++;
    if (byte === OPEN) {
      this.#openAt ??= token;
      this.#depth++;
    } else if (this.#depth === 0) {
      this.#fail(token, "parenthesis", "an opening parenthesis before it");
    } else {
      this.#depth--;
    }
  }

  #token(): void {
    const bytes = this.#bytes;
    const start = this.#at;
    let at = start;
    let quoted = false;
    while (at < bytes.length && bytes[at] !== LINE_FEED) {
      const byte = bytes[at]!;
      if (byte === BACKSLASH && at + 1 < bytes.length && bytes[at + 1] !== LINE_FEED) {
        at += 2;
        continue;
      }
      if (byte === QUOTE) {
        quoted = !quoted;
      } else if (!quoted && endsToken(byte)) {
        break;
      }
      at++;
    }
    this.#at = at;
    const token = this.#place(start, at);
    if (quoted) {
      this.#fail(token, "text", "a closing quote on the same line");
    }
    if (at - start > TOKEN_BYTES_MAX) {
      this.#fail(token, "field", `at most ${TOKEN_BYTES_MAX} bytes`);
    } else if (this.#tokens.length < ENTRY_TOKENS_MAX) {
      this.#tokens.push(token);
    } else {
      this.#fail(token, "entry", `at most ${ENTRY_TOKENS_MAX} fields`);
    }
  }

  #place(start: number, end: number): Token {
    return { start, end, line: this.#line, column: start - this.#lineStart + 1 };
  }

  #fail(at: Token, what: string, wanted: string): void {
    // A faulty token may be as long as the file: its beginning is enough for the message.
    const shown = { ...at, end: Math.min(at.end, at.start + FAULT_BYTES_SHOWN) };
    this.#fault ??= { at: shown, what, wanted };
  }
}

function endsToken(byte: number): boolean {
  return isBlank(byte) || byte === SEMICOLON || byte === OPEN || byte === CLOSE;
}
