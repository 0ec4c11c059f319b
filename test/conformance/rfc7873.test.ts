// SPDX-License-Identifier: Apache-2.0

// Cookies (RFC 7873, RFC 9018), and what they are good for: limits on responses to addresses that may not be their senders'.

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import {
  cookieOption,
  decodeMessage,
  encodeMessage,
  findOption,
  fullRcode,
  makeQuery,
  parseCookie,
  Rcode,
  RRType,
  type Message,
} from "@meridian/dns";
import { FixedCounter, ResponseLimiter, ServerCookies } from "@meridian/edge";

import { exampleZone } from "./example-zone.ts";
import { TestServer, wire } from "./test-server.ts";

const SECRET = Uint8Array.from({ length: 16 }, (_, index) => index);
const CLIENT = Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8);
const soa = "example.org.";

function serverWith(rate?: number, more = ""): TestServer {
  return new TestServer(
    { zones: [{ ...exampleZone, text: `${exampleZone.text}\n${more}` }] },
    {
      cookies: new ServerCookies([SECRET]),
      nsid: "edge",
      ...(rate === undefined
        ? {}
        : { limiter: new ResponseLimiter({ rate, exempt: [], seed: 1 }) }),
    },
  );
}

const cookieOf = (message: Message): Uint8Array | undefined => {
  const option = findOption(message.edns?.options ?? [], 10);
  return option === undefined ? undefined : parseCookie(option.data)?.server;
};
const withCookie = (server?: Uint8Array): object => ({
  edns: { options: [cookieOption(CLIENT, server)] },
});
const withData = (length: number): object => ({
  edns: { options: [{ code: 10, data: new Uint8Array(length) }] },
});

test("§5.2.1: without a COOKIE option there is none in the response", () => {
  const server = serverWith();
  assert.equal(cookieOf(server.ask(soa, RRType.SOA, { edns: {} })), undefined);
  assert.equal(server.ask(soa, RRType.SOA).edns, undefined);
});

test("§5.2.2: a COOKIE option of another length than 8, 16 to 40 is a format error", () => {
  const server = serverWith();
  for (let length = 0; length <= 48; length++) {
    const isGood = length === 8 || (length >= 16 && length <= 40);
    const rcode = fullRcode(server.ask(soa, RRType.SOA, withData(length)));
    assert.equal(rcode, isGood ? Rcode.NOERROR : Rcode.FORMERR, `${length} bytes`);
  }
});

test("§5.2.3 to §5.2.5: a client is sent a server cookie, keeps a valid one, and is sent another for a bad one", () => {
  const server = serverWith();
  const first = cookieOf(server.ask(soa, RRType.SOA, withCookie()));
  assert.equal(first?.length, 16);
  assert.deepEqual(cookieOf(server.ask(soa, RRType.SOA, withCookie(first))), first);
  const good = (): number =>
    new Uint32Array(server.counters.fixedBuffer)[FixedCounter.cookieGood] ?? 0;
  assert.equal(good(), 1);
  const source = Uint8Array.of(192, 0, 2, 9);
  const other = cookieOf(server.ask(soa, RRType.SOA, { ...withCookie(first), source }));
  assert.notDeepEqual(other, first);
  server.nowMs += 3_700_000;
  assert.notDeepEqual(cookieOf(server.ask(soa, RRType.SOA, withCookie(first))), first);
  assert.equal(good(), 1);
});

test("§5.4: a query without a question, but with a cookie, is sent a cookie and nothing else", () => {
  const server = serverWith();
  const packet = encodeMessage({ ...makeQuery(wire(soa), RRType.SOA, withCookie()), question: [] });
  const bytes = server.askBytes(packet);
  assert.ok(bytes !== undefined);
  const message = decodeMessage(bytes);
  assert.ok(!("error" in message));
  assert.equal(fullRcode(message), Rcode.NOERROR);
  assert.equal(cookieOf(message)?.length, 16);
  assert.deepEqual([message.question, message.answer, message.authority], [[], [], []]);
  const bare = encodeMessage({ ...makeQuery(wire(soa), RRType.SOA, { edns: {} }), question: [] });
  assert.equal((server.askBytes(bare)?.[3] ?? 0) & 0xf, Rcode.FORMERR);
});

test("RFC 7830 §4, RFC 8467 §4.1: over a connection, who pads is sent blocks of 468 bytes", () => {
  const server = serverWith();
  const edns = { options: [{ code: 12, data: new Uint8Array(60) }] };
  for (const type of [RRType.SOA, RRType.NS, RRType.TXT, RRType.A]) {
    const packet = encodeMessage(makeQuery(wire(soa), type, { edns }));
    const padded = server.askBytes(packet, { isTcp: true });
    assert.equal((padded?.length ?? 1) % 468, 0);
    assert.ok((server.askBytes(packet)?.length ?? 468) < 468);
  }
});

