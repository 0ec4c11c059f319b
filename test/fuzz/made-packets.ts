// SPDX-License-Identifier: Apache-2.0

// Packets that are nearly queries: names of the fuzzed zones and some beside them, every EDNS option with right and wrong content, records where
// none belong, and bytes that are changed at the end.

import { RRType } from "@meridian/dns";
import type { ServerCookies } from "@meridian/edge";
import { wire } from "../conformance/test-server.ts";
import type { Choices } from "./choices.ts";
import { fuzzModel } from "./seed-messages.ts";

const OPTION = { nsid: 3, subnet: 8, cookie: 10, keepalive: 11, padding: 12, error: 15 } as const;
const POINTER_TO_QUESTION = Uint8Array.of(0xc0, 12);
const TYPES = [
  RRType.A,
  ...[RRType.AAAA, RRType.HTTPS, RRType.SVCB, RRType.SRV, RRType.CNAME, RRType.DNAME, RRType.TXT],
  ...[RRType.NS, RRType.SOA, RRType.DS, RRType.DNSKEY, RRType.NSEC, RRType.RRSIG, RRType.ANY],
  ...[RRType.IXFR, RRType.AXFR, RRType.OPT, RRType.TSIG, 65_280],
] as const;

const owners = fuzzModel.zones.flatMap(({ origin, text, bound = [] }) => [
  origin,
  ...bound.map(({ owner }) => owner),
  ...[...text.matchAll(/^(\S+\.) /gm)].map(([, owner = origin]) => owner),
]);
/** Every owner of the fuzzed zones, and a name outside of them. */
const names = [...new Set(["example.org.", ...owners, "elsewhere.test.", "."])].map(wire);

/** Who asks, and what a server has given it. */
export interface Asker {
  readonly source: Uint8Array;
  readonly cookies: ServerCookies;
  readonly nowSeconds: number;
}

/** A packet, and what is known of it. */
export interface MadePacket {
  readonly bytes: Uint8Array;
  /** It may hold a cookie that was made for who asks. */
  readonly mayHaveCookie: boolean;
}

/** Makes one packet. */
export function madePacket(choices: Choices, asker: Asker): MadePacket {
  const flags = choices.isOneIn(8) ? choices.u16() : choices.of([0, 0x0100, 0x0110, 0x0020]);
  const name = madeName(choices);
  const questions = choices.isOneIn(16) ? choices.below(3) : 1;
  const type = choices.of(TYPES);
  const qclass = choices.isOneIn(12) ? choices.of([3, 255, 254, 0]) : 1;
  const question = Uint8Array.of(...name, type >> 8, type & 255, qclass >> 8, qclass);
  const sections = [0, 1, 2].map((section) =>
    Array.from({ length: choices.isOneIn(section === 2 ? 8 : 16) ? choices.below(3) : 0 }, () =>
      madeRecord(choices),
    ),
  );
  let mayHaveCookie = false;
  const opts = choices.isOneIn(4) ? choices.below(3) : 1;
  for (let count = 0; count < opts; count++) {
    const options = Array.from({ length: choices.below(4) }, () => {
      const option = madeOption(choices, asker);
      if (option[1] === OPTION.cookie) mayHaveCookie = true;
      return option;
    });
    sections[2]?.push(optRecord(choices, options));
  }
  const counts = [questions, ...sections.map(({ length }) => length)];
  if (choices.isOneIn(16)) counts[choices.below(4)] = choices.u16();
  const parts = [
    ...[choices.u16(), flags, ...counts].map((word) => Uint8Array.of(word >> 8, word)),
    ...Array.from({ length: questions }, () => question),
    ...sections.flat(),
  ];
  const bytes = Uint8Array.from(Buffer.concat(parts));
  return { bytes: damaged(choices, bytes), mayHaveCookie };
}

/** An owner, with labels before it and letters of any case. */
function madeName(choices: Choices): Uint8Array {
  let name = names[choices.below(Math.min(256, names.length))] ?? Uint8Array.of(0);
  for (let count = choices.isOneIn(3) ? choices.below(4) : 0; count > 0; count--) {
    const label = choices.of(["a", "*", "_branch", "why", "x.y", "\0", "ä", "-".repeat(63)]);
    const bytes = Buffer.from(label, "latin1");
    name = Uint8Array.of(bytes.length, ...bytes, ...name);
  }
  if (choices.isOneIn(4))
    for (let at = 0; at < name.length; at += 1 + (name[at] ?? 0))
      if (choices.isOneIn(2) && isLetter(name[at + 1])) name[at + 1] = (name[at + 1] ?? 0) ^ 0x20;
  return choices.isOneIn(24) ? choices.bytes(choices.below(12)) : name;
}

