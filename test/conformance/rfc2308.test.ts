// SPDX-License-Identifier: Apache-2.0

import assert from "node:assert/strict";
import { test } from "node:test";
import { RRType } from "@meridian/dns";
import { exampleZone } from "./example-zone.ts";
import { answerText } from "./message-text.ts";
import { TestServer } from "./test-server.ts";

const server = new TestServer({ zones: [exampleZone] });
const soa = "example.org. 300 SOA ns1.example.org. hostmaster.example.org. 7 3600 900 604800 300";

test("§3: name servers authoritative for a zone MUST include the SOA record of the zone in the authority section (NXDOMAIN)", () => {
  assert.deepEqual(answerText(server.ask("nowhere.example.org.", RRType.A)), {
    rcode: "NXDOMAIN",
    flags: "aa",
    answer: [],
    authority: [soa],
    additional: [],
  });
});

test("§3: … and NODATA; the TTL is the minimum of the MINIMUM field and the TTL of the SOA itself", () => {
  assert.deepEqual(answerText(server.ask("mail.example.org.", RRType.AAAA)).authority, [soa]);
  const short = new TestServer({
    zones: [{ origin: "example.org.", text: "example.org. 20 IN SOA ns1 root 1 2 3 4 600" }],
  });
  assert.equal(short.ask("x.example.org.", RRType.A).authority[0]?.ttl, 20);
  assert.equal(short.ask("example.org.", RRType.SOA).answer[0]?.ttl, 20);
});

test("§2.1: NXDOMAIN with a CNAME: the rcode speaks of the end of the chain", () => {
  assert.deepEqual(answerText(server.ask("dangling.example.org.", RRType.A)), {
    rcode: "NXDOMAIN",
    flags: "aa",
    answer: ["dangling.example.org. 3600 CNAME nowhere.example.org."],
    authority: [soa],
    additional: [],
  });
});

test("§2.2: NODATA is NOERROR with no relevant answers", () => {
  const text = answerText(server.ask("chain.example.org.", RRType.MX));
  assert.deepEqual([text.rcode, text.answer.length, text.authority], ["NOERROR", 2, [soa]]);
});

test("a chain that returns to a name it has asked ends with every record once", () => {
  assert.deepEqual(answerText(server.ask("loop-a.example.org.", RRType.A)).answer, [
    "loop-a.example.org. 3600 CNAME loop-b.example.org.",
    "loop-b.example.org. 3600 CNAME loop-a.example.org.",
  ]);
});