test("a prefix past its rate gets TC or silence, a client with a valid cookie or a connection everything", () => {
  const server = serverWith(5);
  const cookie = cookieOf(server.ask(soa, RRType.SOA, withCookie()));
  const plain = encodeMessage(makeQuery(wire(soa), RRType.SOA, { edns: {} }));
  const seen = Array.from({ length: 20 }, () => server.askBytes(plain));
  assert.ok(seen.slice(0, 4).every((bytes) => bytes !== undefined && bytes[7] === 1));
  const later = seen.slice(5);
  for (const bytes of later) {
    if (bytes === undefined) continue;
    const message = decodeMessage(bytes);
    assert.ok(!("error" in message) && message.flags.tc && message.answer.length === 0);
    assert.equal(bytes.length, plain.length);
  }
  assert.ok(
    later.some((bytes) => bytes === undefined) && later.some((bytes) => bytes !== undefined),
  );
  for (let more = 0; more < 20; more++) {
    assert.equal(server.ask(soa, RRType.SOA, withCookie(cookie)).answer.length, 1);
    assert.equal(server.ask(soa, RRType.SOA, { edns: {}, isTcp: true }).answer.length, 1);
  }
  // Who has no cookie yet, but takes one, is sent it with BADCOOKIE (RFC 7873 §5.2.3).
  const packet = encodeMessage(makeQuery(wire(soa), RRType.SOA, withCookie()));
  const answer = server.askBytes(packet) ?? server.askBytes(packet);
  const message = decodeMessage(answer ?? new Uint8Array(0));
  assert.ok(!("error" in message));
  assert.equal(fullRcode(message), Rcode.BADCOOKIE);
  assert.deepEqual(cookieOf(message), cookie);
});

test("under overload a client with a valid cookie is not left out, others are sent three times their bytes at most", () => {
  const server = serverWith(1000, `fat.example.org. 60 IN TXT "${"x".repeat(250)}"`);
  const source = Uint8Array.of(198, 51, 100, 7);
  const cookie = cookieOf(server.ask(soa, RRType.SOA, withCookie()));
  assert.ok(cookie !== undefined);
  const mayLeaveOut = (options: object): boolean => {
    const packet = encodeMessage(makeQuery(wire(soa), RRType.SOA, options));
    return server.handler.mayLeaveOut(packet, 0, packet.length, source, 0, 4);
  };
  const forged = cookie.map((byte, index) => (index === 15 ? byte ^ 1 : byte));
  const padded = { code: 12, data: new Uint8Array(9) };
  const late = { edns: { options: [padded, cookieOption(CLIENT, cookie)] } };
  const cases = [{}, { edns: {} }, withCookie(), withCookie(forged), withCookie(cookie), late];
  assert.deepEqual(cases.map(mayLeaveOut), [true, true, true, true, false, false]);
  const leftOut = new Uint32Array(server.counters.fixedBuffer)[FixedCounter.leftOut];
  assert.equal(leftOut, 4);

  const large = (options: object): Message => server.ask("fat.example.org.", RRType.TXT, options);
  assert.equal(large({ edns: {} }).flags.tc, false);
  server.handler.setOverloaded(true);
  assert.equal(large({ edns: {} }).flags.tc, true);
  assert.equal(large(withCookie(cookie)).flags.tc, false);
  assert.equal(server.ask(soa, RRType.SOA, { edns: {} }).flags.tc, false, "small as it is");
  server.handler.setOverloaded(false);
  assert.equal(large({ edns: {} }).flags.tc, false);
});

test("whole cookies are looked for within the packet, whatever it says", () => {
  const server = serverWith(1000);
  const whole = encodeMessage(
    makeQuery(wire(soa), RRType.SOA, withCookie(new Uint8Array(16).fill(1))),
  );
  fc.assert(
    fc.property(fc.nat(whole.length), fc.nat(whole.length - 1), fc.nat(255), (length, at, byte) => {
      const packet = whole.slice(0, length);
      if (at < length) packet[at] = byte;
      assert.equal(server.handler.mayLeaveOut(packet, 0, length, new Uint8Array(16), 0, 4), true);
    }),
  );
});

test("what is malformed never gets more bytes than it sent, and past the rate nothing", () => {
  const server = serverWith(3);
  const malformed = encodeMessage(makeQuery(wire(soa), RRType.SOA)).subarray(0, 20);
  const sizes = Array.from({ length: 8 }, () => server.askBytes(malformed)?.length ?? 0);
  assert.deepEqual(sizes, [12, 12, 12, 0, 0, 0, 0, 0]);
});