function isLetter(byte: number | undefined): boolean {
  return /[A-Za-z]/.test(String.fromCharCode(byte ?? 0));
}

function madeRecord(choices: Choices): Uint8Array {
  const type = choices.of([RRType.A, RRType.SOA, RRType.CNAME, RRType.OPT, RRType.TSIG, 65_280]);
  const soa = [...POINTER_TO_QUESTION, 0, ...choices.bytes(20)];
  const rdata = choices.of([Uint8Array.from(soa), new Uint8Array(4), choices.bytes(7)]);
  return Buffer.concat([
    choices.of([POINTER_TO_QUESTION, Uint8Array.of(0), madeName(choices)]),
    Uint8Array.of(type >> 8, type, choices.of([0, 0, 255]), choices.of([1, 255])),
    choices.bytes(4),
    Uint8Array.of(0, rdata.length),
    rdata,
  ]);
}

function optRecord(choices: Choices, options: readonly Uint8Array[]): Uint8Array {
  const data = Buffer.concat(options);
  const length = choices.isOneIn(24) ? choices.below(256) : data.length;
  const size = choices.of([1232, 512, 0, 4096, 65_535]);
  return Buffer.concat([
    choices.isOneIn(24) ? POINTER_TO_QUESTION : Uint8Array.of(0),
    Uint8Array.of(0, 41, size >> 8, size, choices.isOneIn(16) ? 1 : 0, choices.isOneIn(12) ? 1 : 0),
    Uint8Array.of(choices.of([0x80, 0, 0xc0, 0xff]), choices.of([0, 1])),
    Uint8Array.of(length >> 8, length),
    data,
  ]);
}

function madeOption(choices: Choices, asker: Asker): Uint8Array {
  const code = choices.of([OPTION.cookie, OPTION.subnet, ...Object.values(OPTION), 65_001]);
  const data = choices.isOneIn(12)
    ? choices.bytes(choices.below(40))
    : dataOf(code, choices, asker);
  const length = choices.isOneIn(32) ? choices.below(64) : data.length;
  return Uint8Array.of(code >> 8, code, length >> 8, length, ...data);
}

function dataOf(code: number, choices: Choices, asker: Asker): Uint8Array {
  switch (code) {
    case OPTION.subnet:
      return madeSubnet(choices);
    case OPTION.cookie:
      return madeCookie(choices, asker);
    case OPTION.padding:
      return new Uint8Array(choices.byte());
    case OPTION.keepalive:
      return new Uint8Array(choices.of([0, 2]));
    default:
      return choices.of([new Uint8Array(0), choices.bytes(3)]);
  }
}

/** RFC 7871 §6, and what is forbidden there. */
function madeSubnet(choices: Choices): Uint8Array {
  const family = choices.of([1, 2, 0, 3]);
  const source = choices.of([24, 32, 0, 20, 56, 48, 128, 129]);
  const scope = choices.isOneIn(12) ? choices.byte() : 0;
  const bytes = choices.bytes((source + 7) >> 3);
  const spare = bytes.length * 8 - source;
  if (spare > 0 && !choices.isOneIn(12))
    bytes[bytes.length - 1] = (bytes[bytes.length - 1] ?? 0) & (0xff << spare);
  return Uint8Array.of(0, family, source, scope, ...bytes);
}

/** A client's cookie alone, with the server's, with one that is too old or another's, or with anything. */
function madeCookie(choices: Choices, { source, cookies, nowSeconds }: Asker): Uint8Array {
  const client = choices.bytes(8);
  if (choices.isOneIn(3)) return client;
  const made = new Uint8Array(24);
  const from = choices.isOneIn(4) ? source.map((byte) => byte ^ 1) : source;
  const seconds = nowSeconds - choices.of([0, 100, 1801, 3601, -299, -301]);
  cookies.check(new Uint8Array(24), 0, 8, from, 0, 4, seconds);
  cookies.write(made, 0, client, 0, from, 0, from.length === 4 ? 4 : 6, seconds);
  if (choices.isOneIn(6)) made[choices.below(24)] = choices.byte();
  return choices.isOneIn(12) ? made.subarray(0, choices.below(24)) : made;
}

function damaged(choices: Choices, bytes: Uint8Array): Uint8Array {
  if (!choices.isOneIn(4)) return bytes;
  const copy = bytes.slice(0, choices.isOneIn(3) ? choices.below(256) : bytes.length);
  for (let count = choices.below(4); count > 0; count--) {
    const at = choices.u16() % Math.max(1, copy.length);
    copy[at] = (copy[at] ?? 0) ^ choices.byte();
  }
  return copy;
}
