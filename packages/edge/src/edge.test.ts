// SPDX-License-Identifier: Apache-2.0

import assert from "node:assert/strict";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { readFileSync, readdirSync } from "node:fs";
import { createServer } from "node:net";
import { after, before, describe, it } from "node:test";

import { PRIORITY_FAIR, PRIORITY_VERDICTS, loadNative } from "@meridian/native";

import { Edge } from "./edge.ts";
import type { EdgeOptions } from "./edge.ts";
import { SILENT_LOGGER } from "./edge-logger.ts";
import { TcpClient, UdpClient, UdpLoad, buildQuery } from "./transport-testing/clients.ts";
import { ECHO_COMMANDS } from "./transport-testing/echo-handler.ts";
import type { EchoMessage } from "./transport-testing/echo-handler.ts";

const loaded = loadNative();
const noNative = loaded.kind === "missing" ? loaded.reason : false;
const INSPECT = [ECHO_COMMANDS.inspect, 0, 0, 0, 0];

const TRANSPORTS = [
  { transport: "native", skip: noNative },
  { transport: "dgram", skip: false },
] as const;

const TIMEOUT = { timeout: 60_000 };

function createEdge(options: Partial<EdgeOptions>): Edge {
  return new Edge({
    listen: ["127.0.0.1:0"],
    workers: 1,
    transport: "auto",
    handlerModule: new URL("transport-testing/echo-handler.ts", import.meta.url),
    logger: SILENT_LOGGER,
    ...options,
  });
}

function portOf(edge: Edge, index = 0): number {
  return edge.addresses()[index]?.port ?? 0;
}

function post(edge: Edge, value: number): void {
  const message: EchoMessage = { kind: "value", value };
  edge.post(message);
}

it(
  "workers go before others of their core where the user may have that",
  TIMEOUT,
  async (context) => {
    if (loaded.kind === "missing") return context.skip(loaded.reason);
    try {
      loaded.native.setUrgency(PRIORITY_VERDICTS, 0);
      loaded.native.setUrgency(PRIORITY_FAIR, 0);
    } catch {
      return context.skip("this user may have no policy of real time here");
    }
    const edge = createEdge({ transport: "native" });
    await edge.start();
    const client = await UdpClient.open(4);
    while (policyOfWorker() !== SCHED_FIFO) await client.ask("127.0.0.1", portOf(edge), INSPECT);
    edge.setPatient("replaced", true);
    while (policyOfWorker() !== SCHED_BATCH) await client.ask("127.0.0.1", portOf(edge), INSPECT);
    client.close();
    await edge.close();
  },
);

/** As sched(7) numbers them. */
const SCHED_FIFO = 1;
const SCHED_BATCH = 3;

/** The policy is the 41st field, and the first after the name the third. */
function policyOfWorker(): number {
  for (const thread of readdirSync("/proc/self/task")) {
    const text = statOf(thread);
    const end = text.lastIndexOf(") ");
    if (text.slice(text.indexOf("(") + 1, end) === "edge 0")
      return Number(text.slice(end + 2).split(" ")[38]);
  }
  return -1;
}

function statOf(thread: string): string {
  try {
    return readFileSync(`/proc/self/task/${thread}/stat`, "utf8");
  } catch {
    // It has ended meanwhile.
    return "";
  }
}

