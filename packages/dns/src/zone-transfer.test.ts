// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import { RRType, Rcode } from "./constants.ts";
import { decodeMessage } from "./message-decode.ts";
import { encodeMessage } from "./message-encode.ts";
import { makeQuery, noFlags, type Message, type ResourceRecord } from "./message.ts";
import { parseName } from "./name-text.ts";
import { parseRdataText } from "./rdata.ts";
import { decodeRecords, encodeRecords } from "./record-bytes.ts";
import { TransferReader, isSerialAfter, type TransferOutcome } from "./zone-transfer.ts";

const origin = wire("example.org.");

function wire(text: string): Uint8Array {
  const name = parseName(text);
  assert.ok(name instanceof Uint8Array);
  return name;
}

function record(owner: string, type: keyof typeof RRType, text: string): ResourceRecord {
  const parsed = parseRdataText(RRType[type], text);
  assert.ok("rdata" in parsed, text);
  return { owner: wire(owner), type: RRType[type], class: 1, ttl: 60, rdata: parsed.rdata };
}

const soa = (serial: number): ResourceRecord =>
  record("example.org.", "SOA", `ns1.example.org. h.example.org. ${serial} 7200 900 86400 60`);
const ns = record("example.org.", "NS", "ns1.example.org.");
const host = (number: number): ResourceRecord =>
  record(`h${number}.example.org.`, "A", `192.0.2.${number}`);

function message(answer: readonly ResourceRecord[], since?: number): Message {
  const type = since === undefined ? RRType.AXFR : RRType.IXFR;
  return {
    ...makeQuery(origin, type, { id: 7 }),
    flags: { ...noFlags, qr: true, aa: true },
    answer,
  };
}

/** Reads records, so many a message; through bytes, as they come. */
function read(
  records: readonly ResourceRecord[],
  since?: number,
  perMessage = 2,
): TransferOutcome | string | undefined {
  const reader = new TransferReader({ id: 7, origin, ...(since === undefined ? {} : { since }) });
  for (let at = 0; at < records.length; at += perMessage) {
    const sent = message(records.slice(at, at + perMessage), since);
    const came = decodeMessage(encodeMessage(sent));
    assert.ok(!("error" in came));
    const isMore = reader.take(came);
    if (reader.error !== undefined) return reader.error;
    assert.equal(isMore, !reader.isDone);
  }
  return reader.outcome;
}

test("a zone comes between two SOAs; records outside it are left out", () => {
  const outside = record("example.net.", "A", "192.0.2.1");
  for (const perMessage of [1, 2, 100]) {
    const outcome = read([soa(3), ns, host(1), outside, host(2), soa(3)], undefined, perMessage);
    assert.ok(typeof outcome === "object" && outcome.kind === "zone");
    assert.deepEqual(
      outcome.records.map(({ type }) => type),
      [RRType.SOA, RRType.NS, RRType.A, RRType.A],
    );
  }
  // The same as the answer to IXFR (RFC 1995 §4).
  const instead = read([soa(9), ns, host(1), soa(9)], 3);
  assert.equal(typeof instead === "object" && instead.kind, "zone");
});

test("changes go from our serial to the first one that came, step by step", () => {
  const outcome = read(
    [soa(5), soa(3), host(1), soa(4), host(2), soa(4), soa(5), host(3), host(4), soa(5)],
    3,
  );
  assert.ok(typeof outcome === "object" && outcome.kind === "changes");
  assert.deepEqual(
    outcome.deltas.map(({ removed, added }) => [removed.length, added.length]),
    [
      [1, 1],
      [0, 2],
    ],
  );
  assert.deepEqual(read([soa(3)], 3), { kind: "current", serial: 3 });
  assert.deepEqual(read([soa(2)], 3), { kind: "current", serial: 2 });
});

