// SPDX-License-Identifier: Apache-2.0

import assert from "node:assert/strict";
import { createServer } from "node:net";
import { once } from "node:events";
import { describe, it } from "node:test";

import fc from "fast-check";

import { TCP_LIMITS, TcpServer } from "./tcp-server.ts";
import type { TcpLimits } from "./tcp-server.ts";
import { TransportCounters } from "./transport-counters.ts";
import { TcpClient, buildQuery, frame } from "./transport-testing/clients.ts";
import { ECHO_COMMANDS, createHandler } from "./transport-testing/echo-handler.ts";

interface Running {
  readonly server: TcpServer;
  readonly counters: TransportCounters;
  readonly port: number;
  readonly open: () => Promise<TcpClient>;
}

/** Runs a server in this thread, and closes it after the test. */
async function withServer(
  limits: Partial<TcpLimits>,
  test: (running: Running) => Promise<void>,
): Promise<void> {
  const free = createServer().listen(0, "127.0.0.1");
  await once(free, "listening");
  const address = free.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  await new Promise((resolve) => free.close(resolve));
  const counters = new TransportCounters();
  const binding = createHandler(undefined, { index: 0, role: "tcp", post: () => undefined });
  const server = new TcpServer(binding.handler, counters, { ...TCP_LIMITS, ...limits });
  await server.start([{ kind: "address", listen: { address: "127.0.0.1", port, family: 4 } }]);
  const clients: TcpClient[] = [];
  const open = async (): Promise<TcpClient> => {
    const client = await TcpClient.open("127.0.0.1", port);
    clients.push(client);
    return client;
  };
  try {
    await test({ server, counters, port, open });
  } finally {
    for (const client of clients) client.socket.destroy();
    await server.stop(0, 0);
    await server.stop(0, 0);
  }
}

const ids = (client: TcpClient): number[] =>
  client.messages.map((message) => message.readUInt16BE(0));

