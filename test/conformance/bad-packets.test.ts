// SPDX-License-Identifier: Apache-2.0

// Any bytes: bounded answers, right rcodes or silence, never an exception. What is written outside the given range is caught by the
// guard bytes of TestServer.

import assert from "node:assert/strict";
import { test } from "node:test";
import { Pcg32 } from "@meridian/core";
import { decodeMessage, encodeMessage, makeQuery, Rcode, RRType } from "@meridian/dns";
import { boundModel, boundZone } from "./bound-model.ts";
import { exampleZone } from "./example-zone.ts";
import { TestServer, wire } from "./test-server.ts";

const ROUNDS = Number(process.env["FUZZ_ROUNDS"] ?? 4000);
const SEED = Number(process.env["FUZZ_SEED"] ?? 20_260_101);
const server = new TestServer({
  ...boundModel,
  zones: [
    { ...boundZone, origin: "example.org." },
    {
      ...exampleZone,
      origin: "example.net.",
      text: exampleZone.text.replaceAll("example.org.", "example.net."),
    },
  ],
});

const names = [
  "example.org.",
  "app.example.org.",
  "lone.example.org.",
  "never.example.org.",
  "many.example.net.",
  "big.example.net.",
  "x.cut.example.net.",
  "www.old.example.net.",
  "chain.example.net.",
  "nowhere.example.org.",
  "example.com.",
];
const types = [
  RRType.A,
  RRType.AAAA,
  RRType.HTTPS,
  RRType.ANY,
  RRType.TXT,
  RRType.DS,
  RRType.SOA,
  0,
  41,
  251,
  252,
  65_535,
];
const options = [
  { code: 8, data: Uint8Array.of(0, 1, 24, 0, 203, 0, 113) },
  { code: 8, data: Uint8Array.of(0, 2, 48, 0, 0x20, 1, 13, 184, 0, 1) },
  { code: 3, data: new Uint8Array(0) },
  { code: 10, data: Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8) },
  { code: 11, data: new Uint8Array(0) },
];

function pick<T>(random: Pcg32, list: readonly T[]): T {
  const item = list[random.next32() % list.length];
  assert.ok(item !== undefined);
  return item;
}

function seedPacket(random: Pcg32): Uint8Array {
  const kind = random.next32() % 4;
  const edns =
    kind === 0
      ? {}
      : {
          edns: {
            udpSize: random.next32() % 5000,
            options: Array.from({ length: kind - 1 }, () => pick(random, options)),
          },
        };
  return encodeMessage(
    makeQuery(wire(pick(random, names)), pick(random, types), {
      id: random.next32() & 0xffff,
      ...edns,
    }),
  );
}

/** Flips, cuts, doubles or replaces bytes. */
function mutate(random: Pcg32, packet: Uint8Array): Uint8Array {
  const changed = Uint8Array.from(packet);
  for (let change = random.next32() % 4; change >= 0; change--) {
    changed[random.next32() % changed.length] = random.next32();
  }
  const end = random.next32() % 5 === 0 ? random.next32() % (changed.length + 1) : changed.length;
  const cut = changed.subarray(0, end);
  return random.next32() % 8 === 0 ? Uint8Array.from([...cut, ...packet.subarray(12)]) : cut;
}

function check(packet: Uint8Array, isTcp: boolean, random: Pcg32): void {
  const source =
    random.next32() % 2 === 0
      ? Uint8Array.of(203, 0, 113, 9)
      : new Uint8Array(16).fill(random.next32());
  const bytes = server.askBytes(packet, { isTcp, source });
  const text = Buffer.from(packet).toString("hex");
  const isSilent = packet.length < 12 || ((packet[2] ?? 0) & 0x80) !== 0;
  assert.equal(bytes === undefined, isSilent, text);
  if (bytes === undefined) return;
  assert.deepEqual(bytes.subarray(0, 2), packet.subarray(0, 2));
  const answer = decodeMessage(bytes);
  assert.ok(!("error" in answer), `${text} ${"error" in answer ? answer.error : ""}`);
  assert.ok(answer.flags.qr && !answer.flags.ra && !answer.flags.z && !answer.flags.ad, text);
  if (!isTcp) assert.ok(bytes.length <= (answer.edns === undefined ? 512 : 1232), text);
  if (answer.rcode === Rcode.FORMERR) assert.ok(bytes.length <= packet.length, text);
}

