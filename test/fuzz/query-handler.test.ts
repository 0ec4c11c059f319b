// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { decodeMessage, ExtendedError, Rcode, readTsig } from "@meridian/dns";
import { Transfers, UDP_BYTES_MAX, UpdateRequests, type UpdateNotice } from "@meridian/edge";
import { signingFixture } from "../conformance/signing-fixture.ts";
import { TestServer } from "../conformance/test-server.ts";
import { fuzz } from "./fuzzer.ts";
import {
  SIGNED_AT,
  fuzzKey,
  fuzzModel,
  seedQueries,
  seedResponses,
  seedUpdates,
  signedQueries,
} from "./seed-messages.ts";

const transfers = new Transfers();
transfers.setSecrets(new Map([["fuzz", Buffer.from(fuzzKey.secret).toString("base64")]]));
/** Control is not there: it answers SERVFAIL, at once. */
const handedOn: UpdateNotice[] = [];
const updates = new UpdateRequests(
  transfers,
  (notice) => handedOn.push(notice),
  () => SIGNED_AT * 1000,
);
const server = new TestServer(fuzzModel, { transfers, updates });
server.nowMs = SIGNED_AT * 1000;
const signed = new TestServer(fuzzModel);
const nowSeconds = Math.floor(signed.nowMs / 1000);
signed.sign(fuzzModel.zones.map(({ origin }) => signingFixture(origin, nowSeconds).material));
const ipv6 = Buffer.from("20010db8000000000000000000000001", "hex");

fuzz({
  name: "query-handler",
  seeds: [...seedQueries(), ...seedResponses(), ...signedQueries(), ...seedUpdates()],
  // TestServer sees to it that nothing outside the given range is written.
  run: (bytes) => {
    const input = new Uint8Array(bytes);
    for (const isTcp of [false, true]) {
      const response = server.askBytes(input, { isTcp, ...(isTcp && { source: ipv6 }) });
      if (response === undefined) {
        takeUpdate(input);
        continue;
      }
      if (!isTcp) assert.ok(response.length <= UDP_BYTES_MAX, `${response.length} bytes`);
      const message = decodeMessage(response);
      assert.ok(!("error" in message), JSON.stringify(message));
      assert.deepEqual(response.subarray(0, 2), input.subarray(0, 2), "the id");
      assert.ok(message.flags.qr, "a response is marked as one");
      transfers.takeStream()?.close();
      if (message.rcode === Rcode.FORMERR || message.rcode === Rcode.NOTIMP)
        assert.ok(response.length <= input.length, `${response.length} for ${input.length} bytes`);
    }
    // However little room a transport has, it is kept.
    server.askBytes(input, { outputMax: 12 + (input.length % 40) });
    takeUpdate(input);
    for (const outputMax of [65_535, 12 + (input.length % 40), 12 + ((input[0] ?? 0) << 2)]) {
      const response = signed.askBytes(input, { outputMax, isTcp: outputMax > 1232 });
      if (response === undefined) continue;
      const message = decodeMessage(response);
      assert.ok(!("error" in message), JSON.stringify(message));
    }
  },
});

/** What is answered later is answered once, signed, to what was asked. */
function takeUpdate(input: Uint8Array): void {
  const answers: Uint8Array[] = [];
  updates.takeLater()?.whenAnswered((message) => answers.push(message));
  const [notice] = handedOn.splice(0);
  if (notice === undefined) return;
  assert.deepEqual(notice.packet, input);
  const answer = { rcode: Rcode.SERVFAIL, ede: ExtendedError.NETWORK_ERROR, text: "" };
  for (let times = 0; times < 2; times++)
    updates.answer({ kind: "updated", id: notice.id, answer });
  const [answered, ...more] = answers;
  assert.ok(answered !== undefined && more.length === 0);
  assert.deepEqual(answered.subarray(0, 2), input.subarray(0, 2), "the id");
  assert.equal(typeof readTsig(answered), "object");
}
