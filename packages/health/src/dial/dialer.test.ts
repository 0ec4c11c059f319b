// SPDX-License-Identifier: Apache-2.0

import assert from "node:assert/strict";
import { once } from "node:events";
import { test } from "node:test";
import { Worker } from "node:worker_threads";
import { dialers } from "../testing/dialers.ts";
import { closedPort, listenTcp } from "../testing/probe-run.ts";
import type { Connection, ConnectionEvents, Dialer } from "./dialer.ts";

/** What a connection told, until it ended or failed. */
interface Seen {
  readonly events: string[];
  readonly bytes: Buffer;
}

/** Dials, sends once connected, and listens until the other side ends it or it fails. */
function converse(dialer: Dialer, port: number, request: Uint8Array): Promise<Seen> {
  const { promise, resolve } = Promise.withResolvers<Seen>();
  const events: string[] = [];
  const pieces: Buffer[] = [];
  const over = (): void => {
    clearTimeout(timer);
    connection.close("end");
    resolve({ events, bytes: Buffer.concat(pieces) });
  };
  const listener: ConnectionEvents = {
    onConnect: () => {
      events.push("connected");
      connection.send(request);
    },
    onBytes: (bytes, start, end) => pieces.push(Buffer.from(bytes.subarray(start, end))),
    onEnd: () => {
      events.push("ended");
      over();
    },
    onError: (code) => {
      events.push(code);
      over();
    },
  };
  const timer = setTimeout(() => {
    events.push("nothing more");
    over();
  }, 5000);
  const connection: Connection = dialer.dial("127.0.0.1", port, listener);
  assert.deepEqual(events, [], "nothing is told before dial() has returned");
  return promise;
}

for (const { how, dialer } of dialers()) {
  test(`a dialer sends and receives megabytes whole (over ${how})`, async (context) => {
    const long = Buffer.from(Array.from({ length: 3_000_000 }, (_, at) => at % 251));
    const port = await listenTcp(context, (socket) => {
      const pieces: Buffer[] = [];
      let length = 0;
      socket.on("data", (piece: Buffer) => {
        pieces.push(piece);
        length += piece.length;
        if (length === long.length) socket.end(Buffer.concat(pieces));
      });
    });
    const { events, bytes } = await converse(dialer, port, long);
    assert.deepEqual(events, ["connected", "ended"]);
    assert.ok(bytes.equals(long));
  });

  test(`a dialer names what failed, and tells it once (over ${how})`, async (context) => {
    const refused = await converse(dialer, await closedPort(), Buffer.from("x"));
    assert.deepEqual(refused.events, ["ECONNREFUSED"]);
    const port = await listenTcp(context, (socket) =>
      socket.once("data", () => socket.resetAndDestroy()),
    );
    const reset = await converse(dialer, port, Buffer.from("x"));
    assert.deepEqual(reset.events, ["connected", "ECONNRESET"]);
  });

  test(`connections that are closed while others are told hear nothing more (over ${how})`, async (context) => {
    const port = await listenTcp(context, (socket) => socket.end("x"));
    const connections: Connection[] = [];
    let told = 0;
    const { promise, resolve } = Promise.withResolvers<void>();
    const closeAll = (): void => {
      told++;
      for (const connection of connections) connection.close("reset");
      setTimeout(resolve, 50);
    };
    const listener = {
      onConnect: () => undefined,
      onBytes: closeAll,
      onEnd: closeAll,
      onError: closeAll,
    };
    for (let at = 0; at < 50; at++) connections.push(dialer.dial("127.0.0.1", port, listener));
    await promise;
    assert.equal(told, 1);
    const after = await Promise.all(
      Array.from({ length: 50 }, () => converse(dialer, port, Buffer.from("x"))),
    );
    for (const { bytes } of after) assert.equal(bytes.toString(), "x");
  });
}

test("a thread that ends with connections open takes nothing down", async (context) => {
  const port = await listenTcp(context, () => undefined);
  const worker = new Worker(new URL("../testing/dialing-worker.ts", import.meta.url), {
    workerData: port,
  });
  await once(worker, "message");
  await worker.terminate();
});
