// SPDX-License-Identifier: Apache-2.0

// A strict, bounded parser of one HTTP/1.1 answer (RFC 9112), fed with pieces as they arrive. It keeps only what a probe asks about:
// the status, where the body ends, the head of the body if wanted, one load header if wanted. Lines that lie within one piece
// are read where they are; only a line cut by a piece boundary is copied.
//
//   status line ─► header lines ─► body by length | chunks | until close ─► complete
//        ▲               │ 1xx
//        └───────────────┘
//
// Stricter than the RFC allows on purpose: lines end with CRLF, no folding, one Content-Length, no length beside chunks.

import {
  HTTP_BODY_WINDOW_BYTES,
  HTTP_DRAIN_BYTES_MAX,
  HTTP_HEAD_BYTES_MAX,
  HTTP_INTERIM_MAX,
} from "../../limits.ts";

/** What the parser is to look for. */
export interface ResponseInterest {
  /** The answer to HEAD has no body whatever its headers say. */
  readonly isHead: boolean;
  /** Keep the first 5,120 bytes of the body. */
  readonly body: boolean;
  /** Lower-case name of a header to keep, or "". */
  readonly header: string;
  /** Read to the end of the message, so that the connection can be used again. */
  readonly drain: boolean;
}

/** `more` bytes are wanted, everything of interest is there (`complete`), or the answer is not HTTP (`broken`). */
export type ResponseProgress = "more" | "complete" | "broken";

type Stage =
  | "status"
  | "header"
  | "sized"
  | "chunk-size"
  | "chunk"
  | "chunk-end"
  | "trailer"
  | "rest"
  | "complete"
  | "broken";

const lineFeed = 0x0a;
const carriageReturn = 0x0d;
const colon = 0x3a;
const space = 0x20;
const tab = 0x09;

const noBytes = new Uint8Array(0);

/** One answer at a time; `reset` makes it ready for the next. */
export class ResponseParser {
  /** Status of the final answer, 0 before it is known. */
  status: number;
  /** Why the answer is broken. */
  problem: string;
  /** Value of the header asked for. */
  headerValue: string;
  /** The message ended where it says, so its connection may be used again. */
  isReusable: boolean;
  /** Bytes of the body kept in `window`. */
  windowLength: number;
  /** Start of the body, where asked for. */
  window: Uint8Array;
  readonly #interest: ResponseInterest;
  #stage: Stage;
  #headBytes: number;
  #interimCount: number;
  #contentLength: number;
  #isChunked: boolean;
  #closes: boolean;
  #remaining: number;
  #bodyBytes: number;
  #carry: Uint8Array;
  #carryLength: number;

  constructor(interest: ResponseInterest) {
    this.#interest = interest;
    this.status = 0;
    this.problem = "";
    this.headerValue = "";
    this.isReusable = false;
    this.windowLength = 0;
    this.window = noBytes;
    this.#stage = "status";
    this.#headBytes = 0;
    this.#interimCount = 0;
    this.#contentLength = -1;
    this.#isChunked = false;
    this.#closes = false;
    this.#remaining = 0;
    this.#bodyBytes = 0;
    this.#carry = noBytes;
    this.#carryLength = 0;
  }

  /** Forgets the answer, keeps the buffers. */
  reset(): void {
    this.problem = "";
    this.isReusable = false;
    this.windowLength = 0;
    this.#headBytes = 0;
    this.#interimCount = 0;
    this.#bodyBytes = 0;
    this.#carryLength = 0;
    this.#startHead();
  }

  /** Whether not one byte has come. */
  get isUntouched(): boolean {
    return this.#headBytes === 0 && this.#carryLength === 0;
  }

  /** Whether the final headers are read and the body has begun. */
  get isInBody(): boolean {
    return this.#stage !== "status" && this.#stage !== "header";
  }

  /** Takes in `bytes[start..end)`. */
  push(bytes: Uint8Array, start: number, end: number): ResponseProgress {
    let at = start;
    while (at < end && this.#stage !== "complete" && this.#stage !== "broken") {
      switch (this.#stage) {
        case "status":
        case "header":
        case "chunk-size":
        case "chunk-end":
        case "trailer":
          at = this.#takeLine(bytes, at, end);
          break;
        case "sized":
        case "chunk":
        case "rest":
          at = this.#takeBody(bytes, at, end);
          break;
      }
    }
    return this.#progress();
  }

  /** The other side has closed the connection. */
  end(): ResponseProgress {
    if (this.#stage === "rest") this.#stage = "complete";
    else if (this.#stage !== "complete" && this.#stage !== "broken") {
      this.#break(this.isUntouched ? "closed without an answer" : "closed within the answer");
    }
    return this.#progress();
  }

  #progress(): ResponseProgress {
    if (this.#stage === "complete") return "complete";
    return this.#stage === "broken" ? "broken" : "more";
  }

  #break(problem: string): void {
    this.problem = problem;
    this.#stage = "broken";
  }

