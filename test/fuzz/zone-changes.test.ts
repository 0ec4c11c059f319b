// SPDX-License-Identifier: Apache-2.0

// What changes zones from outside: dynamic updates, beside the pseudocode of RFC 2136, and zones and changes that come from another server, which
// may lie in one place.

import assert from "node:assert/strict";
import { Pcg32 } from "@meridian/core";
import {
  decodeMessage,
  encodeMessage,
  evaluateUpdate,
  formatRecord,
  isUpdateRefusal,
  makeQuery,
  nameKey,
  noFlags,
  Opcode,
  parseRdataText,
  Rcode,
  readSoa,
  readUpdate,
  RRType,
  TransferReader,
  TsigSession,
  updateNames,
  type Message,
  type ResourceRecord,
  type UpdateName,
  type ZoneRecord,
} from "@meridian/dns";
import { Transfers } from "@meridian/edge";
import { updateBySteps } from "../../packages/dns/src/update-twin.ts";
import { UpdateRequests } from "../../packages/edge/src/updates/update-requests.ts";
import { boundModel, boundZone } from "../conformance/bound-model.ts";
import { TestServer, wire } from "../conformance/test-server.ts";
import { Choices } from "./choices.ts";
import { fuzz } from "./fuzzer.ts";
import { fuzzKey, SIGNED_AT } from "./seed-messages.ts";

const ANY = 255;
const NONE = 254;
const origin = wire("example.org.");
const random = new Pcg32(6);
const seeds = Array.from({ length: 48 }, () =>
  Uint8Array.from({ length: 64 }, () => random.next32() & 0xff),
);

const texts = [
  ["A", "192.0.2.1"],
  ["A", "192.0.2.2"],
  ["AAAA", "2001:db8::1"],
  ["NS", "ns1.example.org."],
  ["NS", "NS2.example.org."],
  ["CNAME", "a.example.org."],
  ["DNAME", "b.example.net."],
  ["MX", "10 a.example.org."],
  ["TXT", '"x" "y"'],
  ["SOA", "ns1.example.org. h.example.org. 5 1 2 3 4"],
  ["SOA", "ns1.example.org. h.example.org. 1 1 2 3 4"],
] as const;
const datas = texts.map(([type, text]) => {
  const parsed = parseRdataText(RRType[type], text);
  assert.ok("rdata" in parsed, text);
  return { type: RRType[type], rdata: parsed.rdata };
});
const owners = [
  "example.org.",
  "a.example.org.",
  "A.Example.ORG.",
  "b.example.org.",
  "*.example.org.",
];

const zone: readonly ZoneRecord[] = [
  ["example.org.", 9],
  ["example.org.", 3],
  ["a.example.org.", 0],
  ["a.example.org.", 1],
  ["a.example.org.", 8],
  ["b.example.org.", 5],
].map(([owner, index]) => {
  const data = datas[Number(index)];
  assert.ok(data !== undefined);
  return { owner: wire(String(owner)), ttl: 300, ...data };
});

function madeRecord(choices: Choices, isPrerequisite: boolean): ResourceRecord {
  const outside = choices.isOneIn(16);
  const owner = wire(outside ? "example.net." : (owners[choices.below(owners.length)] ?? "."));
  const { type, rdata } = datas[choices.below(datas.length)] ?? {
    type: 1,
    rdata: new Uint8Array(4),
  };
  const rrClass = choices.isOneIn(24) ? 3 : choices.of([1, ANY, NONE]);
  const hasData = rrClass === 1 || (!isPrerequisite && rrClass === NONE);
  const isWhole = choices.isOneIn(6) && rrClass !== 1;
  return {
    owner,
    type: isWhole ? ANY : choices.isOneIn(24) ? choices.of([0, 41, 250, 252, 46]) : type,
    class: rrClass,
    ttl: choices.isOneIn(12)
      ? choices.of([1, 0x8000_0000])
      : !isPrerequisite && rrClass === 1
        ? 60
        : 0,
    rdata: hasData !== choices.isOneIn(16) ? rdata : new Uint8Array(0),
  };
}

