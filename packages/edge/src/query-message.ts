// SPDX-License-Identifier: Apache-2.0

// The decode stage: a packet becomes positions and small integers, without a copy. The class keeps what the later stages need.

import type { QueryName } from "@meridian/snapshot";
import { EdnsQuery } from "./edns.ts";

/** What a packet is. */
export const Parsed = {
  query: 0,
  /** Not to be answered: too short for a header, or a response. */
  silent: 1,
  formErr: 2,
  notImp: 3,
  /** A well-formed question whose EDNS options are malformed: FORMERR with an OPT record. */
  ednsFormErr: 4,
  badVers: 5,
  /** No question, but a cookie: the client asks for ours alone (RFC 7873 §5.4). */
  cookie: 6,
  /** What would be a query but for its signature (RFC 8945). */
  signed: 7,
  /** A dynamic update (RFC 2136), not looked into. */
  update: 8,
} as const;

export const HEADER_BYTES = 12;
/** Records beyond the question that are looked at; ordinary queries have one or two (OPT, TSIG). */
const RECORDS_MAX = 16;
const OPCODE_UPDATE = 5;
const TYPE_OPT = 41;
const TYPE_TSIG = 250;
const TYPE_IXFR = 251;

/** A decoded query. Offsets are absolute in `input`. */
export class QueryMessage {
  readonly edns: EdnsQuery = new EdnsQuery();
  start: number = 0;
  opcode: number = 0;
  /** RD and CD as received: bits of the first flag word that a response copies. */
  copiedFlags: number = 0;
  type: number = 0;
  class: number = 0;
  /** End of the question; the header and it are echoed as they came (RFC 4343, 0x20). */
  questionEnd: number = 0;

  /** Decodes `input[start..start + length)`. Every byte is looked at no more than twice, whatever it says. */
  parse(input: Uint8Array, start: number, length: number, name: QueryName): number {
    this.start = start;
    this.edns.reset();
    this.questionEnd = start + HEADER_BYTES;
    if (length < HEADER_BYTES) return Parsed.silent;
    const high = input[start + 2]!;
    if ((high & 0x80) !== 0) return Parsed.silent;
    this.opcode = (high >>> 3) & 0xf;
    this.copiedFlags = ((high & 1) << 8) | (input[start + 3]! & 0x10);
    if (this.opcode !== 0) return this.opcode === OPCODE_UPDATE ? Parsed.update : Parsed.notImp;
    const end = start + length;
    // Exactly one question (RFC 9619 §4), or none for a cookie.
    if (u16(input, start + 4) !== 1) return this.#withoutQuestion(input, start, end);
    const nameEnd = name.set(input, start + HEADER_BYTES, end, HEADER_BYTES);
    if (nameEnd < 0 || nameEnd + 4 > end) return Parsed.formErr;
    this.type = u16(input, nameEnd);
    this.class = u16(input, nameEnd + 2);
    const questionEnd = nameEnd + 4;
    const parsed = this.#records(input, start, questionEnd, end);
    if (parsed !== Parsed.formErr) this.questionEnd = questionEnd;
    return parsed;
  }

  #withoutQuestion(input: Uint8Array, start: number, end: number): number {
    if (u16(input, start + 4) !== 0) return Parsed.formErr;
    this.type = 0;
    this.class = 0;
    const parsed = this.#records(input, start, start + HEADER_BYTES, end);
    if (parsed === Parsed.badVers) return parsed;
    return parsed === Parsed.query && this.edns.cookieBytes > 0 ? Parsed.cookie : Parsed.formErr;
  }

  /** Walks the records behind the question; only OPT matters. */
  #records(input: Uint8Array, start: number, questionEnd: number, end: number): number {
    const answers = u16(input, start + 6);
    const authorities = u16(input, start + 8);
    const additionals = u16(input, start + 10);
    if (answers + authorities + additionals === 0)
      return questionEnd === end ? Parsed.query : Parsed.formErr;
    // A query has no answers, and authority only to say which version an IXFR starts from (RFC 1995 §3).
    const authoritiesMax = this.type === TYPE_IXFR ? 1 : 0;
    if (answers !== 0 || authorities > authoritiesMax || additionals > RECORDS_MAX)
      return Parsed.formErr;
    let at = questionEnd;
    let optData = -1;
    let optEnd = 0;
    let isSigned = false;
    for (let record = 0; record < authorities + additionals; record++) {
      const owner = at;
      at = skipName(input, at, end);
      if (at < 0 || at + 10 > end) return Parsed.formErr;
      const dataEnd = at + 10 + u16(input, at + 8);
      if (dataEnd > end) return Parsed.formErr;
      if (u16(input, at) === TYPE_OPT) {
        // One OPT, at the root, in the additional section (RFC 6891 §6.1.1).
        if (optData >= 0 || at !== owner + 1 || record < authorities) return Parsed.formErr;
        this.edns.readFixed(input, at + 2);
        optData = at + 10;
        optEnd = dataEnd;
      } else if (u16(input, at) === TYPE_TSIG) {
        isSigned = true;
      }
      at = dataEnd;
    }
    if (at !== end) return Parsed.formErr;
    // Looked at first; what was signed is parsed then (RFC 8945 §5.2).
    if (isSigned) return Parsed.signed;
    if (optData < 0) return Parsed.query;
    if (this.edns.version !== 0) return Parsed.badVers;
    return this.edns.readOptions(input, optData, optEnd) ? Parsed.query : Parsed.ednsFormErr;
  }
}

function u16(bytes: Uint8Array, at: number): number {
  return (bytes[at]! << 8) | bytes[at + 1]!;
}

/** Offset behind the name at `at`, which may end in a pointer; -1 where it is malformed or cut off. */
function skipName(bytes: Uint8Array, at: number, end: number): number {
  let position = at;
  while (position < end) {
    const length = bytes[position]!;
    if (length === 0) return position + 1;
    if (length >= 0xc0) return position + 2 <= end ? position + 2 : -1;
    if (length > 63 || position - at > 255) return -1;
    position += length + 1;
  }
  return -1;
}
