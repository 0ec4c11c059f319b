// SPDX-License-Identifier: Apache-2.0

import assert from "node:assert/strict";
import { test } from "node:test";
import { RRType } from "@meridian/dns";
import { exampleZone } from "./example-zone.ts";
import { answerText } from "./message-text.ts";
import { TestServer } from "./test-server.ts";

const server = new TestServer({ zones: [exampleZone] });

test("§4.2: a responder may synthesize a HINFO record with the CPU field set to RFC8482 and the OS field null", () => {
  for (const isTcp of [false, true]) {
    assert.deepEqual(answerText(server.ask("www.example.org.", RRType.ANY, { isTcp })).answer, [
      'www.example.org. 3600 HINFO "RFC8482" ""',
    ]);
  }
});

test("§4.1: a name with a CNAME is answered with it", () => {
  assert.deepEqual(answerText(server.ask("alias.example.org.", RRType.ANY)).answer, [
    "alias.example.org. 3600 CNAME www.example.org.",
  ]);
});

test("what does not exist is no different for ANY", () => {
  assert.equal(answerText(server.ask("nowhere.example.org.", RRType.ANY)).rcode, "NXDOMAIN");
  assert.deepEqual(answerText(server.ask("tree.example.org.", RRType.ANY)).answer, []);
});
