// SPDX-License-Identifier: Apache-2.0

// The query path asked with packets that have a structure (made-packets.ts), as each of the servers that there may be: plain, signed, limited.

import assert from "node:assert/strict";
import { Pcg32 } from "@meridian/core";
import {
  decodeMessage,
  encodeMessage,
  EdnsOptionCode,
  findOption,
  formatMessage,
  fullRcode,
  makeQuery,
  Rcode,
  RRType,
  type Message,
} from "@meridian/dns";
import { ResponseLimiter, ServerCookies, UDP_BYTES_MAX } from "@meridian/edge";
import { faultsOf } from "../conformance/signed-check.ts";
import { signingFixture } from "../conformance/signing-fixture.ts";
import { TestServer, wire } from "../conformance/test-server.ts";
import { Choices } from "./choices.ts";
import { fuzz } from "./fuzzer.ts";
import { madePacket } from "./made-packets.ts";
import { fuzzModel } from "./seed-messages.ts";

const SEEDS = 64;
const SEED_BYTES = 48;
const COOKIE_BYTES = 24;
const AMPLIFICATION_MAX = 3;
const TURN_MS = 10;
const source = Uint8Array.of(198, 51, 100, 7);
const secrets = [new Uint8Array(16).fill(7), new Uint8Array(16).fill(8)];

const plain = new TestServer(fuzzModel, { cookies: new ServerCookies(secrets), nsid: "fuzz" });
const limited = new TestServer(fuzzModel, {
  cookies: new ServerCookies(secrets),
  limiter: new ResponseLimiter({ rate: 1, exempt: [], seed: 1 }),
});
const signed = new TestServer(fuzzModel);
const nowSeconds = Math.floor(signed.nowMs / 1000);
const fixtures = fuzzModel.zones.map(({ origin }) => ({
  origin,
  ...signingFixture(origin, nowSeconds),
}));
signed.sign(fixtures.map(({ material }) => material));
const zones = fixtures.map(({ origin, dnskeys }) => ({ apex: wire(origin), dnskeys }));
// The clock of these servers stands still: from here on the prefix is limited.
const soaQuery = encodeMessage(makeQuery(wire("example.org."), RRType.SOA));
for (let count = 0; count < 3; count++) limited.askBytes(soaQuery, { source });

const asker = { source, cookies: new ServerCookies(secrets), nowSeconds };
const random = new Pcg32(1);

fuzz({
  name: "packets",
  seeds: Array.from({ length: SEEDS }, () =>
    Uint8Array.from({ length: SEED_BYTES }, () => random.next32() & 0xff),
  ),
  run: (input) => {
    const { bytes, mayHaveCookie } = madePacket(new Choices(input), asker);
    const query = decodeMessage(bytes);
    const overUdp = plain.askBytes(bytes, { source });
    const overTcp = plain.askBytes(bytes, { source, isTcp: true });
    const [udp, tcp] = [
      checked(bytes, query, overUdp, false),
      checked(bytes, query, overTcp, true),
    ];
    if (udp !== undefined && tcp !== undefined && !udp.flags.tc)
      assert.deepEqual(bare(udp), bare(tcp));
    const slipped = limited.askBytes(bytes, { source });
    if (!mayHaveCookie)
      assert.ok((slipped?.length ?? 0) <= AMPLIFICATION_MAX * bytes.length, `${slipped?.length}`);
    // Time for signatures is by the clock.
    signed.nowMs += TURN_MS;
    for (const isTcp of [false, true]) {
      const response = signed.askBytes(bytes, { source, isTcp });
      const message = checked(bytes, query, response, isTcp);
      if (message !== undefined && !("error" in query)) checkProofs(query, message);
    }
  },
});

/** What every response is; undefined for none. */
function checked(
  packet: Uint8Array,
  query: ReturnType<typeof decodeMessage>,
  response: Uint8Array | undefined,
  isTcp: boolean,
): Message | undefined {
  if (response === undefined) return undefined;
  const message = decodeMessage(response);
  assert.ok(!("error" in message), JSON.stringify(message));
  assert.ok(message.flags.qr);
  assert.deepEqual(response.subarray(0, 2), packet.subarray(0, 2), "the id");
  const rcode = fullRcode(message);
  // What is well-formed and not implemented, as an old type, gets the options that it asks for.
  if (rcode === Rcode.FORMERR)
    assert.ok(response.length <= packet.length, `${response.length} for ${packet.length} bytes`);
  // What lies in records that nobody needs is not looked at.
  if ("error" in query) return undefined;
  const offered = query.edns === undefined ? 512 : Math.max(512, query.edns.udpSize);
  if (!isTcp) assert.ok(response.length <= Math.min(offered, UDP_BYTES_MAX), `${response.length}`);
  assert.ok(message.edns === undefined || query.edns !== undefined, "OPT answers OPT");
  if (message.question.length > 0) assert.deepEqual(message.question, query.question);
  const asked = findOption(query.edns?.options ?? [], EdnsOptionCode.COOKIE);
  const cookie = findOption(message.edns?.options ?? [], EdnsOptionCode.COOKIE);
  if (cookie === undefined) return message;
  assert.equal(cookie.data.length, COOKIE_BYTES);
  assert.deepEqual(cookie.data.subarray(0, 8), asked?.data.subarray(0, 8), "the client's cookie");
  return message;
}

/** What does not depend on the transport. */
function bare({ edns: _edns, ...rest }: Message): object {
  return rest;
}

/** Whatever is told with signatures validates. */
function checkProofs(query: Message, message: Message): void {
  const [question, ...others] = query.question;
  const isTold = message.rcode === Rcode.NOERROR || message.rcode === Rcode.NXDOMAIN;
  if (question === undefined || others.length > 0 || !isTold || message.flags.tc) return;
  if (
    query.edns?.do !== true ||
    question.class !== 1 ||
    question.type === 255 ||
    question.type === RRType.RRSIG
  )
    return;
  const seconds = Math.floor(signed.nowMs / 1000);
  const faults = faultsOf(message, question.name, question.type, zones, seconds);
  assert.deepEqual(faults, [], formatMessage(message));
}
