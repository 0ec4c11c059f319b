// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import {
  TsigSession,
  decodeMessage,
  encodeMessage,
  evaluateUpdate,
  formatMessage,
  isRdata,
  isUpdateRefusal,
  readTsig,
  readUpdate,
  type Message,
} from "@meridian/dns";
import { fuzz } from "./fuzzer.ts";
import {
  fuzzKey,
  seedQueries,
  seedResponses,
  seedUpdates,
  signedQueries,
} from "./seed-messages.ts";

fuzz({
  name: "dns-message",
  seeds: [...seedQueries(), ...seedResponses(), ...signedQueries(), ...seedUpdates()],
  run: (input) => {
    const message = decodeMessage(input);
    const signature = readTsig(input);
    if (signature !== undefined && signature !== "malformed") {
      assert.ok(signature.start < input.length);
      new TsigSession(fuzzKey).verify(input, signature, 0);
    }
    if ("error" in message) {
      assert.ok(message.offset >= 0 && message.offset <= input.length, JSON.stringify(message));
      return;
    }
    judgeUpdate(message);
    assert.ok(formatMessage(message).length > 0);
    // What was understood can be written, and is then understood alike.
    const again = decodeMessage(encodeMessage(message));
    assert.ok(!("error" in again), JSON.stringify(again));
    if (again.flags.tc !== message.flags.tc) return;
    assert.deepEqual(again, message);
  },
});

/** An update of an empty zone: whatever it asks for is refused, or leaves sets that are whole. */
function judgeUpdate(message: Message): void {
  const request = readUpdate(message);
  if (isUpdateRefusal(request)) return;
  const changes = evaluateUpdate(request, {
    at: () => ({ rrsets: [], routed: [] }),
    mayChange: () => true,
  });
  if (isUpdateRefusal(changes)) return;
  for (const { type, before, after } of changes) {
    assert.ok(before === undefined && after !== undefined && after.rdatas.length > 0);
    for (const rdata of after.rdatas) assert.ok(isRdata(type, rdata));
  }
}
