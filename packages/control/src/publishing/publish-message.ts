// SPDX-License-Identifier: Apache-2.0

// The updates (RFC 2136) by which another server is told what is decided of a name. Nothing of anybody else's is touched: a name is ours
// where a TXT record beside it says so, and each update has that for its prerequisite, so that it holds when it is done.
//
//   ours   the mark is there        ─► the sets of the name are replaced
//   new    no mark, and no set      ─► the mark and the sets are added
//   gone   the mark is there        ─► the sets and the mark go

import {
  Opcode,
  RRClass,
  RRType,
  makeQuery,
  type Message,
  type ResourceRecord,
} from "@meridian/dns";

/** What is decided of a name: records of the types that a Record can answer. */
export interface DecidedName {
  /** In wire form. */
  readonly name: Uint8Array;
  readonly records: readonly DecidedRecord[];
}

export interface DecidedRecord {
  readonly type: number;
  /** Seconds. */
  readonly ttl: number;
  readonly rdata: Uint8Array;
}

/** Types that are ours at a name of ours. */
const decidedTypes: readonly number[] = [
  RRType.A,
  RRType.AAAA,
  RRType.CNAME,
  RRType.HTTPS,
  RRType.SVCB,
  RRType.SRV,
];
const MARK_LABEL = new TextEncoder().encode("_meridian");
const MARK_TTL = 300;
const NAME_BYTES_MAX = 255;
const TYPE_ANY = 255;
const NO_DATA = new Uint8Array(0);

/** Where the mark of a name is; undefined where its name would be too long. */
export function markName(name: Uint8Array): Uint8Array | undefined {
  const mark = Uint8Array.from([MARK_LABEL.length, ...MARK_LABEL, ...name]);
  return mark.length > NAME_BYTES_MAX ? undefined : mark;
}

/** The update that says of a name what is decided; `owner` is in its mark. */
export function publishMessage(
  kind: "ours" | "new" | "gone",
  {
    origin,
    owner,
    id,
  }: { readonly origin: Uint8Array; readonly owner: string; readonly id: number },
  { name, records }: DecidedName,
): Message {
  const mark = markName(name) ?? name;
  const text = new TextEncoder().encode(`owner=meridian/${owner}`).subarray(0, 255);
  const rdata = Uint8Array.from([text.length, ...text]);
  const ofMark = { owner: mark, type: RRType.TXT };
  const isOurs: ResourceRecord = { ...ofMark, class: RRClass.IN, ttl: 0, rdata };
  const none = (of: { owner: Uint8Array; type: number }): ResourceRecord => ({
    ...of,
    ...{ class: RRClass.NONE, ttl: 0, rdata: NO_DATA },
  });
  const all = (of: { owner: Uint8Array; type: number }): ResourceRecord => ({
    ...of,
    ...{ class: RRClass.ANY, ttl: 0, rdata: NO_DATA },
  });
  const sets = decidedTypes.map((type) => ({ owner: name, type }));
  // An alias stands alone: beside anything else it would be passed over without a word (RFC 2136 §3.4.2.2).
  const isAlias = records.some(({ type }) => type === RRType.CNAME);
  const absent = isAlias ? [{ owner: name, type: TYPE_ANY }] : sets;
  const added = records.map((record) => ({ owner: name, class: RRClass.IN, ...record }));
  const sections = {
    ours: { answer: [isOurs], authority: [...sets.map(all), ...added] },
    new: {
      answer: [none(ofMark), ...absent.map(none)],
      authority: [{ ...isOurs, ttl: MARK_TTL }, ...added],
    },
    gone: { answer: [isOurs], authority: [...sets.map(all), all(ofMark)] },
  };
  return { ...makeQuery(origin, RRType.SOA, { id }), opcode: Opcode.UPDATE, ...sections[kind] };
}
