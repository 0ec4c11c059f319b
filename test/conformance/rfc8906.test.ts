// SPDX-License-Identifier: Apache-2.0

// RFC 8906 §8: every probe of the matrix, against the ordinary edge over UDP and TCP. Each entry is the `dig` line of the RFC in
// other words, with what it says to expect.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import {
  decodeMessage,
  encodeMessage,
  fullRcode,
  makeQuery,
  noFlags,
  Rcode,
  RRType,
  type Message,
} from "@meridian/dns";
import { tcpClient, udpClient, type DnsClient } from "./dns-client.ts";
import { exampleZone } from "./example-zone.ts";
import { RunningEdge } from "./running-edge.ts";
import { wire } from "./test-server.ts";

let edge: RunningEdge;
let clients: readonly DnsClient[];

before(async () => {
  edge = await RunningEdge.start();
  await edge.serve({ zones: [exampleZone] });
  const { address, port } = edge.address;
  clients = [await udpClient(address, port), await tcpClient(address, port)];
});

after(async () => {
  for (const client of clients) client.close();
  await edge.close();
});

interface Probe {
  readonly section: string;
  readonly name: string;
  readonly query: Message;
  readonly expect: (answer: Message) => void;
  /** Changes to the packet that no encoder makes. */
  readonly patch?: (packet: Uint8Array) => Uint8Array;
}

const zone = wire("example.org.");
const soa = makeQuery(zone, RRType.SOA);
const withEdns = (edns: Partial<NonNullable<Message["edns"]>>): Message =>
  makeQuery(zone, RRType.SOA, { edns });

/** "expect: status: NOERROR; SOA record in the answer; aa set; rd as sent; ad and MBZ not set". */
function expectSoa(answer: Message): void {
  assert.equal(fullRcode(answer), Rcode.NOERROR);
  assert.deepEqual(
    answer.answer.map(({ type }) => type),
    [RRType.SOA],
  );
  assert.ok(answer.flags.aa && answer.flags.qr);
  assert.ok(!answer.flags.ad && !answer.flags.z && !answer.flags.ra && !answer.flags.tc);
}

function expectPlainSoa(answer: Message): void {
  expectSoa(answer);
  assert.equal(answer.edns, undefined);
}

function expectEdnsSoa(answer: Message): void {
  expectSoa(answer);
  assert.equal(answer.edns?.version, 0);
  assert.deepEqual(answer.edns?.options, []);
}

/** "expect: status: BADVERS; SOA record NOT in the answer; OPT record with version 0; aa NOT set". */
function expectBadVersion(answer: Message): void {
  assert.equal(fullRcode(answer), Rcode.BADVERS);
  assert.deepEqual(answer.answer, []);
  assert.equal(answer.edns?.version, 0);
  assert.deepEqual(answer.edns?.options, []);
  assert.ok(!answer.flags.aa);
}

