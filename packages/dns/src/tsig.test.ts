// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { Rcode } from "./constants.ts";
import { makeQuery } from "./message.ts";
import { decodeMessage } from "./message-decode.ts";
import { encodeMessage } from "./message-encode.ts";
import { parseName } from "./name-text.ts";
import { readTsig, type TsigRecord } from "./tsig-record.ts";
import {
  BADSIG,
  TsigSession,
  keyOf,
  tsigAlgorithms,
  tsigBytes,
  tsigTime,
  withTsigError,
  type TsigKey,
} from "./tsig.ts";

const NOW = 1_795_406_073;
const secret = Buffer.from("0123456789abcdef");
const other = key("hmac-sha256", "other.example.");

// What two other implementations sent: `kdig -y hmac-sha256:Key.Example:…` and `dig -y hmac-sha512:Key.Example:…`, the latter with EDNS.
const sent = {
  "hmac-sha256":
    "7c610120000100000000000103777777076578616d706c650000010001036b6579076578616d706c650000fa00ff00000000003d" +
    "0b686d61632d7368613235360000006b03b8f9012c002025265bd4da7d2bb81668fede45c97eeedeee40c46fbf4b8221359f2f5db7cd817c6100000000",
  "hmac-sha512":
    "49370120000100000000000203777777076578616d706c65000001000100002904d000000000000c000a00088f5a9092aab17eaf" +
    "036b6579076578616d706c650000fa00ff00000000005d0b686d61632d7368613531320000006b03b8fa012c004056aa019a5975" +
    "7ac028199c7c863b194a9a2f2640aa91f39bf456579a36c1de08e0c1244224b2505f232f95f0f9f52b46a4ff05b39f4a5bb5b4ce8fc6e8cf3d8c493700000000",
} as const;

test("a signature of another implementation is verified, and made alike", () => {
  for (const [algorithm, hex] of Object.entries(sent) as [keyof typeof sent, string][]) {
    const message = Buffer.from(hex, "hex");
    const record = recordOf(message);
    const own = key(algorithm);
    assert.equal(keyOf(record, [other, own]), own);
    assert.equal(new TsigSession(own).verify(message, record, NOW), Rcode.NOERROR);
    const bare = Uint8Array.from(message.subarray(0, record.start));
    bare[11] = bare[11]! - 1;
    const signed = new TsigSession(own).sign(bare, record.timeSigned);
    assert.deepEqual(Buffer.from(signed), message);
    assert.ok(signed.length - bare.length <= tsigBytes(own));
    assert.ok(!("error" in decodeMessage(signed)));
  }
});

test("both sides of an exchange of several messages follow each other", () => {
  for (const algorithm of tsigAlgorithms) {
    const client = new TsigSession(key(algorithm));
    const server = new TsigSession(key(algorithm));
    const request = client.sign(query(1), NOW);
    assert.equal(server.verify(request, recordOf(request), NOW), Rcode.NOERROR);
    for (let message = 0; message < 3; message++)
      assert.equal(client.verifyNext(server.sign(query(1), NOW), NOW), Rcode.NOERROR);
    assert.equal(client.isOpen, false);
  }
});

test("messages between two signatures are covered by the second", () => {
  const { client, server } = exchange();
  assert.equal(client.verifyNext(query(1), NOW), BADSIG, "the first must be signed");
  assert.equal(client.verifyNext(server.sign(query(1), NOW), NOW), Rcode.NOERROR);
  for (let message = 0; message < 99; message++)
    assert.equal(client.verifyNext(query(message), NOW), Rcode.NOERROR);
  assert.equal(client.isOpen, true);
  assert.equal(client.verifyNext(query(99), NOW), BADSIG, "at most 99");
  assert.equal(client.verifyNext(server.sign(query(1), NOW), NOW), BADSIG);
});

