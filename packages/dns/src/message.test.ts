// SPDX-License-Identifier: Apache-2.0

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { RRType, Rcode } from "./constants.ts";
import { edeOption, ecsOption, nsidOption } from "./edns-option.ts";
import {
  fullRcode,
  makeQuery,
  noFlags,
  type DecodeError,
  type Edns,
  type HeaderFlags,
  type Message,
  type ResourceRecord,
} from "./message.ts";
import { decodeMessage } from "./message-decode.ts";
import { encodeMessage } from "./message-encode.ts";
import { formatMessage } from "./message-format.ts";
import { parseName } from "./name-text.ts";
import { parseRdataText } from "./rdata.ts";

function name(text: string): Uint8Array {
  const wire = parseName(text);
  assert.ok(wire instanceof Uint8Array);
  return wire;
}

function record(owner: string, type: number, ttl: number, text: string): ResourceRecord {
  const result = parseRdataText(type, text);
  assert.ok("rdata" in result);
  return { owner: name(owner), type, class: 1, ttl, rdata: result.rdata };
}

function decoded(bytes: Uint8Array): Message {
  const message = decodeMessage(bytes);
  assert.ok(!("error" in message), JSON.stringify(message));
  return message;
}

function refused(bytes: readonly number[] | Uint8Array): DecodeError {
  const message = decodeMessage(Uint8Array.from(bytes));
  assert.ok("error" in message);
  return message;
}

const sample: Message = {
  ...makeQuery(name("www.example.org."), RRType.A, {
    id: 4660,
    edns: {
      do: true,
      options: [
        ecsOption(Uint8Array.of(192, 0, 2, 77), 24, 20),
        nsidOption("eu-1"),
        edeOption(15, "no"),
      ],
    },
  }),
  flags: { ...noFlags, qr: true, aa: true, rd: true },
  answer: [
    record("www.example.org.", RRType.CNAME, 300, "web.example.net."),
    record("web.example.net.", RRType.A, 60, "192.0.2.1"),
  ],
  authority: [record("example.org.", RRType.SOA, 300, "ns1.example.org. h.example.org. 1 2 3 4 5")],
  additional: [
    record("_s._tcp.example.org.", RRType.SRV, 5, "1 2 3 www.example.org."),
    record("example.org.", RRType.MX, 5, "10 www.example.org."),
  ],
};

const anyName = fc
  .array(fc.constantFrom("a", "b", "B", "example", "org", "x".repeat(20)), { maxLength: 6 })
  .map((labels) => name(`${labels.join(".")}.`));

const flags: fc.Arbitrary<HeaderFlags> = fc.record({
  qr: fc.boolean(),
  aa: fc.boolean(),
  tc: fc.boolean(),
  rd: fc.boolean(),
  ra: fc.boolean(),
  z: fc.boolean(),
  ad: fc.boolean(),
  cd: fc.boolean(),
});

const u16 = fc.nat(65_535);
const someBytes = fc.uint8Array({ maxLength: 20 });

const anyRecord: fc.Arbitrary<ResourceRecord> = fc
  .record({ owner: anyName, ttl: fc.nat(0xffffffff), target: anyName, other: anyName, someBytes })
  .chain(({ owner, ttl, target, other, someBytes: bytes }) =>
    fc
      .constantFrom<Pick<ResourceRecord, "type" | "rdata">>(
        { type: RRType.NS, rdata: target },
        { type: RRType.DNAME, rdata: target },
        { type: RRType.MX, rdata: Uint8Array.from([0, 10, ...target]) },
        { type: RRType.SRV, rdata: Uint8Array.from([0, 1, 0, 2, 0, 3, ...target]) },
        { type: RRType.SOA, rdata: Uint8Array.from([...target, ...other, ...new Uint8Array(20)]) },
        { type: RRType.TXT, rdata: bytes },
        { type: 65_280, rdata: bytes },
      )
      .map((data) => ({ owner, class: 1, ttl, ...data })),
  );

const anyEdns: fc.Arbitrary<Edns> = fc.record({
  udpSize: u16,
  version: fc.nat(255),
  do: fc.boolean(),
  extendedRcode: fc.nat(255),
  options: fc.array(fc.record({ code: u16, data: someBytes }), { maxLength: 3 }),
});

const anyMessage: fc.Arbitrary<Message> = fc.record(
  {
    id: u16,
    opcode: fc.nat(15),
    rcode: fc.nat(15),
    flags,
    question: fc.array(fc.record({ name: anyName, type: u16, class: u16 }), { maxLength: 2 }),
    answer: fc.array(anyRecord, { maxLength: 5 }),
    authority: fc.array(anyRecord, { maxLength: 3 }),
    additional: fc.array(anyRecord, { maxLength: 3 }),
    edns: anyEdns,
  },
  {
    requiredKeys: [
      "id",
      "opcode",
      "rcode",
      "flags",
      "question",
      "answer",
      "authority",
      "additional",
    ],
  },
);

