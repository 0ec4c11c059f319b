// SPDX-License-Identifier: Apache-2.0

import assert from "node:assert/strict";
import { test } from "node:test";
import { encodeMessage, formatName, makeQuery, RRType } from "@meridian/dns";
import { exampleZone } from "./example-zone.ts";
import { answerText } from "./message-text.ts";
import { TestServer, wire } from "./test-server.ts";

const server = new TestServer({ zones: [exampleZone] });

test("§3: comparisons on name lookup are case insensitive", () => {
  const lower = answerText(server.ask("mixed.case.example.org.", RRType.A)).answer;
  assert.deepEqual(lower, ["mixed.case.example.org. 3600 A 192.0.2.4"]);
  assert.equal(server.ask("MIXED.case.EXAMPLE.org.", RRType.A).answer.length, 1);
});

test("§4.1: the question is echoed with its case, byte for byte", () => {
  const packet = encodeMessage(makeQuery(wire("wWw.eXaMpLe.OrG."), RRType.A));
  const answer = server.askBytes(packet);
  assert.deepEqual(answer?.subarray(12, packet.length), packet.subarray(12));
  const message = server.ask("wWw.eXaMpLe.OrG.", RRType.A);
  assert.equal(formatName(message.answer[0]?.owner ?? new Uint8Array(1)), "wWw.eXaMpLe.OrG.");
});

test("§3: only ASCII letters have case", () => {
  const zone = { origin: "example.org.", text: "a\\192\\091.example.org. 60 IN A 192.0.2.1" };
  const own = new TestServer({ zones: [zone] });
  assert.equal(own.ask("A\\192\\091.example.org.", RRType.A).answer.length, 1);
  // 0xE0 is 0xC0 with the bit that makes letters lower case; "{" is "[" with it.
  assert.equal(own.ask("a\\224\\091.example.org.", RRType.A).answer.length, 0);
  assert.equal(own.ask("a\\192\\123.example.org.", RRType.A).answer.length, 0);
});