test("what does not fit is refused with what is wrong", () => {
  const cases: readonly [RegExp, readonly ResourceRecord[], number?][] = [
    [/first record is no SOA/, [ns, soa(3)]],
    [/ends with serial 4, expected 3/, [soa(3), ns, soa(4)]],
    [/come after its end/, [soa(3), ns, soa(3), host(1)]],
    [/after its end/, [soa(3), ns, host(2), soa(3), host(1)]],
    [/begin at serial 2, expected 3/, [soa(5), soa(2), host(1), soa(5), soa(5)], 3],
    [/begin at serial 3, expected a whole zone/, [soa(3), soa(3)]],
    [/leads to serial 6, beyond 5/, [soa(5), soa(3), host(1), soa(6), host(2), soa(6)], 3],
    [/go on at serial 7, expected 4/, [soa(8), soa(3), host(1), soa(4), soa(7), soa(8), soa(8)], 3],
    [/leads back to serial 2/, [soa(5), soa(3), host(1), soa(2), host(2), soa(5)], 3],
    [/not at its apex/, [soa(3), ns, { ...soa(3), owner: wire("sub.example.org.") }]],
    [/none that a zone can hold/, [soa(3), ns, { ...host(1), rdata: Uint8Array.of(1, 2) }]],
    [/none that a zone can hold/, [soa(3), ns, { ...host(1), class: 3 }]],
    [/none that a zone can hold/, [soa(3), ns, { ...host(1), type: 252 }]],
    [/not newer/, [soa(3), host(1)], 3],
  ];
  for (const [expected, records, since] of cases) {
    const found = read(records, since);
    assert.ok(
      typeof found === "string" && expected.test(found),
      `${JSON.stringify(found)}, not ${expected}`,
    );
  }
  assert.equal(read([soa(3), ns, host(1)]), undefined, "cut off");
  assert.equal(read([soa(5), soa(3), host(1), soa(5)], 3), undefined, "cut off");
});

test("each message has to be one of the exchange", () => {
  const good = message([soa(3), ns, soa(3)]);
  const bad: readonly Message[] = [
    { ...good, id: 8 },
    { ...good, opcode: 5 },
    { ...good, rcode: Rcode.REFUSED },
    { ...good, flags: { ...good.flags, qr: false } },
    { ...good, flags: { ...good.flags, tc: true } },
    { ...good, question: [{ name: wire("example.net."), type: RRType.AXFR, class: 1 }] },
    { ...good, question: [] },
    { ...good, answer: [] },
  ];
  for (const each of bad) {
    const reader = new TransferReader({ id: 7, origin });
    assert.equal(reader.take(each), false);
    assert.equal(reader.outcome, undefined);
    assert.notEqual(reader.error, undefined);
  }
});

test("serials are compared as RFC 1982 says", () => {
  assert.ok(isSerialAfter(1, 0));
  assert.ok(isSerialAfter(0, 0xffff_ffff));
  assert.ok(!isSerialAfter(0, 1));
  assert.ok(!isSerialAfter(5, 5));
  assert.ok(!isSerialAfter(0x8000_0000, 0));
});

test("any order of records is read to an end or an error, and bytes of records come back", () => {
  const some = fc.constantFrom(soa(3), soa(4), soa(5), ns, host(1), host(2));
  fc.assert(
    fc.property(
      fc.array(some, { maxLength: 12 }),
      fc.option(fc.constantFrom(3, 4), { nil: undefined }),
      fc.integer({ min: 1, max: 4 }),
      (records, since, perMessage) => {
        const found = read(records, since, perMessage);
        if (typeof found !== "object" || found.kind === "current") return;
        const last = records.findLast(({ type }) => type === RRType.SOA);
        assert.deepEqual(records[0], last, "it ends with the SOA it began with");
        if (found.kind === "zone")
          assert.deepEqual(decodeRecords(encodeRecords(found.records)), found.records);
        else assert.ok(found.deltas.length > 0);
      },
    ),
  );
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => {
      const records = decodeRecords(bytes);
      if (records !== undefined) assert.deepEqual(encodeRecords(records), bytes);
    }),
  );
});
