// SPDX-License-Identifier: Apache-2.0

// Signed requests that are right or wrong in one known way, over zones in several versions: what RFC 8945 §5.2 says of the signature, and whether
// what is sent makes the zone of the client the newest one.

import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { Pcg32 } from "@meridian/core";
import {
  BADSIG,
  decodeMessage,
  encodeMessage,
  formatRecord,
  makeQuery,
  Rcode,
  readTsig,
  RRType,
  TsigSession,
  type Message,
  type ResourceRecord,
} from "@meridian/dns";
import { Transfers } from "@meridian/edge";
import { boundModel, boundZone } from "../conformance/bound-model.ts";
import { TestServer, wire } from "../conformance/test-server.ts";
import { Choices } from "./choices.ts";
import { fuzz } from "./fuzzer.ts";
import { fuzzKey } from "./seed-messages.ts";

const NOW = 1_700_000_000;
const FUDGE = 300;
const VERSIONS = 6;
const random = new Pcg32(3);
const seeds = Array.from({ length: 32 }, () =>
  Uint8Array.from({ length: 40 }, () => random.next32() & 0xff),
);
const origin = wire("example.org.");

const transfers = new Transfers();
transfers.setSecrets(new Map([["fuzz", Buffer.from(fuzzKey.secret).toString("base64")]]));
const versions = Array.from({ length: VERSIONS }, (_, index) => versionOf(index + 1));
for (const [index, { world }] of versions.slice(1).entries())
  transfers.served(versions[index]?.world ?? world, world);
const server = versions.at(-1) ?? versionOf(1);
const zones = versions.map((version) =>
  zoneOf(recordsFor(version, encodeMessage(makeQuery(origin, RRType.AXFR))).records),
);

/** Names come and go with each version. */
function versionOf(serial: number): TestServer {
  const names = Array.from({ length: 8 }, (_, index) => index).filter(
    (index) => (serial * 5 + index) % 3 > 0,
  );
  const text = `
$ORIGIN example.org.
$TTL 300
@ SOA ns1 hostmaster ${serial} 7200 900 1209600 60
@ NS ns1
ns1 A 192.0.2.53
static A 192.0.2.2
${names.map((name) => `n${name} TXT "${Math.floor(serial / 2)}"`).join("\n")}
`;
  const key = { name: "key.example", algorithm: "hmac-sha256", secret: "fuzz" };
  const allow = [{ key: "key.example" }, { clients: ["203.0.113.0/24"] }];
  const options = { seed: 7, transfers: { keys: [key], allow, transferAs: "default" } } as const;
  const model = { ...boundModel, zones: [{ ...boundZone, text, options }] };
  const made = new TestServer(model, { transfers });
  made.nowMs = NOW * 1000;
  return made;
}

/** What is wrong with a signature, and the error that says so; 0 where nothing is. */
interface SignedPacket {
  readonly bytes: Uint8Array;
  readonly mac: Uint8Array;
  readonly error: number | "malformed";
}