test("what is wrong has the code of RFC 8945 §5.2", () => {
  const own = key("hmac-sha256");
  const signed = new TsigSession(own).sign(query(7), NOW);
  const verify = (message: Uint8Array, by: TsigKey, now: number): number =>
    new TsigSession(by).verify(message, recordOf(message), now);
  assert.equal(verify(signed, own, NOW + 300), Rcode.NOERROR);
  assert.equal(verify(signed, own, NOW + 301), Rcode.BADTIME);
  assert.equal(verify(signed, own, NOW - 301), Rcode.BADTIME);
  assert.equal(verify(signed, other, NOW), Rcode.BADKEY);
  assert.equal(verify(signed, key("hmac-sha512"), NOW), Rcode.BADKEY);
  assert.equal(verify(signed, { ...own, secret: Buffer.from("else") }, NOW), BADSIG);
  assert.equal(keyOf(recordOf(signed), [other]), undefined);
  // Every bit of the message counts, but those of the id, which a forwarder may change.
  for (let bit = 16; bit < signed.length * 8; bit++) {
    const flipped = Uint8Array.from(signed);
    flipped[bit >>> 3] = flipped[bit >>> 3]! ^ (1 << (bit & 7));
    const record = readTsig(flipped);
    if (record === undefined || record === "malformed") continue;
    // The names of key and algorithm have no case.
    const isCase = (bit & 7) === 5 && bit >>> 3 >= recordOf(signed).start;
    if (isCase && keyOf(record, [own]) !== undefined) continue;
    assert.notEqual(new TsigSession(own).verify(flipped, record, NOW), Rcode.NOERROR, `bit ${bit}`);
  }
});

test("a client whose clock is wrong is told the time, signed", () => {
  const { client, server } = exchange(NOW - 1000);
  const told = server.sign(query(1), NOW - 1000, Rcode.BADTIME, tsigTime(NOW));
  const record = recordOf(told);
  assert.deepEqual(
    [record.error, Buffer.from(record.other).readUIntBE(0, 6)],
    [Rcode.BADTIME, NOW],
  );
  assert.equal(client.verifyNext(told, NOW - 1000), Rcode.NOERROR);
  const refused = withTsigError(query(1), record, Rcode.BADKEY);
  assert.deepEqual([recordOf(refused).error, recordOf(refused).mac.length], [Rcode.BADKEY, 0]);
});

test("a MAC that is cut is known, and not enough", () => {
  const own = key("hmac-sha256");
  const signed = new TsigSession(own).sign(query(7), NOW);
  const { start, ...record } = recordOf(signed);
  for (const [bytes, rcode] of [
    [32, Rcode.NOERROR],
    [31, Rcode.BADTRUNC],
    [16, Rcode.BADTRUNC],
    [15, Rcode.FORMERR],
    [0, BADSIG],
  ] as const) {
    const cut: TsigRecord = { ...record, start, mac: record.mac.subarray(0, bytes) };
    assert.equal(new TsigSession(own).verify(signed, cut, NOW), rcode, `${bytes} bytes`);
  }
});

test("a signature stands last and alone; whatever the bytes, nothing is thrown", () => {
  const own = key("hmac-sha256");
  const signed = new TsigSession(own).sign(query(7), NOW);
  assert.equal(readTsig(query(7)), undefined);
  assert.equal(readTsig(signed.subarray(0, -1)), "malformed");
  assert.equal(readTsig(new TsigSession(own).sign(signed, NOW)), "malformed");
  fc.assert(
    fc.property(fc.nat(signed.length - 1), fc.integer({ min: 0, max: 255 }), (at, byte) => {
      const changed = Uint8Array.from(signed);
      changed[at] = byte;
      const record = readTsig(changed);
      if (record === undefined || record === "malformed") return;
      const rcode = new TsigSession(own).verify(changed, record, NOW);
      if (Buffer.compare(changed, signed) !== 0 && rcode === Rcode.NOERROR)
        assert.ok(at < 2 || at >= record.start, "but for the id, and the case of names");
    }),
  );
});

function exchange(now = NOW): { client: TsigSession; server: TsigSession } {
  const client = new TsigSession(key("hmac-sha256"));
  const server = new TsigSession(key("hmac-sha256"));
  const request = client.sign(query(1), now);
  assert.equal(server.verify(request, recordOf(request), now), Rcode.NOERROR);
  return { client, server };
}

function key(algorithm: TsigKey["algorithm"], text = "key.example."): TsigKey {
  return { name: wire(text), algorithm, secret };
}

function query(id: number): Uint8Array {
  return encodeMessage(makeQuery(wire("www.example."), 1, { id }));
}

function wire(text: string): Uint8Array {
  const name = parseName(text);
  assert.ok(name instanceof Uint8Array);
  return name;
}

function recordOf(message: Uint8Array): TsigRecord {
  const record = readTsig(message);
  assert.ok(record !== undefined && record !== "malformed");
  return record;
}