for (const { transport, skip } of TRANSPORTS) {
  describe(`Edge over ${transport}`, { skip, timeout: 60_000 }, () => {
    let edge: Edge;
    let clients: Readonly<Record<4 | 6, UdpClient>>;
    const posted: unknown[] = [];

    before(async () => {
      edge = createEdge({
        listen: ["127.0.0.1:0", "[::1]:0"],
        workers: 2,
        transport,
        onMessage: (message, index) => posted.push([index, message]),
      });
      post(edge, 1);
      post(edge, 41);
      await edge.start();
      clients = { 4: await UdpClient.open(4), 6: await UdpClient.open(6) };
    });

    after(async () => {
      clients[4].close();
      clients[6].close();
      await edge.close();
      await edge.close();
    });

    it("says what it runs on", () => {
      const status = edge.status();
      assert.equal(status.transport, transport);
      assert.deepEqual(
        status.workers.map(({ role, state }) => [role, state]),
        [
          ["udp", "running"],
          ["udp", "running"],
          ["tcp", "running"],
        ],
      );
      assert.equal(edge.handlerCount, 3);
    });

    it("delivers the last message of a kind before the first packet", async () => {
      const reply = await clients[4].ask("127.0.0.1", portOf(edge), INSPECT);
      assert.equal(reply?.bytes[16], 41);
      assert.equal(posted.length, 3);
    });

    it("tells the handler the client's address and family over IPv4", async () => {
      const reply = await clients[4].ask("127.0.0.1", portOf(edge), INSPECT);
      const [, family, isTcp, , ...address] = reply?.bytes.subarray(13) ?? [];
      assert.deepEqual([family, isTcp, address], [4, 0, [127, 0, 0, 1]]);
    });

    it("tells the handler the client's address and family over IPv6", async () => {
      const reply = await clients[6].ask("::1", portOf(edge, 1), INSPECT);
      const [, family, isTcp, , ...address] = reply?.bytes.subarray(13) ?? [];
      assert.deepEqual([family, isTcp, address], [6, 0, [...Array<number>(15).fill(0), 1]]);
    });

    it("answers over TCP on the same port, both families", async () => {
      for (const [index, address] of ["127.0.0.1", "::1"].entries()) {
        const client = await TcpClient.open(address, portOf(edge, index));
        client.send(buildQuery(7, ...INSPECT));
        assert.ok(await client.waitFor(1));
        const [worker, family, isTcp] = client.messages[0]?.subarray(13) ?? [];
        assert.deepEqual([worker, family, isTcp], [2, index === 0 ? 4 : 6, 1]);
        client.socket.destroy();
      }
    });

    it("answers many queries sent at once, each with its own bytes, from every worker", async () => {
      // Other ports, since the kernel picks the worker by the client's address and port: that all lead to one is a chance of 2⁻²³.
      const many = await Promise.all(Array.from({ length: 24 }, () => UdpClient.open(4)));
      const replies = await Promise.all(
        many.flatMap((client) =>
          Array.from({ length: 16 }, (_, i) =>
            client.ask("127.0.0.1", portOf(edge), [...INSPECT.slice(0, 4), i]),
          ),
        ),
      );
      for (const client of many) client.close();
      assert.deepEqual(new Set(replies.map((reply) => reply?.bytes[13])), new Set([0, 1]));
    });

    it("keeps silent where the handler does, and goes on", async () => {
      const silent = clients[4].ask("127.0.0.1", portOf(edge), [ECHO_COMMANDS.silence], 150);
      const echo = clients[4].ask("127.0.0.1", portOf(edge), [ECHO_COMMANDS.echo]);
      assert.equal(await silent, undefined);
      assert.notEqual(await echo, undefined);
    });

    it("takes queries of 4,096 bytes and drops longer and empty ones", async () => {
      const rest = (length: number): number[] => Array<number>(length - 12).fill(0);
      const fits = await clients[4].ask("127.0.0.1", portOf(edge), rest(4096));
      assert.equal(fits?.bytes.length, 1232);
      assert.equal(await clients[4].ask("127.0.0.1", portOf(edge), rest(4200), 150), undefined);
      const empty = createSocket("udp4");
      empty.send("", portOf(edge), "127.0.0.1", () => empty.close());
      await once(empty, "close");
      assert.notEqual(await clients[4].ask("127.0.0.1", portOf(edge), [0]), undefined);
      assert.ok(edge.status().counts.packetsTooLong >= 1);
    });

    it("has a posted message in force for a query that was sent after it", async () => {
      for (let value = 50; value < 60; value += 1) {
        post(edge, value);
        if (transport === "dgram") await new Promise((resolve) => setTimeout(resolve, 20));
        const reply = await clients[4].ask("127.0.0.1", portOf(edge), INSPECT);
        assert.equal(reply?.bytes[16], value);
      }
    });

    it("replaces workers that throw, exit or run out of memory, with the last message", async () => {
      const breaks = [ECHO_COMMANDS.throw, ECHO_COMMANDS.exit, ECHO_COMMANDS.exhaustMemory];
      const broken = createEdge({ transport, workerHeapMaxMb: 32 });
      await broken.start();
      post(broken, 99);
      const client = await UdpClient.open(4);
      for (const [index, command] of breaks.entries()) {
        void client.ask("127.0.0.1", portOf(broken), [command], 1);
        while (broken.status().workers[0]?.restarts !== index + 1) {
          await new Promise((resolve) => setTimeout(resolve, 5));
        }
        let reply: unknown;
        while (reply === undefined) {
          const answer = await client.ask("127.0.0.1", portOf(broken), INSPECT, 100);
          reply = answer?.bytes[16];
        }
        // How soon is measured where the load of the machine is allowed for, in test/proof/workers.test.ts.
        assert.equal(reply, 99);
      }
      client.close();
      await broken.close();
    });

    it("answers what is queued when it closes", async () => {
      const closing = createEdge({ transport });
      await closing.start();
      const client = await UdpClient.open(4);
      const asked = Array.from({ length: 200 }, () =>
        client.ask("127.0.0.1", portOf(closing), [0]),
      );
      // The sends of node:dgram have left once one of them is answered.
      await Promise.race(asked);
      await closing.close();
      const replies = await Promise.all(asked);
      assert.equal(replies.filter((reply) => reply === undefined).length, 0);
      client.close();
    });

    it("says in one sentence that a port is taken, for UDP and for TCP", async () => {
      const listen = `127.0.0.1:${portOf(edge)}`;
      await assert.rejects(createEdge({ transport, listen: [listen] }).start(), {
        code: "EDGE_LISTEN_IN_USE",
        message: `Cannot listen on ${listen} (UDP): the address is in use`,
      });
      const server = createServer().listen(0, "127.0.0.1");
      await once(server, "listening");
      const address = server.address();
      assert.ok(typeof address === "object" && address !== null);
      await assert.rejects(
        createEdge({ transport, listen: [`127.0.0.1:${address.port}`] }).start(),
        { message: `Cannot listen on 127.0.0.1:${address.port} (TCP): the address is in use` },
      );
      server.close();
    });

    it("says in one sentence that the host has no such address", async () => {
      await assert.rejects(createEdge({ transport, listen: ["192.0.2.1:5300"] }).start(), {
        code: "EDGE_LISTEN_UNAVAILABLE",
        message: "Cannot listen on 192.0.2.1:5300 (UDP): this host does not have the address",
      });
    });

    it("rejects start() with the reason where a handler cannot be created", async () => {
      const broken = createEdge({
        transport,
        handlerModule: new URL("edge-logger.ts", import.meta.url),
      });
      await assert.rejects(broken.start(), /exports no function createHandler/);
    });
  });
}