/** Signs by the letter of RFC 8945 §4.3.3, knowing nothing of how it is done elsewhere. */
function signed(choices: Choices, message: Uint8Array): SignedPacket {
  const fault = choices.of([
    ...(["none", "none", "time", "mac", "short", "cut", "none"] as const),
    ...(["empty", "key", "algorithm", "class", "content", "fudge"] as const),
  ]);
  const seconds = NOW + (fault === "time" ? choices.of([FUDGE + 1, -FUDGE - 1, -NOW]) : 0);
  const name = wire(choices.of(["key.example.", "KEY.Example."]));
  const algorithm = wire(choices.of(["hmac-sha256.", "HMAC-SHA256."]));
  const keyName = fault === "key" ? wire("other.example.") : name;
  const algorithmName = fault === "algorithm" ? wire("hmac-md5.sig-alg.reg.int.") : algorithm;
  const time = Buffer.alloc(8);
  time.writeUIntBE(seconds, 0, 6);
  const fudge = fault === "fudge" ? 1 : FUDGE;
  time.writeUInt16BE(fudge, 6);
  const lower = (bytes: Uint8Array): Buffer =>
    Buffer.from(Buffer.from(bytes).toString("latin1").toLowerCase(), "latin1");
  const variables = [
    ...[lower(keyName), Uint8Array.of(0, 255, 0, 0, 0, 0), lower(algorithmName), time],
    Uint8Array.of(0, 0, 0, 0),
  ];
  const hmac = createHmac("sha256", fuzzKey.secret);
  for (const part of [message, ...variables]) hmac.update(part);
  const full = hmac.digest();
  const kept = { short: 16 + choices.below(16), cut: 1 + choices.below(15), empty: 0 };
  const isShort = fault === "short" || fault === "cut" || fault === "empty";
  const mac = full.subarray(0, isShort ? kept[fault] : 32);
  if (fault === "mac") mac[choices.below(32)] = (mac[0] ?? 0) ^ 0xff ^ choices.byte();
  const isSame = Buffer.compare(mac, hmacOf(message, variables).subarray(0, mac.length)) === 0;
  const id = choices.isOneIn(2) ? choices.u16() : undefined;
  const rdata = Buffer.concat([
    ...[algorithmName, time, Uint8Array.of(0, mac.length), mac, message.subarray(0, 2)],
    Uint8Array.of(0, 0, 0, 0),
  ]);
  const bytes = Buffer.concat([
    message,
    keyName,
    Uint8Array.of(0, 250, 0, fault === "class" ? 1 : 255, 0, 0, 0, 0, 0, rdata.length),
    rdata,
  ]);
  bytes[11] = (bytes[11] ?? 0) + 1;
  // A forwarder may have given it another id (RFC 8945 §5.1).
  if (id !== undefined) bytes.writeUInt16BE(id, 0);
  if (fault === "content") bytes[3] = (bytes[3] ?? 0) ^ 0x10;
  const errors: Record<typeof fault, number | "malformed"> = {
    ...{ none: 0, fudge: 0, time: Rcode.BADTIME, mac: isSame ? 0 : BADSIG, short: Rcode.BADTRUNC },
    ...{ cut: "malformed", empty: BADSIG, key: Rcode.BADKEY, algorithm: Rcode.BADKEY },
    ...{ class: "malformed", content: BADSIG },
  };
  return { bytes, mac, error: errors[fault] };
}

function hmacOf(message: Uint8Array, variables: readonly Uint8Array[]): Buffer {
  const hmac = createHmac("sha256", fuzzKey.secret);
  for (const part of [message, ...variables]) hmac.update(part);
  return hmac.digest();
}

fuzz({
  name: "tsig",
  seeds,
  run: (input) => {
    const choices = new Choices(input);
    const type = choices.of([RRType.SOA, RRType.A, RRType.TXT, RRType.AXFR, RRType.IXFR]);
    const isTransfer = type === RRType.AXFR || type === RRType.IXFR;
    const since = choices.below(VERSIONS + 2);
    const message = type === RRType.IXFR ? ixfr(since) : encodeMessage(makeQuery(origin, type));
    const { bytes, mac, error } = signed(choices, message);
    const response = server.askBytes(bytes, { isTcp: true });
    const stream = server.handler.takeStream();
    if (error !== 0) {
      stream?.close();
      assert.equal(stream, undefined, "nothing is sent for it");
      assert.ok(response !== undefined);
      checkRefusal(bytes, response, error, mac);
      return;
    }
    const session = new TsigSession(fuzzKey);
    session.sign(message, NOW);
    assert.equal(stream !== undefined, isTransfer);
    const records: ResourceRecord[] = [];
    for (let next = stream?.next() ?? response; next !== undefined; next = stream?.next()) {
      assert.deepEqual(next.subarray(0, 2), Uint8Array.from(bytes.subarray(0, 2)), "the id");
      records.push(...decoded(next).answer);
    }
    stream?.close();
    if (isTransfer) checkZone(since, type, records);
  },
});

/** RFC 8945 §5.2 and §5.3.2. */
function checkRefusal(
  request: Uint8Array,
  response: Uint8Array,
  error: number | "malformed",
  mac: Uint8Array,
): void {
  assert.deepEqual(response.subarray(0, 2), Uint8Array.from(request.subarray(0, 2)));
  const { rcode } = decoded(response);
  if (error === "malformed") {
    assert.equal(rcode, Rcode.FORMERR);
    return;
  }
  assert.equal(rcode, Rcode.NOTAUTH);
  const record = readTsig(response);
  assert.ok(record !== undefined && record !== "malformed");
  assert.equal(record.error, error);
  const isUnsigned = error === BADSIG || error === Rcode.BADKEY;
  assert.equal(record.mac.length, isUnsigned ? 0 : 32);
  if (isUnsigned) return;
  const prior = Uint8Array.of(mac.length >> 8, mac.length);
  const bare = Buffer.from(response.subarray(0, record.start));
  bare[11] = (bare[11] ?? 0) - 1;
  bare.writeUInt16BE(record.originalId, 0);
  const time = Buffer.alloc(8);
  time.writeUIntBE(record.timeSigned, 0, 6);
  time.writeUInt16BE(record.fudge, 6);
  const variables = [
    ...[record.name, Uint8Array.of(0, 255, 0, 0, 0, 0), record.algorithm, time],
    Uint8Array.of(error >> 8, error, 0, record.other.length),
    record.other,
  ];
  const expected = createHmac("sha256", fuzzKey.secret);
  for (const part of [prior, mac, bare, ...variables]) expected.update(part);
  assert.deepEqual(Buffer.from(record.mac), expected.digest());
}