test("decodeMessage() reads back what encodeMessage() wrote, compressed or not", () => {
  fc.assert(
    fc.property(anyMessage, fc.boolean(), (message, compress) => {
      const bytes = encodeMessage(message, { compress });
      assert.deepEqual(decoded(bytes), plain(message));
      assert.ok(bytes.length <= encodeMessage(message, { compress: false }).length);
    }),
    { numRuns: 500 },
  );
});

test("decodeMessage() survives random and mutated bytes, and reads only them", () => {
  const original = encodeMessage(sample);
  const mutation = fc.record({ at: fc.nat(original.length - 1), value: fc.nat(255) });
  const mutated = fc
    .tuple(fc.array(mutation, { minLength: 1, maxLength: 8 }), fc.nat(original.length))
    .map(([mutations, length]) => {
      const bytes = original.slice();
      for (const { at, value } of mutations) {
        bytes[at] = value;
      }
      return bytes.subarray(0, length < 20 ? length : original.length);
    });
  const counted = fc
    .tuple(u16, fc.uint8Array({ maxLength: 200 }))
    .map(([bits, tail]) =>
      Uint8Array.from([0, 1, bits >>> 8, bits & 255, 0, 1, 0, 1, 0, 0, 0, 1, ...tail]),
    );
  fc.assert(
    fc.property(fc.oneof(fc.uint8Array({ maxLength: 300 }), mutated, counted), (bytes) => {
      const result = decodeMessage(bytes);
      if ("error" in result) {
        assert.ok(result.offset >= 0 && result.offset <= bytes.length);
      } else {
        formatMessage(result);
        assert.deepEqual(decoded(encodeMessage(result)), result);
      }
      // The same bytes inside a larger buffer full of other data decode alike.
      const larger = new Uint8Array(bytes.length + 300).fill(1);
      larger.set(bytes, 100);
      assert.deepEqual(decodeMessage(larger.subarray(100, 100 + bytes.length)), result);
    }),
    { numRuns: 20_000 },
  );
});

test("decodeMessage() refuses every proper prefix of a message", () => {
  const bytes = encodeMessage(sample);
  for (let length = 0; length < bytes.length; length++) {
    refused(bytes.subarray(0, length));
  }
});

test("decodeMessage() refuses pointers that do not go back, and other malformed messages", () => {
  const header = [0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0];
  const tail = [0, 1, 0, 1];
  assert.match(refused([...header, 0xc0, 12, ...tail]).error, /backwards/);
  assert.match(refused([...header, 0xc0, 14, ...tail]).error, /backwards/);
  assert.match(refused([...header, 1, 97, 0xc0, 12, ...tail]).error, /backwards/);
  // Two pointers at 23 and 25, to each other; the next owner, at 27, points to the first.
  const record = [0, 255, 0, 0, 1, 0, 0, 0, 0, 0, 4, 0xc0, 25, 0xc0, 23];
  const twoAnswers = [0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0];
  const cycle = refused([...twoAnswers, ...record, 0xc0, 23, ...Array<number>(20).fill(0)]);
  assert.deepEqual(cycle, { error: "compression pointer does not point backwards", offset: 23 });
  assert.match(refused([...header, 0x40, 0, ...tail]).error, /reserved/);
  assert.match(refused([...header, 0, ...tail, 0]).error, /after the end/);
  assert.match(refused([0, 0, 0, 0, 255, 255, 0, 0, 0, 0, 0, 0]).error, /counts/);
  assert.match(refused([...header, ...Array<number>(280).fill(1), 0, ...tail]).error, /255/);
  assert.deepEqual(refused([1, 2]), { error: "header is cut off", offset: 2 });
});

test("decodeMessage() does bounded work on chains of pointers and expanding names", () => {
  const bytes = new Uint8Array(65_535);
  bytes[7] = 0;
  // A ladder of pointers, each to the one before, as the rdata of the first record.
  let at = 12;
  bytes.set([0, 255, 0, 0, 1, 0, 0, 0, 0, 0x3e, 0], at);
  at += 11;
  const ladder = at;
  for (let i = 1; i < 0x3e00 / 2; i++) {
    const target = ladder + (i - 1) * 2;
    bytes.set([0xc0 | (target >>> 8), target & 255], ladder + i * 2);
  }
  at = ladder + 0x3e00;
  let count = 1;
  const top = at - 2;
  for (; at + 12 <= bytes.length; at += 12) {
    bytes.set([0xc0 | (top >>> 8), top & 255, 0, 16, 0, 1, 0, 0, 0, 0, 0, 0], at);
    count++;
  }
  bytes.set([count >>> 8, count & 255], 6);
  const started = process.cpuUsage();
  const result = refused(bytes.subarray(0, at));
  const { user } = process.cpuUsage(started);
  assert.match(result.error, /pointers/);
  assert.ok(user < 1_000_000, `took ${user} µs`);
});