describe("Edge over native", { skip: noNative }, () => {
  it("replies from the address that was asked, on wildcard sockets", async () => {
    const edge = createEdge({ listen: ["0.0.0.0:0", "[::]:0"] });
    await edge.start();
    const client = await UdpClient.open(4);
    for (const address of ["127.0.0.1", "127.0.0.2", "127.0.0.3"]) {
      assert.equal((await client.ask(address, portOf(edge), [0]))?.from, address);
    }
    const six = await UdpClient.open(6);
    assert.equal((await six.ask("::1", portOf(edge, 1), [0]))?.from, "::1");
    client.close();
    six.close();
    await edge.close();
  });

  it("loses nothing of one worker's queue while another worker, or it itself, is replaced", async () => {
    const edge = createEdge({ workers: 2, workerHeapMaxMb: 32 });
    await edge.start();
    const load = new UdpLoad(portOf(edge), 2000, 16);
    const client = await UdpClient.open(4);
    for (const command of [ECHO_COMMANDS.exit, ECHO_COMMANDS.throw]) {
      await new Promise((resolve) => setTimeout(resolve, 300));
      void client.ask("127.0.0.1", portOf(edge), [command], 1);
    }
    await new Promise((resolve) => setTimeout(resolve, 700));
    const { sent, answered } = await load.stop();
    const { workers, kernelDrops } = edge.status();
    client.close();
    await edge.close();
    assert.equal(
      workers.reduce((sum, worker) => sum + worker.restarts, 0),
      2,
    );
    assert.equal(kernelDrops, 0);
    // Only what the dying worker had taken into the same batch may be lost.
    assert.ok(sent - answered <= 2 * 64, `lost ${sent - answered} of ${sent}`);
    assert.ok(sent > 1000);
  });
});

describe("Edge over dgram", () => {
  it("replies from the address that was asked: a wildcard is one socket for each local address", async () => {
    const edge = createEdge({ transport: "dgram", listen: ["0.0.0.0:0"] });
    await edge.start();
    const client = await UdpClient.open(4);
    assert.equal((await client.ask("127.0.0.1", portOf(edge), [0]))?.from, "127.0.0.1");
    client.close();
    await edge.close();
  });

  it("says at start that the add-on is missing", async () => {
    const warnings: string[] = [];
    const edge = createEdge({
      addonPath: "/nonexistent.node",
      logger: { ...SILENT_LOGGER, warn: (message) => warnings.push(message) },
    });
    await edge.start();
    assert.equal(edge.status().transport, "dgram");
    await edge.close();
    assert.match(warnings.join(), /add-on is missing.*has not been built.*node:dgram/);
  });

  it("refuses to start where the add-on was asked for by name and is missing", async () => {
    const edge = createEdge({ transport: "native", addonPath: "/nonexistent.node" });
    await assert.rejects(edge.start(), { code: "EDGE_ADDON_MISSING" });
  });
});
