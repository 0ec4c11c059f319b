// SPDX-License-Identifier: Apache-2.0

// Zones that not everybody may ask: by address, by key, and never by a client subnet.

import assert from "node:assert/strict";
import { test } from "node:test";
import {
  ExtendedError,
  RRType,
  Rcode,
  TsigSession,
  decodeMessage,
  encodeMessage,
  findOption,
  makeQuery,
  parseEde,
  type Message,
  type TsigKey,
} from "@meridian/dns";
import { Transfers } from "@meridian/edge";
import { explain, parseClient } from "@meridian/snapshot/surface";
import { TestServer, wire, type TestModel } from "./test-server.ts";

const EDE = 15;
const NOW = 1_700_000_000;
const secret = "c2VjcmV0IG9mIHR3byBzaWRlcyBhbG9uZQ==";
const key: TsigKey = {
  name: wire("ask.example."),
  algorithm: "hmac-sha256",
  secret: Buffer.from(secret, "base64"),
};
const inside = Uint8Array.of(10, 0, 0, 1);
const outside = Uint8Array.of(198, 51, 100, 1);

function zoneText(more: string): string {
  return `$ORIGIN example.org.\n$TTL 300\n@ SOA ns1 hostmaster 1 7200 900 1209600 60\n@ NS ns1\n${more}`;
}

const model: TestModel = {
  zones: [
    { origin: "example.org.", text: zoneText("www A 192.0.2.1\nout CNAME db.inside\n") },
    {
      origin: "inside.example.org.",
      text: zoneText("db A 10.0.0.2\n").replace("example.org", "inside.example.org"),
      options: {
        allowQuery: [{ clients: ["10.0.0.0/8", "2001:db8::/32"] }, { key: "ask.example" }],
        transfers: {
          keys: [{ name: "ask.example", algorithm: "hmac-sha256", secret: "default/file/ask" }],
          allow: [],
          transferAs: "omit",
        },
      },
    },
    {
      origin: "nobody.example.org.",
      text: zoneText("db A 10.0.0.2\n").replace("example.org", "nobody.example.org"),
      options: { allowQuery: [] },
    },
  ],
};

function serverOf(): TestServer {
  const transfers = new Transfers();
  transfers.setSecrets(new Map([["default/file/ask", secret]]));
  return new TestServer(model, { transfers });
}

function told(message: Message): [number, number | undefined, number] {
  const option = findOption(message.edns?.options ?? [], EDE);
  return [message.rcode, option && parseEde(option.data)?.infoCode, message.answer.length];
}

test("a zone is shown to those alone who fit an entry of allowQuery; others are told that they may not", () => {
  const server = serverOf();
  const prohibited = [Rcode.REFUSED, ExtendedError.PROHIBITED, 0];
  for (const type of [RRType.A, RRType.SOA, RRType.ANY, RRType.MX]) {
    const refused = server.ask("db.inside.example.org.", type, { source: outside, edns: {} });
    assert.deepEqual(told(refused), prohibited);
    assert.deepEqual([refused.authority.length, refused.flags.aa], [0, false]);
  }
  const shown = server.ask("db.inside.example.org.", RRType.A, { source: inside, edns: {} });
  assert.deepEqual(told(shown), [Rcode.NOERROR, undefined, 1]);
  const missing = server.ask("no.inside.example.org.", RRType.A, { source: outside, edns: {} });
  assert.deepEqual(told(missing), prohibited, "not even that a name is missing");
  for (const source of [inside, outside]) {
    const nobody = server.ask("nobody.example.org.", RRType.SOA, { source, edns: {} });
    assert.deepEqual(told(nobody), prohibited);
    const open = server.ask("www.example.org.", RRType.A, { source, edns: {} });
    assert.deepEqual(told(open), [Rcode.NOERROR, undefined, 1]);
  }
});

test("an alias leads into a zone for those alone who may ask it", () => {
  const server = serverOf();
  const ask = (source: Uint8Array): Message =>
    server.ask("out.example.org.", RRType.A, { source, edns: {} });
  assert.deepEqual(told(ask(outside)), [Rcode.NOERROR, undefined, 1]);
  assert.deepEqual(told(ask(inside)), [Rcode.NOERROR, undefined, 2]);
});

test("a client subnet opens nothing", () => {
  const message = serverOf().ask("db.inside.example.org.", RRType.A, {
    source: outside,
    edns: { options: [{ code: 8, data: Uint8Array.of(0, 1, 24, 0, 10, 0, 0) }] },
  });
  assert.equal(message.rcode, Rcode.REFUSED);
});

test("who signs with the key may ask from anywhere", () => {
  const server = serverOf();
  const query = encodeMessage(makeQuery(wire("db.inside.example.org."), RRType.A, { id: 7 }));
  const rcodeOf = (packet: Uint8Array): number => {
    const bytes = server.askBytes(packet, { source: outside });
    const message = bytes === undefined ? undefined : decodeMessage(bytes);
    assert.ok(message !== undefined && !("error" in message));
    return message.rcode;
  };
  const session = new TsigSession(key);
  assert.equal(rcodeOf(session.sign(query, NOW)), Rcode.NOERROR);
  assert.equal(rcodeOf(query), Rcode.REFUSED, "the next one without it");
  const forged = new TsigSession({ ...key, secret: Buffer.from("no") });
  assert.equal(rcodeOf(forged.sign(query, NOW)), Rcode.NOTAUTH);
});

test("explain() says whose queries are refused", () => {
  const { world } = serverOf();
  const slots = world.initialSlots();
  const refused = (address: string): true | undefined => {
    const resolver = parseClient(address);
    assert.ok(resolver !== undefined);
    const question = { name: "db.inside.example.org", type: "A", resolver };
    const view = { world, slots, revision: 1, sequence: 1 };
    const found = explain(view, { ...question, nowSeconds: NOW });
    assert.equal(found?.outcome, "static");
    return found.isRefused;
  };
  assert.deepEqual(["10.1.2.3", "198.51.100.1", "2001:db8::1"].map(refused), [
    undefined,
    true,
    undefined,
  ]);
});
