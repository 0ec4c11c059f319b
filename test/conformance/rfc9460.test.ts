// SPDX-License-Identifier: Apache-2.0

import assert from "node:assert/strict";
import { test } from "node:test";
import { RRType } from "@meridian/dns";
import { boundModel } from "./bound-model.ts";
import { exampleZone } from "./example-zone.ts";
import { answerText } from "./message-text.ts";
import { TestServer } from "./test-server.ts";

test("§2.2: SvcParamKeys SHALL appear in increasing numeric order, the hints among them", () => {
  const server = new TestServer(boundModel);
  const rdata = server.ask("lone.example.org.", RRType.HTTPS).answer[0]?.rdata ?? new Uint8Array(0);
  const view = new DataView(rdata.buffer, rdata.byteOffset, rdata.length);
  const keys: number[] = [];
  for (let at = 3; at < rdata.length; at += 4 + view.getUint16(at + 2))
    keys.push(view.getUint16(at));
  assert.deepEqual(keys, [1, 4, 6, 65_280]);
});

test("§7.3: hints are the addresses that A and AAAA queries give at the same time", () => {
  const server = new TestServer(boundModel);
  for (let client = 0; client < 50; client++) {
    const source = Uint8Array.of(203, 0, 112 + (client & 1), client);
    const ask = (type: number): string =>
      answerText(server.ask("app.example.org.", type, { source })).answer[0] ?? "";
    const address = ask(RRType.A).split(" ").at(-1) ?? "?";
    assert.ok(ask(RRType.HTTPS).includes(`ipv4hint=${address} `), address);
  }
});

test("a static record keeps its parameters", () => {
  const server = new TestServer({ zones: [exampleZone] });
  assert.deepEqual(answerText(server.ask("svc.example.org.", RRType.HTTPS)).answer, [
    "svc.example.org. 3600 HTTPS 1 . alpn=h2,h3 port=8443 ipv4hint=192.0.2.10",
  ]);
});

test("RFC 3597 §3: an unknown type is answered as it was given", () => {
  const server = new TestServer({ zones: [exampleZone] });
  assert.deepEqual(
    [...(server.ask("unknown.example.org.", 65_280).answer[0]?.rdata ?? [])],
    [1, 2, 3],
  );
});
