// SPDX-License-Identifier: Apache-2.0

// A query path with every kind of name, and the messages that go in and out of it: what fuzzers begin with.

import { encodeMessage, makeQuery, RRType, type QueryOptions } from "@meridian/dns";
import { boundModel, boundZone } from "../conformance/bound-model.ts";
import { exampleZone } from "../conformance/example-zone.ts";
import { TestServer, wire, type TestModel } from "../conformance/test-server.ts";

/** `example.org` with bound names and `example.net` with static ones. */
export const fuzzModel: TestModel = {
  ...boundModel,
  zones: [
    { ...boundZone, origin: "example.org." },
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
