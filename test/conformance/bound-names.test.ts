// SPDX-License-Identifier: Apache-2.0

import assert from "node:assert/strict";
import { test } from "node:test";
import { key64 } from "@meridian/core";
import { RRType } from "@meridian/dns";
import { boundModel } from "./bound-model.ts";
import { answerText } from "./message-text.ts";
import { TestServer, UNHEALTHY } from "./test-server.ts";

const server = new TestServer(boundModel);
const answer = (name: string, type: number): readonly string[] =>
  answerText(server.ask(name, type)).answer;
const soaWithTtl = (ttl: number): string =>
  `example.org. ${ttl} SOA ns1.example.org. hostmaster.example.org. 7 3600 900 604800 300`;

test("a name bound to a pool answers with its member, and all types with the same one", () => {
  assert.deepEqual(answer("lone.example.org.", RRType.A), ["lone.example.org. 8 A 192.0.2.11"]);
  assert.deepEqual(answer("lone.example.org.", RRType.AAAA), [
    "lone.example.org. 8 AAAA 2001:db8::b",
  ]);
  assert.deepEqual(answer("lone.example.org.", RRType.HTTPS), [
    'lone.example.org. 8 HTTPS 1 . alpn=h2 ipv4hint=192.0.2.11 ipv6hint=2001:db8::b key65280="\\007"',
  ]);
});

test("the TTL follows the time in which verdicts cannot change, within the record's bounds", () => {
  const own = new TestServer(boundModel);
  const slot = own.world.slotOfKey(key64("endpoint/default/eu/eu-1"));
  for (const [log2, ttl] of [
    [0, 5],
    [4, 16],
    [9, 60],
  ] as const) {
    own.setEndpoint(slot, ((own.overlay.read(slot) & 0x1ff_ffff) | (log2 << 25)) >>> 0);
    assert.equal(own.ask("lone.example.org.", RRType.A).answer[0]?.ttl, ttl);
  }
});

test("a family that the endpoints lack, and a type that is not bound, is NODATA", () => {
  assert.deepEqual(answer("half.example.org.", RRType.A), ["half.example.org. 8 A 192.0.2.31"]);
  const text = answerText(server.ask("half.example.org.", RRType.AAAA));
  assert.deepEqual(
    [text.rcode, text.flags, text.answer, text.authority],
    ["NOERROR", "aa", [], [soaWithTtl(5)]],
  );
  const other = answerText(server.ask("half.example.org.", RRType.MX));
  assert.deepEqual(
    [other.rcode, other.answer, other.authority],
    ["NOERROR", [], [soaWithTtl(300)]],
  );
});

test("an alias is a CNAME, followed where its target is served", () => {
  assert.deepEqual(answer("far.example.org.", RRType.A), [
    "far.example.org. 60 CNAME static.example.org.",
    "static.example.org. 3600 A 192.0.2.2",
  ]);
  assert.deepEqual(answer("only-alias.example.org.", RRType.AAAA), [
    "only-alias.example.org. 60 CNAME static.example.org.",
    "static.example.org. 3600 AAAA 2001:db8::2",
  ]);
  assert.deepEqual(answer("only-alias.example.org.", RRType.CNAME), [
    "only-alias.example.org. 60 CNAME static.example.org.",
  ]);
});

test("a member with a host name is a CNAME, and an SRV target", () => {
  assert.deepEqual(
    answer("host.example.org.", RRType.A)[0],
    "host.example.org. 8 CNAME static.example.org.",
  );
  assert.deepEqual(answer("_sip._tcp.example.org.", RRType.SRV), [
    "_sip._tcp.example.org. 8 SRV 1 2 5060 static.example.org.",
  ]);
  assert.deepEqual(answer("_own._tcp.example.org.", RRType.SRV), [
    "_own._tcp.example.org. 8 SRV 1 2 8443 static.example.org.",
  ]);
  assert.deepEqual(answer("_web._tcp.example.org.", RRType.SRV), [
    "_web._tcp.example.org. 8 SRV 1 2 443 lone.example.org.",
  ]);
});

test("at an apex an alias is flattened, and HTTPS says it in AliasMode", () => {
  assert.deepEqual(answer("example.org.", RRType.A), ["example.org. 60 A 192.0.2.2"]);
  assert.deepEqual(answer("example.org.", RRType.AAAA), ["example.org. 60 AAAA 2001:db8::2"]);
  assert.deepEqual(answer("example.org.", RRType.HTTPS), [
    "example.org. 60 HTTPS 0 static.example.org.",
  ]);
  assert.equal(server.ask("example.org.", RRType.SOA).answer.length, 1);
});

test("a bound wildcard answers for the name that was asked", () => {
  assert.deepEqual(answer("any.star.example.org.", RRType.A), [
    "any.star.example.org. 8 A 192.0.2.11",
  ]);
});

test("a CNAME in the zone leads to a bound name", () => {
  assert.deepEqual(answer("link.example.org.", RRType.A), [
    "link.example.org. 3600 CNAME app.example.org.",
    "app.example.org. 8 A 192.0.2.21",
  ]);
});

test("what a policy withholds is NODATA for the least TTL with the reason, never NXDOMAIN", () => {
  const message = server.ask("never.example.org.", RRType.A, { edns: {} });
  const text = answerText(message);
  assert.deepEqual(
    [text.rcode, text.flags, text.answer, text.authority],
    ["NOERROR", "aa", [], [soaWithTtl(5)]],
  );
  assert.deepEqual(
    message.edns?.options.map(({ code }) => code),
    [15],
  );
});

test("a dead member leaves the answer with the next change set", () => {
  const own = new TestServer(boundModel);
  const slot = own.world.slotOfKey(key64("endpoint/default/eu/eu-1"));
  own.setEndpoint(slot, UNHEALTHY);
  // Alone, it is served all the same: the root opens rather than answer nothing.
  assert.equal(own.ask("lone.example.org.", RRType.A).answer.length, 1);
});
