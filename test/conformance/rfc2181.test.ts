// SPDX-License-Identifier: Apache-2.0

import assert from "node:assert/strict";
import { test } from "node:test";
import { RRType } from "@meridian/dns";
import { exampleZone } from "./example-zone.ts";
import { answerText } from "./message-text.ts";
import { TestServer } from "./test-server.ts";

const server = new TestServer({ zones: [exampleZone] });

test("§5.2: the TTLs of all RRs in an RRSet must be the same", () => {
  const mixed = new TestServer({
    zones: [
      {
        origin: "example.org.",
        text: "example.org. 60 IN SOA ns1 root 1 2 3 4 5\nx.example.org. 300 IN A 192.0.2.1\nx.example.org. 60 IN A 192.0.2.2",
      },
    ],
  });
  assert.deepEqual(answerText(mixed.ask("x.example.org.", RRType.A)).answer, [
    "x.example.org. 60 A 192.0.2.1",
    "x.example.org. 60 A 192.0.2.2",
  ]);
});

test("§5: records in an RRSet are distinct", () => {
  const doubled = new TestServer({
    zones: [
      {
        origin: "example.org.",
        text: "x.example.org. 60 IN A 192.0.2.1\nX.example.org. 60 IN A 192.0.2.1",
      },
    ],
  });
  assert.equal(doubled.ask("x.example.org.", RRType.A).answer.length, 1);
});

test("§6.1: the authoritative servers for a zone are those below the cut: a referral has no AA", () => {
  const text = answerText(server.ask("x.cut.example.org.", RRType.A));
  assert.deepEqual(text, {
    rcode: "NOERROR",
    flags: "",
    answer: [],
    authority: [
      "cut.example.org. 3600 NS ns.cut.example.org.",
      "cut.example.org. 3600 NS ns.elsewhere.example.com.",
    ],
    additional: [
      "ns.cut.example.org. 3600 A 192.0.2.40",
      "ns.cut.example.org. 3600 AAAA 2001:db8::40",
    ],
  });
});

test("§9: the TC bit is set only when an RRSet required as part of the response could not be included in its entirety", () => {
  const truncated = server.ask("many.example.org.", RRType.A);
  assert.ok(truncated.flags.tc);
  assert.deepEqual(truncated.answer, []);
  const whole = server.ask("many.example.org.", RRType.A, { edns: { udpSize: 1232 } });
  assert.deepEqual([whole.flags.tc, whole.answer.length], [false, 61]);
});

test("§10.1: a CNAME owner has no other data, so every type is answered by the CNAME", () => {
  assert.deepEqual(answerText(server.ask("outside.example.org.", RRType.TXT)).answer, [
    "outside.example.org. 3600 CNAME www.example.com.",
  ]);
});