  #startHead(): void {
    this.status = 0;
    this.headerValue = "";
    this.#contentLength = -1;
    this.#isChunked = false;
    this.#closes = false;
    this.#stage = "status";
  }

  /** Finds the end of a line; hands the line over without its CRLF. */
  #takeLine(bytes: Uint8Array, at: number, length: number): number {
    const found = bytes.indexOf(lineFeed, at);
    const end = found === -1 || found >= length ? length : found + 1;
    this.#headBytes += end - at;
    if (this.#headBytes > HTTP_HEAD_BYTES_MAX) {
      this.#break(`headers are longer than ${HTTP_HEAD_BYTES_MAX} bytes`);
      return end;
    }
    if (end === found + 1 && this.#carryLength === 0) {
      this.#endLine(bytes, at, found);
      return end;
    }
    this.#keep(bytes, at, end);
    if (end === found + 1) {
      const lineLength = this.#carryLength - 1;
      this.#carryLength = 0;
      this.#endLine(this.#carry, 0, lineLength);
    }
    return end;
  }

  #keep(bytes: Uint8Array, at: number, end: number): void {
    const needed = this.#carryLength + end - at;
    if (needed > this.#carry.length) {
      const larger = new Uint8Array(Math.min(HTTP_HEAD_BYTES_MAX, Math.max(256, needed * 2)));
      larger.set(this.#carry.subarray(0, this.#carryLength));
      this.#carry = larger;
    }
    this.#carry.set(bytes.subarray(at, end), this.#carryLength);
    this.#carryLength = needed;
  }

  /** `bytes[start..lineFeedAt)` with its carriage return still on. */
  #endLine(bytes: Uint8Array, start: number, lineFeedAt: number): void {
    const end = lineFeedAt - 1;
    if (end < start || bytes[end] !== carriageReturn) {
      this.#break(this.#stage === "status" ? "answer is not HTTP" : "line does not end with CRLF");
      return;
    }
    switch (this.#stage) {
      case "status":
        this.#takeStatusLine(bytes, start, end);
        return;
      case "header":
        if (start === end) this.#endHead();
        else this.#takeHeader(bytes, start, end);
        return;
      case "chunk-size":
        this.#takeChunkSize(bytes, start, end);
        return;
      case "chunk-end":
        if (start === end) this.#stage = "chunk-size";
        else this.#break("chunk is longer than its size");
        return;
      case "trailer":
        if (start === end) this.#endMessage();
        return;
      default:
        return;
    }
  }

  /** `HTTP/1.x SP 3DIGIT [SP reason]` (RFC 9112 section 4). */
  #takeStatusLine(bytes: Uint8Array, start: number, end: number): void {
    const isHttp1 =
      end - start >= 12 &&
      bytes[start] === 0x48 &&
      bytes[start + 1] === 0x54 &&
      bytes[start + 2] === 0x54 &&
      bytes[start + 3] === 0x50 &&
      bytes[start + 4] === 0x2f &&
      bytes[start + 5] === 0x31 &&
      bytes[start + 6] === 0x2e &&
      bytes[start + 8] === space;
    const minor = digit(bytes[start + 7]);
    const status =
      digit(bytes[start + 9]) * 100 + digit(bytes[start + 10]) * 10 + digit(bytes[start + 11]);
    const ends = end - start === 12 || bytes[start + 12] === space;
    if (!isHttp1 || !ends || Number.isNaN(minor) || !(status >= 100 && status <= 599)) {
      this.#break("answer is not HTTP");
      return;
    }
    this.status = status;
    this.#closes = minor === 0;
    this.#stage = "header";
  }

  #takeHeader(bytes: Uint8Array, start: number, end: number): void {
    let nameEnd = start;
    while (nameEnd < end && isTokenByte(bytes[nameEnd] ?? 0)) nameEnd++;
    if (nameEnd === start || nameEnd === end || bytes[nameEnd] !== colon) {
      this.#break("header is malformed");
      return;
    }
    const nameLength = nameEnd - start;
    // Lengths first: almost every header is told from those of interest by this alone.
    if (nameLength === 14 && matches(bytes, start, "content-length")) {
      this.#takeContentLength(valueOf(bytes, nameEnd + 1, end));
    } else if (nameLength === 17 && matches(bytes, start, "transfer-encoding")) {
      const isChunked = valueOf(bytes, nameEnd + 1, end).toLowerCase() === "chunked";
      if (!isChunked || this.#isChunked) this.#break("transfer encoding is not chunked");
      this.#isChunked = true;
    } else if (nameLength === 10 && matches(bytes, start, "connection")) {
      if (valueOf(bytes, nameEnd + 1, end).toLowerCase() === "close") this.#closes = true;
    } else if (nameLength === this.#interest.header.length) {
      if (matches(bytes, start, this.#interest.header)) {
        this.headerValue = valueOf(bytes, nameEnd + 1, end);
      }
    }
  }

  #takeContentLength(value: string): void {
    const isNumber = /^[0-9]{1,15}$/.test(value);
    if (!isNumber || (this.#contentLength !== -1 && this.#contentLength !== Number(value))) {
      this.#break("content length is malformed");
      return;
    }
    this.#contentLength = Number(value);
  }

  /** RFC 9112 section 6.3: how long the body is. */
  #endHead(): void {
    if (this.status < 200) {
      if (this.status === 101) this.#break("answer switches protocols");
      else if (++this.#interimCount > HTTP_INTERIM_MAX) this.#break("too many interim answers");
      else this.#startHead();
      return;
    }
    if (this.#isChunked && this.#contentLength !== -1) {
      this.#break("both content length and chunks");
      return;
    }
    const isBare = this.#interest.isHead || this.status === 204 || this.status === 304;
    if (isBare || this.#contentLength === 0) this.#endMessage();
    else if (!this.#interest.body && !this.#interest.drain) this.#stage = "complete";
    else if (this.#isChunked) this.#stage = "chunk-size";
    else if (this.#contentLength === -1) this.#stage = "rest";
    else {
      this.#remaining = this.#contentLength;
      this.#stage = "sized";
    }
  }

  #endMessage(): void {
    this.isReusable = !this.#closes;
    this.#stage = "complete";
  }

  #takeChunkSize(bytes: Uint8Array, start: number, end: number): void {
    // Chunk lines count as body, not as head.
    this.#headBytes = 1;
    let size = 0;
    let at = start;
    for (; at < end && at - start < 8; at++) {
      const value = hexDigit(bytes[at] ?? 0);
      if (value === -1) break;
      size = size * 16 + value;
    }
    const next = bytes[at];
    const ends = at === end || next === 0x3b || next === space || next === tab;
    if (at === start || !ends) this.#break("chunk size is malformed");
    else if (size === 0) this.#stage = "trailer";
    else {
      this.#remaining = size;
      this.#stage = "chunk";
    }
  }

  #takeBody(bytes: Uint8Array, at: number, length: number): number {
    const sized = this.#stage !== "rest";
    const taken = sized ? Math.min(this.#remaining, length - at) : length - at;
    this.#bodyBytes += taken;
    if (this.#interest.body) this.#fillWindow(bytes, at, taken);
    if (sized) {
      this.#remaining -= taken;
      if (this.#remaining === 0) {
        if (this.#stage === "chunk") this.#stage = "chunk-end";
        else this.#endMessage();
      }
    }
    const windowDone = !this.#interest.body || this.windowLength === HTTP_BODY_WINDOW_BYTES;
    const drained = !this.#interest.drain || this.#bodyBytes > HTTP_DRAIN_BYTES_MAX;
    if (windowDone && drained) this.#stage = "complete";
    return at + taken;
  }

  #fillWindow(bytes: Uint8Array, at: number, taken: number): void {
    const kept = Math.min(taken, HTTP_BODY_WINDOW_BYTES - this.windowLength);
    if (kept <= 0) return;
    if (this.window.length === 0) this.window = new Uint8Array(HTTP_BODY_WINDOW_BYTES);
    this.window.set(bytes.subarray(at, at + kept), this.windowLength);
    this.windowLength += kept;
  }
}

function digit(byte: number | undefined): number {
  return byte !== undefined && byte >= 0x30 && byte <= 0x39 ? byte - 0x30 : Number.NaN;
}

function hexDigit(byte: number): number {
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30;
  const lower = byte | 0x20;
  return lower >= 0x61 && lower <= 0x66 ? lower - 0x57 : -1;
}

/** RFC 9110 section 5.6.2; 7-bit only. */
function isTokenByte(byte: number): boolean {
  if (byte >= 0x61 && byte <= 0x7a) return true;
  if (byte >= 0x41 && byte <= 0x5a) return true;
  if (byte >= 0x30 && byte <= 0x39) return true;
  if (byte === 0x2d || byte === 0x5f || byte === 0x2e || byte === 0x7e) return true;
  if (byte === 0x21 || byte === 0x7c || byte === 0x5e || byte === 0x60) return true;
  return (byte >= 0x23 && byte <= 0x27) || byte === 0x2a || byte === 0x2b;
}

/** Whether `bytes` at `start` are the lower-case `name`, in any case. */
function matches(bytes: Uint8Array, start: number, name: string): boolean {
  for (let index = 0; index < name.length; index++) {
    const byte = bytes[start + index] ?? 0;
    const lower = byte >= 0x41 && byte <= 0x5a ? byte | 0x20 : byte;
    if (lower !== name.charCodeAt(index)) return false;
  }
  return true;
}

/** Field value without the white space around it (RFC 9112 section 5.1). */
function valueOf(bytes: Uint8Array, start: number, end: number): string {
  let text = "";
  for (let at = start; at < end; at++) text += String.fromCharCode(bytes[at] ?? 0);
  return text.replace(/^[ \t]+|[ \t]+$/g, "");
}
