// SPDX-License-Identifier: Apache-2.0

import assert from "node:assert/strict";
import { describe, it } from "node:test";

import type { EdgeLogger } from "./edge-logger.ts";
import { SILENT_LOGGER } from "./edge-logger.ts";
import { Supervisor } from "./supervisor.ts";
import type { SupervisorOptions } from "./supervisor.ts";
import { UdpClient } from "./transport-testing/clients.ts";
import { ECHO_COMMANDS } from "./transport-testing/echo-handler.ts";

const HANDLER = new URL("transport-testing/echo-handler.ts", import.meta.url);
const PORT_RANGE_START = 20_000;
const PORT_RANGE_SIZE = 10_000;
const port = PORT_RANGE_START + (process.pid % PORT_RANGE_SIZE);

/** A worker over node:dgram, so that this runs without the add-on. */
function createSupervisor(options: Partial<SupervisorOptions>): Supervisor {
  return new Supervisor({
    index: 0,
    workerModule: new URL("worker.ts", import.meta.url),
    handlerModule: String(HANDLER),
    handlerData: undefined,
    proxies: [],
    sockets: { kind: "dgram", addresses: [{ address: "127.0.0.1", port, family: 4 }] },
    heapMaxMb: 64,
    logger: SILENT_LOGGER,
    onMessage: () => undefined,
    onExit: () => undefined,
    replay: () => [],
    ...options,
  });
}

describe("Supervisor", { timeout: 60_000 }, () => {
  it("waits longer between failures in a row, never a second, and says why each worker ended", async () => {
    const delays: unknown[] = [];
    const exits: string[] = [];
    const logger: EdgeLogger = {
      ...SILENT_LOGGER,
      error: (_message, fields) => delays.push(fields?.["restartInMs"]),
    };
    const supervisor = createSupervisor({ logger, onExit: () => exits.push("exit") });
    await supervisor.start();
    const client = await UdpClient.open(4);
    for (let failures = 1; failures <= 4; failures += 1) {
      while (supervisor.state !== "running") await new Promise((resolve) => setTimeout(resolve, 5));
      void client.ask("127.0.0.1", port, [ECHO_COMMANDS.throw], 1);
      while (supervisor.restarts < failures) await new Promise((resolve) => setTimeout(resolve, 5));
    }
    assert.deepEqual(delays, [0, 25, 50, 100]);
    assert.equal(exits.length, 4);
    assert.equal(supervisor.lastError, "asked to throw");
    client.close();
    await supervisor.stop("drain");
    assert.equal(supervisor.state, "stopped");
  });

  it("stops once, however often it is told to", async () => {
    const supervisor = createSupervisor({});
    await supervisor.start();
    await Promise.all([supervisor.stop("drain"), supervisor.stop("leave")]);
    await supervisor.stop("drain");
    assert.equal(supervisor.state, "stopped");
    assert.equal(supervisor.restarts, 0);
  });

  it("gives a new worker the replayed messages, in order, before it is ready", async () => {
    const events: unknown[] = [];
    const supervisor = createSupervisor({
      replay: () => [1, 2].map((value) => ({ kind: "value", value })),
      onMessage: (message) => events.push(message),
    });
    await supervisor.start();
    assert.deepEqual(events, [
      { kind: "value", value: 1 },
      { kind: "value", value: 2 },
    ]);
    await supervisor.stop("drain");
  });

  it("rejects start() with the worker's own error", async () => {
    const supervisor = createSupervisor({ handlerModule: "file:///nonexistent.ts" });
    await assert.rejects(supervisor.start(), /nonexistent\.ts/);
    assert.equal(supervisor.state, "stopped");
  });
});