function madeUpdate(choices: Choices): Message {
  const records = (isPrerequisite: boolean): ResourceRecord[] =>
    Array.from({ length: choices.below(isPrerequisite ? 3 : 6) }, () =>
      madeRecord(choices, isPrerequisite),
    );
  return {
    ...makeQuery(origin, choices.isOneIn(24) ? RRType.A : RRType.SOA, { id: choices.u16() }),
    flags: noFlags,
    opcode: Opcode.UPDATE,
    answer: records(true),
    authority: records(false),
  };
}

/** Names as the store has them. */
function at(name: Uint8Array): UpdateName {
  const own = zone.filter(({ owner }) => nameKey(owner) === nameKey(name));
  const types = [...new Set(own.map(({ type }) => type))];
  return {
    routed: [],
    rrsets: types.map((type) => ({
      ...{ type, ttl: 300 },
      rdatas: own.filter((record) => record.type === type).map(({ rdata }) => rdata),
    })),
  };
}

function linesOf(records: readonly ZoneRecord[]): string[] {
  return records
    .map(({ owner, type, rdata }) =>
      formatRecord({ owner, type, rdata, ttl: 0, class: 1 }).toLowerCase(),
    )
    .toSorted();
}

const transfers = new Transfers();
transfers.setSecrets(new Map([["fuzz", Buffer.from(fuzzKey.secret).toString("base64")]]));
const settings = {
  keys: [{ name: "key.example", algorithm: "hmac-sha256", secret: "fuzz" }],
  allow: [],
  transferAs: "default",
  takesUpdates: true,
} as const;
let posted = 0;
let nowMs = SIGNED_AT * 1000;
const updates = new UpdateRequests(
  transfers,
  ({ id }) => {
    posted += 1;
    updates.answer({ kind: "updated", id, answer: { rcode: Rcode.NOERROR, ede: 0, text: "" } });
  },
  () => nowMs,
);
const server = new TestServer(
  { ...boundModel, zones: [{ ...boundZone, options: { transfers: settings } }] },
  { transfers, updates },
);

fuzz({
  name: "update",
  seeds,
  run: (input) => {
    const choices = new Choices(input);
    const made = encodeMessage(madeUpdate(choices));
    const message = decodeMessage(made);
    // An OPT record that is none is no message.
    if (!("error" in message)) checkRules(message);
    // The same on the wire, perhaps signed, perhaps touched.
    nowMs += 10;
    const session = new TsigSession(fuzzKey);
    const isSigned = !choices.isOneIn(4);
    const packet = isSigned ? session.sign(made, Math.floor(nowMs / 1000)) : made.slice();
    const isTouched = choices.isOneIn(3);
    if (isTouched) {
      // Behind the id, which a forwarder may change, and before the signature.
      const where = 2 + (choices.u16() % (made.length - 2));
      packet[where] = (packet[where] ?? 0) ^ (1 + choices.below(255));
    }
    const before = posted;
    const response = server.askBytes(packet, { isTcp: choices.isOneIn(2) });
    server.handler.takeStream()?.close();
    if (!isSigned || isTouched) assert.equal(posted, before, "nothing of it is handed on");
    if (response === undefined) return;
    const answer = decodeMessage(response);
    assert.ok(!("error" in answer) && answer.flags.qr, JSON.stringify(answer));
    assert.deepEqual(response.subarray(0, 2), packet.subarray(0, 2));
  },
});

/** What update.ts makes of a message, and what the RFC's pseudocode does. */
function checkRules(message: Message): void {
  const request = readUpdate(message);
  if (isUpdateRefusal(request)) {
    assert.equal(request.rcode, Rcode.FORMERR);
    return;
  }
  const { answer: prerequisites, authority } = message;
  const expected = updateBySteps(origin, zone, prerequisites, authority);
  const result = evaluateUpdate(request, { at, mayChange: () => true });
  if (isUpdateRefusal(result)) {
    assert.equal(result.rcode, expected.rcode, JSON.stringify(result));
    return;
  }
  assert.equal(expected.rcode, Rcode.NOERROR);
  const names = new Set(updateNames(request).map(nameKey));
  for (const { owner } of result) assert.ok(names.has(nameKey(owner)));
  const changed = new Set(result.map(({ owner, type }) => `${nameKey(owner)} ${type}`));
  const after = [
    ...zone.filter(({ owner, type }) => !changed.has(`${nameKey(owner)} ${type}`)),
    ...result.flatMap(({ owner, type, after: set }) =>
      (set?.rdatas ?? []).map((rdata) => ({ owner, type, ttl: 0, rdata })),
    ),
  ];
  assert.deepEqual(linesOf(after), linesOf(expected.zone));
}

