// SPDX-License-Identifier: Apache-2.0

import assert from "node:assert/strict";
import { test } from "node:test";
import { decodeMessage, encodeMessage, makeQuery, Rcode, RRType } from "@meridian/dns";
import { exampleZone } from "./example-zone.ts";
import { TestServer, wire } from "./test-server.ts";

const server = new TestServer({ zones: [exampleZone] }, { nsid: "edge-1" });
const query = (edns: object): Uint8Array =>
  encodeMessage(makeQuery(wire("www.example.org."), RRType.A, { edns }));

function rcodeOf(packet: Uint8Array): number {
  const bytes = server.askBytes(packet);
  assert.ok(bytes !== undefined);
  const message = decodeMessage(bytes);
  assert.ok(!("error" in message));
  return message.rcode;
}

test("§7: lack of presence of an OPT record in a request MUST be taken as no EDNS: none in the response, 512 bytes", () => {
  const answer = server.ask("many.example.org.", RRType.A);
  assert.equal(answer.edns, undefined);
  assert.ok(answer.flags.tc);
});

test("§6.2.3: values lower than 512 MUST be treated as equal to 512", () => {
  const packet = encodeMessage(
    makeQuery(wire("www.example.org."), RRType.A, { edns: { udpSize: 0 } }),
  );
  const bytes = server.askBytes(packet);
  assert.ok(bytes !== undefined && bytes.length > 60);
});

test("a response never exceeds what the client offers, nor 1232 bytes", () => {
  for (const udpSize of [0, 512, 600, 900, 1232, 4096, 65_535]) {
    const packet = encodeMessage(
      makeQuery(wire("big.example.org."), RRType.TXT, { edns: { udpSize } }),
    );
    const bytes = server.askBytes(packet);
    assert.ok(bytes !== undefined && bytes.length <= Math.min(1232, Math.max(512, udpSize)));
  }
});

test("§6.1.1: if a query message with more than one OPT RR is received, a FORMERR MUST be returned", () => {
  const packet = query({});
  const opt = packet.subarray(packet.length - 11);
  const doubled = Uint8Array.from([...packet, ...opt]);
  doubled[11] = 2;
  assert.equal(rcodeOf(doubled), Rcode.FORMERR);
});

test("§6.1.2: the name of an OPT record MUST be 0 (root domain)", () => {
  const packet = query({});
  const named = Uint8Array.from([
    ...packet.subarray(0, packet.length - 11),
    1,
    0x78,
    ...packet.subarray(packet.length - 11),
  ]);
  assert.equal(rcodeOf(named), Rcode.FORMERR);
});

test("an option that runs past the OPT record is FORMERR", () => {
  const packet = query({ options: [{ code: 100, data: Uint8Array.of(1, 2) }] });
  packet[packet.length - 3] = 9;
  assert.equal(rcodeOf(packet), Rcode.FORMERR);
});

test("RFC 5001 §2.1: NSID is sent where it is asked for, and only there", () => {
  const asked = server.ask("www.example.org.", RRType.A, {
    edns: { options: [{ code: 3, data: new Uint8Array(0) }] },
  });
  assert.deepEqual(asked.edns?.options, [
    { code: 3, data: Uint8Array.from(Buffer.from("edge-1")) },
  ]);
  assert.deepEqual(server.ask("www.example.org.", RRType.A, { edns: {} }).edns?.options, []);
});

test("RFC 7828 §3.3.2: the server sends its idle timeout over TCP and ignores the option over UDP", () => {
  const edns = { options: [{ code: 11, data: new Uint8Array(0) }] };
  const overTcp = server.ask("www.example.org.", RRType.A, { edns, isTcp: true });
  assert.deepEqual(overTcp.edns?.options, [{ code: 11, data: Uint8Array.of(0, 100) }]);
  assert.deepEqual(server.ask("www.example.org.", RRType.A, { edns }).edns?.options, []);
});
