// SPDX-License-Identifier: Apache-2.0
//
// A DNS message as objects, for clients, probes and tests. The edge's query path does not use it:
// that one works on bytes in place.

import { Rcode } from "./constants.ts";

/** Header bits other than the operation and response codes (RFC 1035 §4.1.1, RFC 4035 §3). */
export interface HeaderFlags {
  readonly qr: boolean;
  readonly aa: boolean;
  readonly tc: boolean;
  readonly rd: boolean;
  readonly ra: boolean;
  readonly z: boolean;
  readonly ad: boolean;
  readonly cd: boolean;
}

/** One entry of the question section; `name` in wire form as received. */
export interface Question {
  readonly name: Uint8Array;
  readonly type: number;
  readonly class: number;
}

/** A record; `owner` and the names in `rdata` are uncompressed. `ttl` is 0..2^32−1 as received. */
export interface ResourceRecord {
  readonly owner: Uint8Array;
  readonly type: number;
  readonly class: number;
  readonly ttl: number;
  readonly rdata: Uint8Array;
}

/** An EDNS option, its contents not interpreted. */
export interface EdnsOption {
  readonly code: number;
  readonly data: Uint8Array;
}

/** The OPT pseudo record (RFC 6891 §6.1); `extendedRcode` holds the upper eight bits of the rcode. */
export interface Edns {
  readonly udpSize: number;
  readonly version: number;
  readonly do: boolean;
  readonly extendedRcode: number;
  readonly options: readonly EdnsOption[];
}

/** A whole message. The OPT record is in `edns`, not in `additional`. */
export interface Message {
  readonly id: number;
  readonly opcode: number;
  /** The four bits of the header; see fullRcode. */
  readonly rcode: number;
  readonly flags: HeaderFlags;
  readonly question: readonly Question[];
  readonly answer: readonly ResourceRecord[];
  readonly authority: readonly ResourceRecord[];
  readonly additional: readonly ResourceRecord[];
  readonly edns?: Edns;
}

/** Why bytes are not a message, and at which offset that was noticed. */
export interface DecodeError {
  readonly error: string;
  readonly offset: number;
}

/** Flags that are all off. */
export const noFlags: HeaderFlags = {
  qr: false,
  aa: false,
  tc: false,
  rd: false,
  ra: false,
  z: false,
  ad: false,
  cd: false,
};

/** The response code with the bits that EDNS adds, 0..4095. */
export function fullRcode(message: Message): number {
  return ((message.edns?.extendedRcode ?? 0) << 4) | message.rcode;
}

/** What a query may say besides its question. */
export interface QueryOptions {
  readonly id?: number;
  readonly class?: number;
  readonly rd?: boolean;
  readonly edns?: Partial<Edns>;
}

/** A query of one question with RD off; EDNS only if `edns` is given (1232 bytes, version 0). */
export function makeQuery(name: Uint8Array, type: number, options: QueryOptions = {}): Message {
  const message: Message = {
    id: options.id ?? 0,
    opcode: 0,
    rcode: Rcode.NOERROR,
    flags: { ...noFlags, rd: options.rd ?? false },
    question: [{ name, type, class: options.class ?? 1 }],
    answer: [],
    authority: [],
    additional: [],
  };
  if (options.edns === undefined) {
    return message;
  }
  const defaults: Edns = { udpSize: 1232, version: 0, do: false, extendedRcode: 0, options: [] };
  return { ...message, edns: { ...defaults, ...options.edns } };
}