function soa(serial: number): ResourceRecord {
  const parsed = parseRdataText(
    RRType.SOA,
    `ns1.example.org. h.example.org. ${serial >>> 0} 1 2 3 4`,
  );
  assert.ok("rdata" in parsed);
  return { owner: origin, type: RRType.SOA, class: 1, ttl: 60, rdata: parsed.rdata };
}

function host(number: number): ResourceRecord {
  const owner = wire(`h${number}.example.org.`);
  return { owner, type: RRType.A, class: 1, ttl: 60, rdata: Uint8Array.of(192, 0, 2, number) };
}

/** Hosts of the version of a serial. */
function hostsOf(serial: number): number[] {
  return Array.from({ length: 12 }, (_, index) => index).filter(
    (index) => (serial * 7 + index) % 3 !== 0,
  );
}

/** The records that an honest server sends to who has `since`. */
function honest(
  since: number | undefined,
  newest: number,
  isIncremental: boolean,
): ResourceRecord[] {
  if (since === newest) return [soa(newest)];
  if (since === undefined || !isIncremental)
    return [soa(newest), ...hostsOf(newest).map(host), soa(newest)];
  const steps = Array.from({ length: newest - since }, (_, index) => since + index).flatMap(
    (from) => {
      const [before, after] = [hostsOf(from), hostsOf(from + 1)];
      const gone = before.filter((each) => !after.includes(each));
      const come = after.filter((each) => !before.includes(each));
      return [soa(from), ...gone.map(host), soa(from + 1), ...come.map(host)];
    },
  );
  return [soa(newest), ...steps, soa(newest)];
}

fuzz({
  name: "transfer-in",
  seeds,
  run: (input) => {
    const choices = new Choices(input);
    const newest = 4 + choices.below(3);
    const since = choices.isOneIn(3) ? undefined : 2 + choices.below(newest - 1);
    const records = honest(since, newest, !choices.isOneIn(3));
    const isLie = choices.isOneIn(2);
    if (isLie) lie(choices, records);
    const reader = new TransferReader({ id: 7, origin, ...(since === undefined ? {} : { since }) });
    const type = since === undefined ? RRType.AXFR : RRType.IXFR;
    const size = 1 + choices.below(8);
    for (let from = 0; from < records.length; from += size) {
      const sent = encodeMessage({
        ...makeQuery(origin, type, { id: 7 }),
        flags: { ...noFlags, qr: true, aa: true },
        answer: records.slice(from, from + size),
      });
      if (choices.isOneIn(24)) sent[choices.u16() % sent.length] = choices.byte();
      const message = decodeMessage(sent);
      if ("error" in message || !reader.take(message)) break;
    }
    const { outcome, error } = reader;
    if (!isLie && error === undefined && outcome === undefined) return;
    assert.ok(outcome === undefined || error === undefined, "of no use, or of use");
    if (outcome === undefined) return;
    if (outcome.kind === "zone") {
      assert.deepEqual(
        outcome.records.map((record) => record.type === RRType.SOA),
        outcome.records.map((_, index) => index === 0),
      );
      return;
    }
    if (outcome.kind === "current") return;
    // Each step goes on where the last one ended, and they begin at ours.
    let serial = since;
    for (const { before, after } of outcome.deltas) {
      assert.equal(readSoa(before.rdata).serial, serial);
      serial = readSoa(after.rdata).serial;
    }
    assert.equal(serial, readSoa(records[0]?.rdata ?? new Uint8Array(22)).serial);
  },
});

/** One lie: a record is left out, doubled, moved, or has another serial. */
function lie(choices: Choices, records: ResourceRecord[]): void {
  const where = choices.below(records.length);
  const other = choices.below(records.length);
  const record = records[where];
  if (record === undefined) return;
  switch (choices.below(5)) {
    case 0:
      records.splice(where, 1);
      break;
    case 1:
      records.splice(other, 0, record);
      break;
    case 2:
      records.splice(where, 1);
      records.splice(other, 0, record);
      break;
    case 3:
      records[where] = soa(choices.of([1, 2, 3, 4, 5, 6, 7, 0, -1]));
      break;
    default:
      records.length = where;
  }
}