test(`mutated queries (seed ${SEED})`, () => {
  const random = new Pcg32(SEED);
  for (let round = 0; round < ROUNDS; round++) {
    const packet = seedPacket(random);
    check(packet, random.next32() % 4 === 0, random);
    check(mutate(random, packet), random.next32() % 4 === 0, random);
  }
});

test(`random bytes behind a query's header (seed ${SEED})`, () => {
  const random = new Pcg32(SEED + 1);
  for (let round = 0; round < ROUNDS; round++) {
    const packet = Uint8Array.from({ length: random.next32() % 80 }, () => random.next32());
    if (packet.length > 6 && random.next32() % 4 !== 0) packet.set([0, 0, 0, 1], 2);
    check(packet, false, random);
  }
});

test("every prefix of a query is answered or not, as its bytes say", () => {
  const random = new Pcg32(1);
  const packet = encodeMessage(
    makeQuery(wire("app.example.org."), RRType.A, { edns: { options } }),
  );
  for (let end = 0; end <= packet.length; end++) check(packet.subarray(0, end), false, random);
});

interface BadPacket {
  readonly name: string;
  readonly packet: Uint8Array;
  readonly rcode: number;
}

const plain = encodeMessage(makeQuery(wire("www.example.net."), RRType.A));
function patched(...changes: readonly (readonly [number, number])[]): Uint8Array {
  const packet = Uint8Array.from(plain);
  for (const [at, value] of changes) packet[at] = value;
  return packet;
}

const bad: readonly BadPacket[] = [
  { name: "QDCOUNT 0 (RFC 9619)", packet: patched([5, 0]).subarray(0, 12), rcode: Rcode.FORMERR },
  {
    name: "QDCOUNT 2 (RFC 9619)",
    packet: Uint8Array.from([...patched([5, 2]), ...plain.subarray(12)]),
    rcode: Rcode.FORMERR,
  },
  {
    name: "a compression pointer in the question",
    packet: Uint8Array.from([...plain.subarray(0, 12), 0xc0, 12, 0, 1, 0, 1]),
    rcode: Rcode.FORMERR,
  },
  { name: "a label of 64 bytes", packet: patched([12, 64]), rcode: Rcode.FORMERR },
  {
    name: "bytes behind the last record",
    packet: Uint8Array.from([...plain, 0]),
    rcode: Rcode.FORMERR,
  },
  { name: "an answer in a query", packet: patched([7, 1]), rcode: Rcode.FORMERR },
  {
    name: "a question that is cut off",
    packet: plain.subarray(0, plain.length - 1),
    rcode: Rcode.FORMERR,
  },
  { name: "class HS", packet: patched([plain.length - 1, 4]), rcode: Rcode.REFUSED },
  { name: "AXFR over UDP", packet: patched([plain.length - 3, 252]), rcode: Rcode.REFUSED },
  { name: "MAILA", packet: patched([plain.length - 3, 254]), rcode: Rcode.NOTIMP },
];

for (const { name, packet, rcode } of bad) {
  test(`${name} is answered with rcode ${rcode}, in no more bytes`, () => {
    const bytes = server.askBytes(packet);
    assert.ok(bytes !== undefined && bytes.length <= packet.length);
    assert.equal((bytes[3] ?? 0) & 0xf, rcode);
  });
}

test("a response and less than a header are met with silence", () => {
  assert.equal(server.askBytes(patched([2, 0x80])), undefined);
  assert.equal(server.askBytes(plain.subarray(0, 11)), undefined);
  assert.equal(server.askBytes(new Uint8Array(0)), undefined);
});

test("a transport with little room gets SERVFAIL or truncation, never an overrun", () => {
  for (let outputMax = 0; outputMax <= 600; outputMax++) {
    const packet = encodeMessage(makeQuery(wire("big.example.net."), RRType.TXT, { edns: {} }));
    const bytes = server.askBytes(packet, { outputMax, isTcp: true });
    assert.equal(bytes === undefined, outputMax < 12);
  }
});
