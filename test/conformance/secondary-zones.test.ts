// SPDX-License-Identifier: Apache-2.0

// Zones that come from another server: until when they are answered from (RFC 1035 §3.3.13), and whose NOTIFY is heard (RFC 1996).

import assert from "node:assert/strict";
import { test } from "node:test";
import {
  ExtendedError,
  Opcode,
  RRType,
  Rcode,
  TsigSession,
  decodeMessage,
  encodeMessage,
  findOption,
  makeQuery,
  parseEde,
  readTsig,
  type TsigKey,
} from "@meridian/dns";
import { Transfers } from "@meridian/edge";
import { TestServer, wire, type TestZone } from "./test-server.ts";

const NOW = 1_700_000_000;
const secret = "c2VjcmV0IG9mIHR3byBzaWRlcyBhbG9uZQ==";
const key: TsigKey = {
  name: wire("xfr.example."),
  algorithm: "hmac-sha256",
  secret: Buffer.from(secret, "base64"),
};
const listed = Uint8Array.of(192, 0, 2, 1);
const stranger = Uint8Array.of(198, 51, 100, 1);
const [keyed, open] = [Uint8Array.of(192, 0, 2, 2), Uint8Array.of(203, 0, 113, 9)];

function zone(origin: string, expiresSeconds: number): TestZone {
  return {
    origin,
    text: `$ORIGIN ${origin}\n$TTL 300\n@ SOA ns1 h 1 7200 900 1209600 60\n@ NS ns1\nns1 A 192.0.2.53\n`,
    options: {
      secondary: {
        expiresSeconds,
        notify: [
          { clients: ["192.0.2.1/32"] },
          { clients: ["192.0.2.2/32"], key: "XFR.example." },
          { clients: ["203.0.113.0/24"] },
        ],
      },
      transfers: {
        keys: [{ name: "xfr.example", algorithm: "hmac-sha256", secret: "default/file/xfr" }],
        allow: [{ clients: ["0.0.0.0/0"] }],
        transferAs: "omit",
      },
    },
  };
}

const model = {
  zones: [
    zone("example.org.", NOW + 60),
    zone("never.test.", 0),
    { ...zone("own.test.", 0), options: {} },
  ],
};

test("a copy is answered from until it is too old, and then SERVFAIL says why", () => {
  const transfers = new Transfers();
  const server = new TestServer(model, { transfers });
  const ask = (
    name: string,
    type: number = RRType.A,
    isTcp = false,
  ): [number, number | undefined] => {
    const answer = server.ask(name, type, { edns: {}, isTcp });
    const option = findOption(answer.edns?.options ?? [], 15);
    const ede = option === undefined ? undefined : parseEde(option.data);
    return [answer.rcode, ede?.infoCode];
  };
  assert.deepEqual(ask("ns1.example.org."), [Rcode.NOERROR, undefined]);
  assert.deepEqual(ask("ns1.own.test."), [Rcode.NOERROR, undefined]);
  server.nowMs = (NOW + 59) * 1000 + 999;
  assert.deepEqual(ask("none.example.org."), [Rcode.NXDOMAIN, undefined]);
  server.nowMs = (NOW + 60) * 1000;
  for (const name of ["ns1.example.org.", "none.example.org.", "example.org.", "never.test."])
    assert.deepEqual(ask(name), [Rcode.SERVFAIL, ExtendedError.INVALID_DATA], name);
  assert.deepEqual(ask("example.org.", RRType.AXFR, true), [
    Rcode.SERVFAIL,
    ExtendedError.INVALID_DATA,
  ]);
  assert.deepEqual(ask("ns1.own.test."), [Rcode.NOERROR, undefined]);
});

test("NOTIFY of a primary is acknowledged and passed on, once a second; of others refused", () => {
  const said: string[] = [];
  const transfers = new Transfers((notice) =>
    said.push(notice.kind === "transfer" ? `${notice.client} ${notice.outcome}` : notice.zone),
  );
  transfers.setSecrets(new Map([["default/file/xfr", secret]]));
  const server = new TestServer(model, { transfers });
  const packet = (name: string, type: number = RRType.SOA): Uint8Array =>
    encodeMessage({ ...makeQuery(wire(name), type, { id: 7 }), opcode: Opcode.NOTIFY });
  const send = (bytes: Uint8Array, source: Uint8Array): Uint8Array => {
    const answer = server.askBytes(bytes, { source });
    assert.ok(answer !== undefined);
    return answer;
  };
  const rcodeOf = (bytes: Uint8Array): number => {
    const answer = decodeMessage(bytes);
    assert.ok(!("error" in answer) && answer.flags.qr && answer.opcode === Opcode.NOTIFY);
    return answer.rcode;
  };
  assert.equal(rcodeOf(send(packet("EXAMPLE.org."), listed)), Rcode.NOERROR);
  assert.equal(rcodeOf(send(packet("example.org."), open)), Rcode.NOERROR);
  assert.equal(rcodeOf(send(packet("never.test."), listed)), Rcode.NOERROR);
  assert.deepEqual(said.splice(0), ["example.org", "never.test"]);
  server.nowMs += 1000;
  assert.equal(rcodeOf(send(packet("example.org."), listed)), Rcode.NOERROR);
  assert.deepEqual(said.splice(0), ["example.org"]);

  for (const name of ["own.test.", "sub.example.org.", "elsewhere.test."])
    assert.equal(rcodeOf(send(packet(name), listed)), Rcode.NOTAUTH, name);
  assert.equal(rcodeOf(send(packet("example.org.", RRType.A), listed)), Rcode.FORMERR);
  assert.equal(rcodeOf(send(packet("example.org.").slice(0, 14), listed)), Rcode.FORMERR);
  assert.equal(said.length, 0);
  assert.equal(rcodeOf(send(packet("example.org."), stranger)), Rcode.REFUSED);
  assert.equal(rcodeOf(send(packet("example.org."), keyed)), Rcode.REFUSED, "without its key");
  assert.deepEqual(said.splice(0), [
    "198.51.100.1 its NOTIFY is refused",
    "192.0.2.2 its NOTIFY is refused",
  ]);

  server.nowMs += 1000;
  const nowSeconds = server.nowMs / 1000;
  const session = new TsigSession(key);
  const answer = send(session.sign(packet("example.org."), nowSeconds), keyed);
  const record = readTsig(answer);
  assert.ok(typeof record === "object");
  assert.equal(session.verify(answer, record, nowSeconds), Rcode.NOERROR);
  assert.deepEqual(said.splice(0), ["example.org"]);
  const late = new TsigSession(key).sign(packet("example.org."), nowSeconds - 1000);
  assert.equal(rcodeOf(send(late, keyed)), Rcode.NOTAUTH);
  assert.deepEqual(said, ["192.0.2.2 its NOTIFY is signed wrongly: BADTIME"]);
});

test("a flood of NOTIFY is answered to a bound, and logged to one", () => {
  let lines = 0;
  const server = new TestServer(model, { transfers: new Transfers(() => (lines += 1)) });
  const packet = encodeMessage({
    ...makeQuery(wire("example.org."), RRType.SOA, { id: 7 }),
    opcode: Opcode.NOTIFY,
  });
  let answers = 0;
  for (let sent = 0; sent < 3000; sent += 1)
    if (server.askBytes(packet, { source: stranger }) !== undefined) answers += 1;
  assert.equal(answers, 1000);
  assert.equal(lines, 10);
});
