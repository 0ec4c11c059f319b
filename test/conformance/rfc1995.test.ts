// SPDX-License-Identifier: Apache-2.0

// IXFR (RFC 1995): what has changed since a serial, as a client puts it together.

import assert from "node:assert/strict";
import { test } from "node:test";
import { Pcg32 } from "@meridian/core";
import { Transfers } from "@meridian/edge";
import {
  RRType,
  decodeMessage,
  encodeMessage,
  formatRecord,
  makeQuery,
  type ResourceRecord,
} from "@meridian/dns";
import type { TransferSettings } from "@meridian/snapshot";
import { boundModel, boundZone } from "./bound-model.ts";
import { TestServer, loadModel, wire, type TestModel } from "./test-server.ts";

const source = Uint8Array.of(192, 0, 2, 1);
const settings: TransferSettings = {
  keys: [],
  allow: [{ clients: ["0.0.0.0/0"] }],
  transferAs: "default",
};

test("the changes since any serial make the zone of one the zone of the other", () => {
  const random = new Pcg32(5);
  const transfers = new Transfers();
  const names = new Map<string, string>();
  const versions = Array.from({ length: 20 }, (_, version) => {
    if (version > 0) change(names, random);
    return new TestServer(modelOf(names, version + 1), { transfers });
  });
  for (const [version, server] of versions.entries()) {
    const before = versions[version - 1];
    if (before !== undefined) transfers.served(before.world, server.world);
  }
  const last = versions.at(-1);
  assert.ok(last !== undefined);
  const wanted = zoneOf(ask(last, RRType.AXFR));
  for (const [version, server] of versions.entries()) {
    const records = ask(last, RRType.IXFR, version + 1);
    if (server === last) {
      assert.equal(records.length, 1, "nothing newer");
      continue;
    }
    assert.equal(records[1]?.type, RRType.SOA, "not the whole zone");
    assert.deepEqual(applied(zoneOf(ask(server, RRType.AXFR)), records), wanted);
  }
  // A serial that is not kept, and a zone that has another form, give the whole zone.
  assert.deepEqual(zoneOf(ask(last, RRType.IXFR, 4_000_000_000)), wanted);
  const other = loadModel(modelOf(names, 21, { ...settings, transferAs: "omit" }));
  transfers.served(last.world, other);
  const bare = new TestServer(other, { transfers });
  assert.notEqual(ask(bare, RRType.IXFR, 20)[1]?.type, RRType.SOA);
  // Over UDP the SOA alone.
  const overUdp = last.askBytes(ixfr(1), { source });
  assert.ok(overUdp !== undefined);
  const answer = decodeMessage(overUdp);
  assert.ok(!("error" in answer));
  assert.deepEqual(
    answer.answer.map(({ type }) => type),
    [RRType.SOA],
  );
});

function change(names: Map<string, string>, random: Pcg32): void {
  for (let count = 1 + below(random, 3); count > 0; count--) {
    const name = `n${below(random, 12)}.d${below(random, 3)}`;
    if (names.has(name) && below(random, 3) === 0) names.delete(name);
    else names.set(name, `${60 + below(random, 2)} TXT "${below(random, 1000)}"`);
  }
}

function modelOf(
  names: ReadonlyMap<string, string>,
  serial: number,
  transfers: TransferSettings = settings,
): TestModel {
  const text = `
$ORIGIN example.org.
$TTL 300
@ SOA ns1 hostmaster ${serial} 7200 900 1209600 60
@ NS ns1
ns1 A 192.0.2.53
static A 192.0.2.2
static AAAA 2001:db8::2
${[...names].map(([name, rest]) => `${name} ${rest}`).join("\n")}
`;
  return { ...boundModel, zones: [{ ...boundZone, text, options: { seed: 7, transfers } }] };
}

function ixfr(since: number): Uint8Array {
  const serial = Buffer.alloc(20);
  serial.writeUInt32BE(since);
  const rdata = Buffer.concat([Buffer.alloc(2), serial]);
  const soa = { owner: wire("example.org."), type: RRType.SOA, class: 1, ttl: 0, rdata };
  return encodeMessage({ ...makeQuery(wire("example.org."), RRType.IXFR), authority: [soa] });
}

/** All records of a transfer. */
function ask(server: TestServer, type: number, since = 0): ResourceRecord[] {
  const query =
    type === RRType.IXFR ? ixfr(since) : encodeMessage(makeQuery(wire("example.org."), type));
  server.askBytes(query, { isTcp: true, source });
  const stream = server.handler.takeStream();
  assert.ok(stream !== undefined);
  const records: ResourceRecord[] = [];
  for (let bytes = stream.next(); bytes !== undefined; bytes = stream.next()) {
    const message = decodeMessage(bytes);
    assert.ok(!("error" in message), JSON.stringify(message));
    records.push(...message.answer);
  }
  return records;
}

function zoneOf(records: readonly ResourceRecord[]): string[] {
  return records.slice(0, -1).map(formatRecord).toSorted();
}

/** RFC 1995 §4: what a client makes of a zone by an IXFR. Whatever it takes away has to be there. */
function applied(zone: readonly string[], records: readonly ResourceRecord[]): string[] {
  const content = new Set(zone);
  let removes = false;
  for (const record of records.slice(1, -1)) {
    if (record.type === RRType.SOA) removes = !removes;
    const text = formatRecord(record);
    if (removes) assert.ok(content.delete(text), `${text} is not there`);
    else content.add(text);
  }
  return [...content].toSorted();
}

function below(random: Pcg32, limit: number): number {
  return random.next32() % limit;
}
