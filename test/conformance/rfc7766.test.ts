// SPDX-License-Identifier: Apache-2.0

import assert from "node:assert/strict";
import { once } from "node:events";
import { connect } from "node:net";
import { after, before, test } from "node:test";
import { decodeMessage, encodeMessage, makeQuery, RRType } from "@meridian/dns";
import { tcpClient } from "./dns-client.ts";
import { exampleZone } from "./example-zone.ts";
import { RunningEdge } from "./running-edge.ts";
import { wire } from "./test-server.ts";

let edge: RunningEdge;
before(async () => {
  edge = await RunningEdge.start();
  await edge.serve({ zones: [exampleZone] });
});
after(() => edge.close());

test("§6.2.1.1: clients and servers SHOULD support pipelining: 200 queries without waiting, each answered", async () => {
  const client = await tcpClient(edge.address.address, edge.address.port);
  const types = Array.from({ length: 200 }, (_, index) =>
    index % 2 === 0 ? RRType.A : RRType.AAAA,
  );
  const answers = await Promise.all(
    types.map((type) => client.ask(encodeMessage(makeQuery(wire("www.example.org."), type)))),
  );
  for (const [index, bytes] of answers.entries()) {
    const message = decodeMessage(bytes);
    assert.ok(!("error" in message));
    assert.equal(message.answer.length, types[index] === RRType.A ? 2 : 1);
  }
  client.close();
});

test("§8: a message whose length field and content arrive byte by byte is answered", async () => {
  const socket = connect(edge.address.port, edge.address.address);
  await once(socket, "connect");
  const packet = encodeMessage(makeQuery(wire("www.example.org."), RRType.A));
  for (const byte of [packet.length >>> 8, packet.length & 0xff, ...packet]) {
    socket.write(Uint8Array.of(byte));
    await new Promise((resolve) => setImmediate(resolve));
  }
  const [data]: unknown[] = await once(socket, "data");
  assert.ok(data instanceof Uint8Array && data.length > packet.length);
  socket.destroy();
});

test("§5: what UDP truncates TCP gives whole", async () => {
  const client = await tcpClient(edge.address.address, edge.address.port);
  const bytes = await client.ask(encodeMessage(makeQuery(wire("many.example.org."), RRType.A)));
  const message = decodeMessage(bytes);
  assert.ok(!("error" in message));
  assert.deepEqual([message.flags.tc, message.answer.length], [false, 61]);
  client.close();
});
