// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { decodeMessage, encodeMessage, formatMessage } from "@meridian/dns";
import { fuzz } from "./fuzzer.ts";
import { seedQueries, seedResponses } from "./seed-messages.ts";

fuzz({
  name: "dns-message",
  seeds: [...seedQueries(), ...seedResponses()],
  run: (input) => {
    const message = decodeMessage(input);
    if ("error" in message) {
      assert.ok(message.offset >= 0 && message.offset <= input.length, JSON.stringify(message));
      return;
    }
    assert.ok(formatMessage(message).length > 0);
    // What was understood can be written, and is then understood alike.
    const again = decodeMessage(encodeMessage(message));
    assert.ok(!("error" in again), JSON.stringify(again));
    if (again.flags.tc !== message.flags.tc) return;
    assert.deepEqual(again, message);
  },
});
