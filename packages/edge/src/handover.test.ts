// SPDX-License-Identifier: Apache-2.0

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { Socket, connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { fileURLToPath } from "node:url";

import { loadNative } from "@meridian/native";

import { Edge, type EdgeOptions } from "./edge.ts";
import { SILENT_LOGGER } from "./edge-logger.ts";
import { HandoverServer, takeOver } from "./handover.ts";
import { TcpClient, UdpClient, UdpLoad, buildQuery } from "./transport-testing/clients.ts";

const loaded = loadNative();
const noNative = loaded.kind === "missing" ? loaded.reason : false;
const ECHO_PROCESS = fileURLToPath(new URL("transport-testing/echo-process.ts", import.meta.url));

let folder = "";
before(() => {
  folder = mkdtempSync(join(tmpdir(), "meridian-handover-"));
});
after(() => rmSync(folder, { recursive: true }));

interface EchoProcess {
  readonly child: ChildProcess;
  readonly address: string;
}

/** Starts an edge of its own process; resolves when it serves. */
async function startProcess(
  path: string,
  listen: string,
  transport = "auto",
  workers = 1,
): Promise<EchoProcess> {
  const child = spawn(process.execPath, [ECHO_PROCESS, path, listen, transport, `${workers}`], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const line: unknown = (await once(child.stdout, "data"))[0];
  return { child, address: String(line).trim() };
}

function createEdge(more: Partial<EdgeOptions> = {}): Edge {
  return new Edge({
    listen: ["127.0.0.1:0"],
    workers: 1,
    transport: "auto",
    handlerModule: new URL("transport-testing/echo-handler.ts", import.meta.url),
    logger: SILENT_LOGGER,
    ...more,
  });
}

describe("takeOver()", { timeout: 60_000 }, () => {
  it("finds nothing where no process offers a handover, or one died and left its file", async () => {
    const path = join(folder, "none.sock");
    assert.equal(await takeOver(path), undefined);
    writeFileSync(path, "");
    assert.equal(await takeOver(path), undefined);
  });

  it("replaces processes under load without losing a query", { skip: noNative }, async () => {
    const path = join(folder, "load.sock");
    let current = await startProcess(path, "127.0.0.1:0");
    const { address } = current;
    const load = new UdpLoad(Number(address.split(":")[1]), 3000, 12);
    // One worker, then two (a socket joins), then one that reads both sockets, then one.
    for (const workers of [2, 1, 1]) {
      const old = current;
      const gone = once(old.child, "exit");
      current = await startProcess(path, address, "auto", workers);
      assert.deepEqual(await gone, [0, null]);
      assert.equal(current.address, address);
      await new Promise((resolve) => setTimeout(resolve, 150));
    }
    const { sent, answered } = await load.stop();
    current.child.kill();
    assert.equal(sent - answered, 0, `lost ${sent - answered} of ${sent}`);
    assert.ok(sent > 2000);
  });

  it(
    "lets the new process answer TCP connections that wait in the listener",
    { skip: noNative },
    async () => {
      const path = join(folder, "tcp.sock");
      const old = await startProcess(path, "127.0.0.1:0");
      const port = Number(old.address.split(":")[1]);
      let failed = 0;
      let asked = 0;
      let isDone = false;
      const asking = (async () => {
        while (!isDone) {
          const client = await TcpClient.open("127.0.0.1", port);
          client.send(buildQuery(1, 0));
          await client.waitFor(1);
          asked += 1;
          if (client.messages.length !== 1) failed += 1;
          client.socket.destroy();
        }
      })();
      const next = await startProcess(path, old.address);
      isDone = true;
      await asking;
      next.child.kill();
      assert.equal(failed, 0, `${failed} of ${asked} connections`);
      assert.ok(asked > 0);
    },
  );

  it("goes on beside the old process without the add-on", async () => {
    const path = join(folder, "dgram.sock");
    const old = await startProcess(path, "127.0.0.1:0", "dgram");
    const gone = once(old.child, "exit");
    const next = await startProcess(path, old.address, "dgram");
    assert.deepEqual(await gone, [0, null]);
    const client = await UdpClient.open(4);
    assert.notEqual(
      await client.ask("127.0.0.1", Number(old.address.split(":")[1]), [0]),
      undefined,
    );
    client.close();
    next.child.kill();
  });
});

describe("HandoverServer", { skip: noNative, timeout: 60_000 }, () => {
  it("goes on when the new process gives up, and can be asked again", async () => {
    const path = join(folder, "abandon.sock");
    const edge = createEdge();
    await edge.start();
    const server = await HandoverServer.start({
      path,
      edge,
      logger: SILENT_LOGGER,
      onReplaced: () => assert.fail("was not replaced"),
    });
    assert.equal(statSync(path).mode & 0o777, 0o600);
    for (let attempt = 0; attempt < 2; attempt += 1) {
      const takeover = await takeOver(path);
      assert.equal(takeover?.sockets.length, 2);
      takeover?.abandon();
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    const client = await UdpClient.open(4);
    const port = edge.addresses()[0]?.port ?? 0;
    assert.notEqual(await client.ask("127.0.0.1", port, [0]), undefined);
    client.close();
    server.close();
    await edge.close();
    assert.equal(existsSync(path), false);
  });

  it("refuses a second process while one takes over, and another version", async () => {
    const path = join(folder, "refuse.sock");
    const edge = createEdge();
    await edge.start();
    const onReplaced = (): void => undefined;
    const server = await HandoverServer.start({ path, edge, logger: SILENT_LOGGER, onReplaced });
    const first = await takeOver(path);
    await assert.rejects(takeOver(path), {
      code: "EDGE_HANDOVER_FAILED",
      message: /is taking over$/,
    });
    first?.abandon();
    const other = connect(path);
    other.write('{"kind":"take","version":9,"receiver":null}\n');
    const answer: unknown = (await once(other, "data"))[0];
    assert.match(String(answer), /version 9 of the handover is not known, expected 1/);
    other.destroy();
    await assert.rejects(HandoverServer.start({ path, edge, logger: SILENT_LOGGER, onReplaced }), {
      code: "EDGE_HANDOVER_IN_USE",
    });
    server.close();
    await edge.close();
  });

  it("refuses a process that asks late, when another one has taken over", async () => {
    const path = join(folder, "late.sock");
    const edge = createEdge();
    await edge.start();
    const { promise: replaced, resolve: onReplaced } = Promise.withResolvers<void>();
    await HandoverServer.start({ path, edge, logger: SILENT_LOGGER, onReplaced });
    const late = connect(path);
    await once(late, "connect");
    const takeover = await takeOver(path);
    const finished = takeover?.finish();
    await finished;
    late.write('{"kind":"take","version":1,"receiver":null}\n');
    const answer: unknown = (await once(late, "data"))[0];
    assert.match(String(answer), /"refused".*is taking over.*"isBusy":true/);
    await replaced;
    late.destroy();
    takeover?.abandon();
  });

  it("goes on when the new process is told to end before it is ready", async () => {
    const path = join(folder, "interrupted.sock");
    const edge = createEdge();
    await edge.start();
    const { promise: abandoned, resolve: onAbandoned } = Promise.withResolvers<void>();
    const server = await HandoverServer.start({
      ...{ path, edge, logger: SILENT_LOGGER, onAbandoned },
      onReplaced: () => assert.fail("was not replaced"),
    });
    const stop = new AbortController();
    const takeover = await takeOver(path, { signal: stop.signal });
    const next = createEdge({ inherited: takeover?.sockets ?? [] });
    await next.start();
    stop.abort();
    await assert.rejects(takeover?.finish() ?? Promise.resolve(), {
      code: "EDGE_HANDOVER_INTERRUPTED",
    });
    await abandoned;
    takeover?.abandon();
    await next.close();
    const client = await UdpClient.open(4);
    const port = edge.addresses()[0]?.port ?? 0;
    assert.notEqual(await client.ask("127.0.0.1", port, [0]), undefined);
    client.close();
    await assert.rejects(takeOver(path, { signal: stop.signal }), {
      code: "EDGE_HANDOVER_INTERRUPTED",
    });
    server.close();
    await edge.close();
  });

  it("hangs up when it is told to end while the other process says nothing", async () => {
    const path = join(folder, "silent.sock");
    const silent = createServer().listen(path);
    await once(silent, "listening");
    const stop = new AbortController();
    const taken = takeOver(path, { signal: stop.signal });
    taken.catch(() => undefined);
    const asked: unknown = (await once(silent, "connection"))[0];
    assert(asked instanceof Socket);
    const ended = once(asked.resume(), "close");
    stop.abort();
    await assert.rejects(taken, { code: "EDGE_HANDOVER_INTERRUPTED" });
    await ended;
    silent.close();
  });

  it("says why it cannot hand over, goes on, and can be asked again", async () => {
    const path = join(folder, "full.sock");
    const edge = createEdge();
    await edge.start();
    let failures = 1;
    const server = await HandoverServer.start({
      path,
      edge,
      logger: SILENT_LOGGER,
      onTake: () => {
        if (failures-- > 0) throw new Error("no space left on device");
      },
      onReplaced: () => undefined,
    });
    await assert.rejects(takeOver(path), {
      code: "EDGE_HANDOVER_FAILED",
      message: `Cannot take over from the process at "${path}": no space left on device`,
    });
    (await takeOver(path))?.abandon();
    server.close();
    await edge.close();
  });

  it("survives nonsense on its socket", async () => {
    const path = join(folder, "nonsense.sock");
    const edge = createEdge();
    await edge.start();
    const warnings: string[] = [];
    const logger = { ...SILENT_LOGGER, warn: (message: string) => warnings.push(message) };
    const server = await HandoverServer.start({ path, edge, logger, onReplaced: () => undefined });
    const other = connect(path);
    other.write("\0\n");
    await once(other, "close");
    assert.match(warnings.join(), /The handover failed: .*; this process goes on/);
    const takeover = await takeOver(path);
    assert.notEqual(takeover, undefined);
    takeover?.abandon();
    server.close();
    await edge.close();
  });
});