test("decodeMessage() refuses a second OPT, a named one, and one outside additional", () => {
  const opt = { owner: name("."), type: RRType.OPT, class: 512, ttl: 0, rdata: new Uint8Array(0) };
  const base = makeQuery(name("."), RRType.NS);
  for (const message of [
    { ...base, answer: [opt] },
    { ...base, additional: [opt, opt] },
    { ...base, additional: [{ ...opt, owner: name("a.") }] },
  ]) {
    assert.match(refused(encodeMessage(message)).error, /misplaced/);
  }
  assert.match(
    refused(encodeMessage({ ...base, additional: [{ ...opt, rdata: Uint8Array.of(0, 1, 0, 9) }] }))
      .error,
    /option is cut off/,
  );
});

test("encodeMessage() compresses owners and RFC 1035 rdata, never SRV or DNAME", () => {
  const target = "www.example.org.";
  const length = (type: number, text: string): number =>
    encodeMessage({ ...makeQuery(name(target), 1), answer: [record(target, type, 1, text)] })
      .length;
  const base = encodeMessage(makeQuery(name(target), 1)).length + 2 + 10;
  assert.equal(length(RRType.NS, target), base + 2);
  assert.equal(length(RRType.MX, `1 ${target}`), base + 4);
  assert.equal(length(RRType.DNAME, target), base + 17);
  assert.equal(length(RRType.SRV, `1 2 3 ${target}`), base + 6 + 17);
});

test("encodeMessage() marks TC where records do not fit, and stays decodable", () => {
  const rdata = new Uint8Array(30_000);
  const big = { owner: name("big."), type: 65_280, class: 1, ttl: 1, rdata };
  const message = { ...makeQuery(name("q."), 1), answer: [big, big, big], authority: [big] };
  const result = decoded(
    encodeMessage({ ...message, additional: [record("x.big.", 1, 1, "1.2.3.4")] }),
  );
  assert.ok(result.flags.tc);
  assert.deepEqual(
    [result.answer.length, result.authority.length, result.additional.length],
    [2, 0, 1],
  );
});

test("encodeMessage() never points into a record that it took back", () => {
  const big = {
    owner: name("big."),
    type: 65_280,
    class: 1,
    ttl: 1,
    rdata: new Uint8Array(14_000),
  };
  const lost = { ...big, owner: name("lost.example."), rdata: new Uint8Array(60_000) };
  const kept = record("x.lost.example.", RRType.NS, 1, "lost.example.");
  const message = { ...makeQuery(name("q."), 1), answer: [big, lost], authority: [kept, kept] };
  assert.deepEqual(decoded(encodeMessage(message)).authority, [kept, kept]);
});

test("encodeMessage() never points past the first 16 KiB", () => {
  const big = {
    owner: name("big."),
    type: 65_280,
    class: 1,
    ttl: 1,
    rdata: new Uint8Array(16_370),
  };
  const late = record("a.late.example.", RRType.MX, 1, "1 b.late.example.");
  const message = { ...makeQuery(name("q."), 1), answer: [big, late, late], authority: [late] };
  assert.deepEqual(decoded(encodeMessage(message)), message);
});

test("encodeMessage() asserts that names are in wire form", () => {
  assert.throws(() => encodeMessage(makeQuery(Uint8Array.of(3, 97), 1)), /wire form/);
});

test("fullRcode() joins header and EDNS bits", () => {
  const edns = { extendedRcode: 1 };
  assert.equal(fullRcode(makeQuery(name("."), 1, { edns })), Rcode.BADVERS);
  assert.equal(fullRcode({ ...makeQuery(name("."), 1, { edns }), rcode: 7 }), Rcode.BADCOOKIE);
});

test("formatMessage() looks like dig", () => {
  assert.equal(
    formatMessage(sample),
    `;; ->>HEADER<<- opcode: QUERY, status: NOERROR, id: 4660
;; flags: qr aa rd; QUERY: 1, ANSWER: 2, AUTHORITY: 1, ADDITIONAL: 3

;; OPT PSEUDOSECTION:
; EDNS: version: 0, flags: do; udp: 1232
; CLIENT-SUBNET: 192.0.2.0/24/20
; NSID: 65752d31 ("eu-1")
; EDE: 15 (blocked): "no"

;; QUESTION SECTION:
;www.example.org.\t\tIN\tA

;; ANSWER SECTION:
www.example.org.\t300\tIN\tCNAME\tweb.example.net.
web.example.net.\t60\tIN\tA\t192.0.2.1

;; AUTHORITY SECTION:
example.org.\t300\tIN\tSOA\tns1.example.org. h.example.org. 1 2 3 4 5

;; ADDITIONAL SECTION:
_s._tcp.example.org.\t5\tIN\tSRV\t1 2 3 www.example.org.
example.org.\t5\tIN\tMX\t10 www.example.org.
`,
  );
});

/** The same values without what fast-check adds (null prototypes). */
function plain(message: Message): Message {
  return structuredClone(message);
}
