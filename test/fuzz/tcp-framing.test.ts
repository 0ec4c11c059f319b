// SPDX-License-Identifier: Apache-2.0

// What a client writes to an edge's TCP port, cut into segments at places that the bytes themselves decide. The twin is the query path
// asked frame by frame: the edge gives as many answers, with the same ids, and closes the connection.

import assert from "node:assert/strict";
import { once } from "node:events";
import { connect } from "node:net";
import { after, before } from "node:test";
import { TCP_LIMITS } from "@meridian/edge";
import { RunningEdge } from "../conformance/running-edge.ts";
import { TestServer } from "../conformance/test-server.ts";
import { fuzz } from "./fuzzer.ts";
import { fuzzModel, seedQueries } from "./seed-messages.ts";

const HEADER_BYTES = 12;
const SEGMENTS_MAX = 4;

const twin = new TestServer(fuzzModel);
let edge: RunningEdge;
before(async () => {
  edge = await RunningEdge.start();
  await edge.serve(fuzzModel);
});
after(() => edge.close());

/** Whole frames, up to the first that no server would take. */
function framesOf(bytes: Uint8Array, lengthMin: number): Uint8Array[] {
  const frames: Uint8Array[] = [];
  for (let at = 0; at + 2 <= bytes.length;) {
    const length = ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0);
    const isValid = length >= lengthMin && (lengthMin === 0 || length <= TCP_LIMITS.queryBytesMax);
    if (!isValid || at + 2 + length > bytes.length) break;
    frames.push(bytes.slice(at + 2, at + 2 + length));
    at += 2 + length;
  }
  return frames;
}

function frame(message: Uint8Array): Uint8Array {
  return Uint8Array.of(message.length >>> 8, message.length & 0xff, ...message);
}

const ids = (messages: readonly Uint8Array[]): string[] =>
  messages.map((bytes) => Buffer.from(bytes.subarray(0, 2)).toString("hex"));

async function exchange(input: Uint8Array): Promise<Uint8Array> {
  const socket = connect({ host: edge.address.address, port: edge.address.port });
  const received: Buffer[] = [];
  socket.on("data", (chunk: Buffer) => received.push(chunk));
  // The edge may close while the rest of a refused frame is on its way.
  socket.on("error", () => undefined);
  const closed = new Promise((resolve) => socket.once("close", resolve));
  await once(socket, "connect");
  const cuts = Array.from({ length: SEGMENTS_MAX - 1 }, (_, index) => (input[index] ?? 0) * 3);
  let start = 0;
  for (const cut of [...cuts.toSorted((a, b) => a - b), input.length]) {
    if (cut <= start || cut > input.length) continue;
    socket.write(input.subarray(start, cut));
    start = cut;
    await new Promise(setImmediate);
  }
  socket.end();
  await closed;
  return new Uint8Array(Buffer.concat(received));
}

const queries = seedQueries();

fuzz({
  name: "tcp-framing",
  seeds: [
    ...queries.slice(0, 8).map(frame),
    Uint8Array.from(queries.slice(0, 20).flatMap((query) => [...frame(query)])),
    frame(new Uint8Array(TCP_LIMITS.queryBytesMax)),
  ],
  run: async (input) => {
    const expected = framesOf(input, HEADER_BYTES).flatMap(
      (query) => twin.askBytes(query, { isTcp: true }) ?? [],
    );
    const received = await exchange(input);
    const answers = framesOf(received, 0);
    const isWhole = answers.reduce((sum, { length }) => sum + 2 + length, 0) === received.length;
    assert.ok(isWhole, "every answer is whole");
    assert.deepEqual(ids(answers), ids(expected));
  },
});
