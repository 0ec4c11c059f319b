// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { decodeMessage, Rcode } from "@meridian/dns";
import { UDP_BYTES_MAX } from "@meridian/edge";
import { TestServer } from "../conformance/test-server.ts";
import { fuzz } from "./fuzzer.ts";
import { fuzzModel, seedQueries, seedResponses } from "./seed-messages.ts";

const server = new TestServer(fuzzModel);
const ipv6 = Buffer.from("20010db8000000000000000000000001", "hex");

fuzz({
  name: "query-handler",
  seeds: [...seedQueries(), ...seedResponses()],
  // TestServer sees to it that nothing outside the given range is written.
  run: (bytes) => {
    const input = new Uint8Array(bytes);
    for (const isTcp of [false, true]) {
      const response = server.askBytes(input, { isTcp, ...(isTcp && { source: ipv6 }) });
      if (response === undefined) continue;
      if (!isTcp) assert.ok(response.length <= UDP_BYTES_MAX, `${response.length} bytes`);
      const message = decodeMessage(response);
      assert.ok(!("error" in message), JSON.stringify(message));
      assert.deepEqual(response.subarray(0, 2), input.subarray(0, 2), "the id");
      assert.ok(message.flags.qr, "a response is marked as one");
      if (message.rcode === Rcode.FORMERR || message.rcode === Rcode.NOTIMP)
        assert.ok(response.length <= input.length, `${response.length} for ${input.length} bytes`);
    }
    // However little room a transport has, it is kept.
    server.askBytes(input, { outputMax: 12 + (input.length % 40) });
  },
});