describe("TcpServer", { timeout: 60_000 }, () => {
  it("answers pipelined queries in order, however they are cut into segments", async () => {
    await withServer({}, async ({ open }) => {
      await fc.assert(
        fc.asyncProperty(
          fc.array(fc.nat(300), { minLength: 1, maxLength: 12 }),
          fc.array(fc.nat(2000), { maxLength: 5 }),
          async (lengths, cuts) => {
            const queries = lengths.map((length, i) =>
              buildQuery(i + 1, 0, ...Array<number>(length).fill(7)),
            );
            const bytes = Buffer.concat(queries.map(frame));
            const client = await open();
            let start = 0;
            for (const cut of [...cuts.sort((a, b) => a - b), bytes.length]) {
              if (cut <= start) continue;
              client.socket.write(bytes.subarray(start, cut));
              start = cut;
              await new Promise(setImmediate);
            }
            assert.ok(await client.waitFor(queries.length));
            assert.deepEqual(
              ids(client),
              queries.map((_, i) => i + 1),
            );
            assert.deepEqual(
              client.messages.map((message) => message.length),
              queries.map((query) => query.length),
            );
            client.socket.destroy();
          },
        ),
        { numRuns: 25 },
      );
    });
  });

  it("answers a client that closed its half after asking", async () => {
    await withServer({}, async ({ open }) => {
      const client = await open();
      client.socket.end(Buffer.concat([frame(buildQuery(1, 0)), frame(buildQuery(2, 0))]));
      assert.ok(await client.waitForClose());
      assert.deepEqual(ids(client), [1, 2]);
    });
  });

  it("sends answers of any length up to 65,535 bytes", async () => {
    await withServer({}, async ({ open }) => {
      const client = await open();
      client.send(buildQuery(1, ECHO_COMMANDS.long, 0xff, 0xff), buildQuery(2, 0));
      assert.ok(await client.waitFor(2));
      assert.deepEqual(
        client.messages.map((message) => message.length),
        [65_535, 13],
      );
      client.socket.destroy();
    });
  });

  for (const [name, bytes] of [
    ["a frame without a header", Buffer.from([0, 0])],
    ["a frame shorter than a header", frame(Buffer.alloc(11))],
    ["a frame longer than the limit", Buffer.from([0x10, 0x01])],
  ] as const) {
    it(`closes at ${name}, after answering what came before`, async () => {
      await withServer({}, async ({ open, counters }) => {
        const client = await open();
        client.socket.write(Buffer.concat([frame(buildQuery(1, 0)), bytes]));
        assert.ok(await client.waitForClose());
        assert.deepEqual(ids(client), [1]);
        assert.equal(counters.get("framesInvalid"), 1);
        assert.equal(counters.get("connectionsOpen"), 0);
      });
    });
  }

  it("closes a connection that is idle, or that sends single bytes, but not one that asks", async () => {
    await withServer({ idleTimeoutMs: 240 }, async ({ open }) => {
      const [idle, slow, busy] = [await open(), await open(), await open()];
      const timer = setInterval(() => {
        if (!slow.isClosed) slow.socket.write("\0");
        busy.send(buildQuery(1, 0));
      }, 60);
      assert.ok(await idle.waitForClose());
      assert.ok(await slow.waitForClose());
      await busy.waitFor(8);
      clearInterval(timer);
      assert.equal(busy.isClosed, false);
      busy.socket.destroy();
    });
  });

  it("refuses more connections of one client than its limit, and takes a new one when one has gone", async () => {
    await withServer({ connectionsPerClientMax: 2 }, async ({ open, counters }) => {
      const [one, two, three] = [await open(), await open(), await open()];
      assert.ok(await three.waitForClose());
      assert.equal(counters.get("connectionsRefused"), 1);
      one.socket.destroy();
      while (counters.get("connectionsOpen") !== 1) await new Promise(setImmediate);
      const four = await open();
      four.send(buildQuery(4, 0));
      assert.ok(await four.waitFor(1));
      assert.deepEqual(ids(four), [4]);
      for (const client of [two, four]) client.socket.destroy();
    });
  });

  it("makes room by closing the connection that has been quiet longest", async () => {
    await withServer({ connectionsMax: 2 }, async ({ open, counters }) => {
      const [one, two] = [await open(), await open()];
      two.send(buildQuery(2, 0));
      assert.ok(await two.waitFor(1));
      one.send(buildQuery(1, 0));
      assert.ok(await one.waitFor(1));
      const three = await open();
      assert.ok(await two.waitForClose());
      assert.equal(one.isClosed, false);
      assert.equal(counters.get("connectionsEvicted"), 1);
      for (const client of [one, three]) client.socket.destroy();
    });
  });

  it("stops reading from a client that does not read, and goes on when it does", async () => {
    await withServer({ pendingBytesMax: 65_536 }, async ({ open }) => {
      const client = await open();
      client.socket.pause();
      const count = 400;
      for (let i = 1; i <= count; i += 1)
        client.send(buildQuery(i, ECHO_COMMANDS.long, 0xff, 0xff));
      await new Promise((resolve) => setTimeout(resolve, 200));
      assert.equal(client.messages.length, 0);
      client.socket.resume();
      assert.ok(await client.waitFor(count));
      assert.deepEqual(
        ids(client),
        Array.from({ length: count }, (_, i) => i + 1),
      );
      client.socket.destroy();
    });
  });

  it("holds a bounded number of bytes for a client that never reads, and closes it as idle", async () => {
    await withServer(
      { pendingBytesMax: 65_536, idleTimeoutMs: 500 },
      async ({ open, counters }) => {
        const client = await open();
        client.socket.pause();
        const before = process.memoryUsage().arrayBuffers;
        for (let i = 1; i <= 2000; i += 1)
          client.send(buildQuery(i, ECHO_COMMANDS.long, 0xff, 0xff));
        await new Promise((resolve) => setTimeout(resolve, 200));
        const held = process.memoryUsage().arrayBuffers - before;
        assert.ok(held < 16 << 20, `holds ${held} bytes of 131,070,000`);
        while (counters.get("connectionsOpen") > 0)
          await new Promise((resolve) => setTimeout(resolve, 20));
        client.socket.destroy();
      },
    );
  });

  it("answers any bytes with whole frames or a close, never an exception", async () => {
    await withServer({}, async ({ open }) => {
      await fc.assert(
        fc.asyncProperty(fc.uint8Array({ maxLength: 600 }), async (bytes) => {
          // The echo handler takes commands from packets; byte 12 of each frame is none of them here.
          const client = await open();
          client.socket.end(bytes.map((byte) => byte & 0xf8));
          assert.ok(await client.waitForClose());
        }),
        { numRuns: 40 },
      );
    });
  });
});