const probes: readonly Probe[] = [
  { section: "8.1.1", name: "general query for SOA", query: soa, expect: expectPlainSoa },
  {
    section: "8.1.1",
    name: "RD is copied",
    query: makeQuery(zone, RRType.SOA, { rd: true }),
    expect: (answer) => {
      expectPlainSoa(answer);
      assert.ok(answer.flags.rd);
    },
  },
  {
    section: "8.1.2",
    name: "unknown or unsupported type (TYPE1000): NOERROR, empty answer, SOA in authority",
    query: makeQuery(zone, 1000),
    expect: (answer) => {
      assert.equal(fullRcode(answer), Rcode.NOERROR);
      assert.deepEqual(answer.answer, []);
      assert.deepEqual(
        answer.authority.map(({ type }) => type),
        [RRType.SOA],
      );
      assert.ok(answer.flags.aa);
    },
  },
  {
    section: "8.1.3.1",
    name: "CD=1",
    query: { ...soa, flags: { ...noFlags, cd: true } },
    expect: expectPlainSoa,
  },
  {
    section: "8.1.3.2",
    name: "AD=1 is not echoed by a server that validates nothing",
    query: { ...soa, flags: { ...noFlags, ad: true } },
    expect: expectPlainSoa,
  },
  {
    section: "8.1.3.3",
    name: "the reserved bit is not echoed",
    query: { ...soa, flags: { ...noFlags, z: true } },
    expect: expectPlainSoa,
  },
  // 4 and 5 are NOTIFY and UPDATE, which are heard (secondary-zones.test.ts, updates.test.ts).
  ...[1, 2, 3, 6, 7, 15].map((opcode): Probe => ({
    section: "8.1.4",
    name: `opcode ${opcode}: NOTIMP with empty sections`,
    query: soa,
    patch: (packet) => {
      packet[2] = opcode << 3;
      return packet;
    },
    expect: (answer) => {
      assert.equal(fullRcode(answer), Rcode.NOTIMP);
      assert.equal(answer.opcode, opcode);
      assert.ok(!answer.flags.aa);
      assert.deepEqual([...answer.question, ...answer.answer, ...answer.authority], []);
    },
  })),
  { section: "8.2.1", name: "minimal EDNS", query: withEdns({}), expect: expectEdnsSoa },
  {
    section: "8.2.2",
    name: "EDNS version 1",
    query: withEdns({ version: 1 }),
    expect: expectBadVersion,
  },
  {
    section: "8.2.3",
    name: "unknown option 100 is ignored and not echoed",
    query: withEdns({ options: [{ code: 100, data: Uint8Array.of(1, 2, 3) }] }),
    expect: expectEdnsSoa,
  },
  {
    section: "8.2.4",
    name: "unknown EDNS flags are not echoed",
    query: withEdns({}),
    patch: (packet) => {
      // The flags' low byte lies three bytes before the end of an OPT without options.
      packet[packet.length - 3] = 0x40;
      return packet;
    },
    expect: expectEdnsSoa,
  },
  {
    section: "8.2.5",
    name: "EDNS version 1 with unknown flags",
    query: withEdns({ version: 1 }),
    patch: (packet) => {
      packet[packet.length - 3] = 0x40;
      return packet;
    },
    expect: expectBadVersion,
  },
  {
    section: "8.2.6",
    name: "EDNS version 1 with unknown option",
    query: withEdns({ version: 1, options: [{ code: 100, data: new Uint8Array(0) }] }),
    expect: expectBadVersion,
  },
  {
    section: "8.2.7",
    name: "DO=1 is copied",
    query: withEdns({ do: true }),
    expect: (answer) => {
      expectEdnsSoa(answer);
      assert.equal(answer.edns?.do, true);
    },
  },
  {
    section: "8.2.8",
    name: "EDNS version 1 with DO=1",
    query: withEdns({ version: 1, do: true }),
    expect: expectBadVersion,
  },
  {
    section: "8.2.9",
    name: "several defined options at once",
    query: withEdns({
      options: [
        { code: 3, data: new Uint8Array(0) },
        { code: 8, data: Uint8Array.of(0, 1, 0, 0) },
        { code: 9, data: new Uint8Array(0) },
        { code: 10, data: Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8) },
      ],
    }),
    expect: (answer) => {
      expectSoa(answer);
      assert.deepEqual(
        answer.edns?.options.map(({ code }) => code),
        [8],
      );
    },
  },
];

for (const probe of probes) {
  test(`RFC 8906 §${probe.section}: ${probe.name}`, async () => {
    for (const client of clients) {
      const packet = encodeMessage(probe.query);
      const bytes = await client.ask(probe.patch?.(packet) ?? packet);
      const answer = decodeMessage(bytes);
      assert.ok(!("error" in answer), "the answer can be decoded");
      probe.expect(answer);
    }
  });
}

test("RFC 8906 §8.1.5: TCP is answered as UDP is", async () => {
  const [udp, tcp] = await Promise.all(clients.map((client) => client.ask(encodeMessage(soa))));
  assert.deepEqual(udp?.subarray(2), tcp?.subarray(2));
});

test("RFC 8906 §8.2.10: what does not fit 512 bytes is truncated, with OPT, and complete over TCP", async () => {
  const query = encodeMessage(
    makeQuery(wire("big.example.org."), RRType.TXT, { edns: { udpSize: 512 } }),
  );
  const [udp, tcp] = await Promise.all(clients.map((client) => client.ask(query)));
  const overUdp = decodeMessage(udp ?? new Uint8Array(0));
  const overTcp = decodeMessage(tcp ?? new Uint8Array(0));
  assert.ok(!("error" in overUdp) && !("error" in overTcp));
  assert.ok((udp?.length ?? 0) <= 512 && overUdp.flags.tc && overUdp.edns !== undefined);
  assert.deepEqual([overUdp.answer.length, overTcp.answer.length, overTcp.flags.tc], [0, 1, false]);
});
