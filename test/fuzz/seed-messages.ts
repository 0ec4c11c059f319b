// SPDX-License-Identifier: Apache-2.0

// A query path with every kind of name, and the messages that go in and out of it: what fuzzers begin with.

import {
  TsigSession,
  encodeMessage,
  makeQuery,
  Opcode,
  RRClass,
  RRType,
  type Message,
  type QueryOptions,
  type ResourceRecord,
  type TsigKey,
} from "@meridian/dns";
import type { TransferSettings } from "@meridian/snapshot";
import { boundModel, boundZone } from "../conformance/bound-model.ts";
import { exampleZone } from "../conformance/example-zone.ts";
import { TestServer, wire, type TestModel } from "../conformance/test-server.ts";

/** By which the fuzzed queries are signed. */
export const fuzzKey: TsigKey = {
  name: wire("key.example."),
  algorithm: "hmac-sha256",
  secret: Uint8Array.of(1, 2, 3, 4),
};
const ANY = 255;
/** Seconds since 1970. */
export const SIGNED_AT = 1_700_000_000;

const transfers: TransferSettings = {
  keys: [{ name: "key.example", algorithm: "hmac-sha256", secret: "fuzz" }],
  allow: [{ key: "key.example" }],
  transferAs: "default",
  takesUpdates: true,
};

/** `example.org` with bound names and `example.net` with static ones. */
export const fuzzModel: TestModel = {
  ...boundModel,
  zones: [
    { ...boundZone, origin: "example.org.", options: { transfers } },
    {
      ...exampleZone,
      origin: "example.net.",
      text: exampleZone.text.replaceAll("example.org.", "example.net."),
    },
  ],
};

const names: readonly string[] = [
  "example.org.",
  "app.example.org.",
  "lone.example.org.",
  "never.example.org.",
  "big.example.net.",
  "x.cut.example.net.",
  "www.old.example.net.",
  "chain.example.net.",
  "any.wild.example.net.",
  "example.com.",
];

const types: readonly number[] = [
  RRType.A,
  RRType.AAAA,
  RRType.HTTPS,
  RRType.SRV,
  RRType.TXT,
  RRType.SOA,
  RRType.ANY,
];

const everyOption: QueryOptions = {
  edns: {
    udpSize: 1232,
    options: [
      { code: 8, data: Uint8Array.of(0, 1, 24, 0, 203, 0, 113) },
      { code: 3, data: new Uint8Array(0) },
      { code: 10, data: Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8) },
      { code: 11, data: new Uint8Array(0) },
    ],
  },
};

/** Queries with a right signature, transfers among them. */
export function signedQueries(): Uint8Array[] {
  return [RRType.SOA, RRType.AXFR, RRType.IXFR].map((type) =>
    new TsigSession(fuzzKey).sign(encodeMessage(makeQuery(wire("example.org."), type)), SIGNED_AT),
  );
}

/** Queries of many names and types, with and without EDNS. */
export function seedQueries(): Uint8Array[] {
  return names.flatMap((name, index) =>
    types.map((type) =>
      encodeMessage(
        makeQuery(wire(name), type, {
          id: index * 256 + (type & 0xff),
          ...(type % 2 === 0 ? {} : everyOption),
        }),
      ),
    ),
  );
}

/** What the query path answers to them over TCP. */
export function seedResponses(): Uint8Array[] {
  const server = new TestServer(fuzzModel);
  return seedQueries().flatMap((query) => server.askBytes(query, { isTcp: true }) ?? []);
}

/** Updates with every form of prerequisite and change, signed by `fuzzKey`, and one that is not. */
export function seedUpdates(): Uint8Array[] {
  const data = Uint8Array.of(192, 0, 2, 1);
  const forms = (classes: readonly number[], ttl: number): ResourceRecord[] =>
    classes.map((rrClass) => ({
      owner: wire("new.example.org."),
      type: rrClass === RRClass.IN ? RRType.A : ANY,
      class: rrClass,
      ttl: rrClass === RRClass.IN ? ttl : 0,
      rdata: rrClass === RRClass.IN ? data : new Uint8Array(0),
    }));
  const { IN, NONE } = RRClass;
  const question = makeQuery(wire("example.org."), RRType.SOA, { edns: {} });
  const message: Message = { ...question, opcode: Opcode.UPDATE };
  const removed = { ...forms([IN], 0)[0]!, class: NONE };
  const updates = [
    { ...message, authority: [...forms([IN, RRClass.ANY], 300), removed] },
    { ...message, answer: forms([IN, RRClass.ANY, NONE], 0), authority: forms([IN], 60) },
  ].map((each) => encodeMessage(each));
  return [
    ...updates.map((each) => new TsigSession(fuzzKey).sign(each, SIGNED_AT)),
    ...updates.slice(0, 1),
  ];
}
