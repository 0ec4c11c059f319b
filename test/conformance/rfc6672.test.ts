// SPDX-License-Identifier: Apache-2.0

import assert from "node:assert/strict";
import { test } from "node:test";
import { RRType } from "@meridian/dns";
import { exampleZone } from "./example-zone.ts";
import { answerText } from "./message-text.ts";
import { TestServer } from "./test-server.ts";

const server = new TestServer({ zones: [exampleZone] });

test("§3.1: the server synthesizes a CNAME with the TTL of the DNAME", () => {
  assert.deepEqual(answerText(server.ask("www.old.example.org.", RRType.A)), {
    rcode: "NOERROR",
    flags: "aa",
    answer: [
      "old.example.org. 3600 DNAME new.example.org.",
      "www.old.example.org. 3600 CNAME www.new.example.org.",
      "www.new.example.org. 3600 A 192.0.2.30",
    ],
    authority: [],
    additional: [],
  });
});

test("§2.3: the DNAME owner itself is not redirected", () => {
  const text = answerText(server.ask("old.example.org.", RRType.A));
  assert.deepEqual([text.rcode, text.answer], ["NOERROR", []]);
  assert.deepEqual(answerText(server.ask("old.example.org.", RRType.DNAME)).answer, [
    "old.example.org. 3600 DNAME new.example.org.",
  ]);
});

test("§2.2: if the resulting name would be longer than 255 octets, the server returns YXDOMAIN", () => {
  const label = "x".repeat(60);
  const zone = {
    origin: "example.org.",
    text: `old.example.org. 60 IN DNAME ${label}.${label}.example.net.`,
  };
  const own = new TestServer({ zones: [zone] });
  const text = answerText(own.ask(`${label}.${label}.${label}.old.example.org.`, RRType.A));
  assert.equal(text.rcode, "YXDOMAIN");
  assert.equal(text.answer.length, 1);
  assert.equal(answerText(own.ask(`${label}.old.example.org.`, RRType.A)).answer.length, 2);
});

test("§5.2: a DNAME that leads below itself ends", () => {
  const own = new TestServer({
    zones: [{ origin: "example.org.", text: "a.example.org. 60 IN DNAME b.a.example.org." }],
  });
  const text = answerText(own.ask("x.a.example.org.", RRType.A));
  assert.equal(text.rcode, "NOERROR");
  assert.equal(text.answer.filter((line) => line.includes("DNAME")).length, 1);
  assert.ok(text.answer.length <= 9);
});