fuzz({
  name: "transfer",
  seeds,
  run: (input) => {
    const choices = new Choices(input);
    const since = choices.below(VERSIONS + 2);
    const type = choices.of([RRType.IXFR, RRType.IXFR, RRType.AXFR]);
    const isTcp = !choices.isOneIn(6);
    const message = Buffer.from(
      type === RRType.AXFR ? encodeMessage(makeQuery(origin, type)) : ixfr(since),
    );
    const isTouched = choices.isOneIn(3);
    if (isTouched) {
      const at = choices.u16() % message.length;
      message[at] = (message[at] ?? 0) ^ choices.byte();
    }
    const { records, response, isSent } = recordsFor(server, message, isTcp);
    assert.ok(isTouched || isSent || !isTcp, "an allowed transfer is sent");
    if (response !== undefined && !isSent) {
      decoded(response);
      if (!isTcp) assert.ok(response.length <= 512);
      return;
    }
    const asked = decodeMessage(message);
    const soa = "error" in asked ? undefined : asked.authority[0];
    if (!isSent || !isTcp || "error" in asked || (isTouched && soa !== undefined)) return;
    checkZone(since, asked.question[0]?.type ?? 0, records);
  },
});

/** What came makes of the version that the client has the newest one. */
function checkZone(since: number, type: number, records: readonly ResourceRecord[]): void {
  const newest = zones.at(-1);
  if (type === RRType.IXFR && records.length === 1) {
    assert.ok(since >= VERSIONS, "nothing newer");
    return;
  }
  const isWhole = type === RRType.AXFR || records[1]?.type !== RRType.SOA;
  const have = isWhole ? undefined : zones[since - 1];
  assert.ok(isWhole || have !== undefined, `changes since ${since}`);
  assert.deepEqual(have === undefined ? zoneOf(records) : applied(have, records), newest);
}

/** All that comes of a request from 203.0.113.1, and whether it is a transfer. */
function recordsFor(
  from: TestServer,
  request: Uint8Array,
  isTcp = true,
): {
  readonly records: readonly ResourceRecord[];
  readonly response: Uint8Array | undefined;
  readonly isSent: boolean;
} {
  const response = from.askBytes(request, { isTcp, source: Uint8Array.of(203, 0, 113, 1) });
  const stream = from.handler.takeStream();
  const records: ResourceRecord[] = [];
  for (let next = stream?.next(); next !== undefined; next = stream?.next())
    records.push(...decoded(next).answer);
  stream?.close();
  return { records, response, isSent: stream !== undefined };
}

function ixfr(since: number): Uint8Array {
  const serial = Buffer.alloc(20);
  serial.writeUInt32BE(since);
  const rdata = Buffer.concat([Buffer.alloc(2), serial]);
  const soa = { owner: origin, type: RRType.SOA, class: 1, ttl: 0, rdata };
  return encodeMessage({ ...makeQuery(origin, RRType.IXFR), authority: [soa] });
}

function zoneOf(records: readonly ResourceRecord[]): string[] {
  return [...new Set(records.map(lineOf))].toSorted();
}

/** RFC 1995 §4. */
function applied(zone: readonly string[], records: readonly ResourceRecord[]): string[] {
  const lines = new Set(zone);
  let isAdding = true;
  for (const record of records.slice(1, -1)) {
    if (record.type === RRType.SOA) isAdding = !isAdding;
    const line = lineOf(record);
    if (isAdding) lines.add(line);
    else assert.ok(lines.delete(line), `${line} is not there`);
  }
  return [...lines].toSorted();
}

function lineOf(record: ResourceRecord): string {
  return formatRecord(record);
}

function decoded(bytes: Uint8Array): Message {
  const message = decodeMessage(bytes);
  assert.ok(!("error" in message), JSON.stringify(message));
  return message;
}
