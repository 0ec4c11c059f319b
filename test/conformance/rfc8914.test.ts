// SPDX-License-Identifier: Apache-2.0

import assert from "node:assert/strict";
import { test } from "node:test";
import { findOption, parseEde, RRType, type Message } from "@meridian/dns";
import { boundModel } from "./bound-model.ts";
import { TestServer } from "./test-server.ts";

const server = new TestServer(boundModel);

function ede(message: Message): number | undefined {
  const option = findOption(message.edns?.options ?? [], 15);
  return option === undefined ? undefined : parseEde(option.data)?.infoCode;
}

test("§4.21: REFUSED for a zone that is not served carries Not Authoritative (20)", () => {
  const message = server.ask("example.com.", RRType.A, { edns: {} });
  assert.deepEqual([message.rcode, ede(message)], [5, 20]);
});

test("§3: an answer that a policy withholds says why", () => {
  const code = ede(server.ask("never.example.org.", RRType.A, { edns: {} }));
  assert.ok(code !== undefined);
});

test("§2: without OPT in the query there is none in the response", () => {
  assert.equal(server.ask("example.com.", RRType.A).edns, undefined);
});

test("an ordinary answer carries none", () => {
  assert.equal(ede(server.ask("static.example.org.", RRType.A, { edns: {} })), undefined);
});
