// SPDX-License-Identifier: Apache-2.0

// What the tests of all probe kinds need: a target on loopback, one run with a deadline as the runner keeps it, servers that close.

import { createServer, type AddressInfo, type Server, type Socket } from "node:net";
import type { TestContext } from "node:test";
import type { CheckSpec, ProbeTarget } from "../check.ts";
import type { Probe, ProbeResult } from "../probe.ts";

/** A target at `port` of loopback. */
export function targetAt(port: number, check: CheckSpec, hostName?: string): ProbeTarget {
  const base = { key: "endpoint/default/test/1", checkName: "test", check };
  const place = { address: "127.0.0.1", port };
  return hostName === undefined ? { ...base, ...place } : { ...base, ...place, hostName };
}

/** Runs a probe once; after the check's timeout it is cancelled, as the runner does. */
export async function runProbe(probe: Probe, timeoutMs = 2000): Promise<ProbeResult> {
  const { promise, resolve } = Promise.withResolvers<ProbeResult>();
  const timer = setTimeout(() => {
    probe.cancel();
    resolve({ outcome: "fail", reason: `no answer in ${timeoutMs} ms` });
  }, timeoutMs);
  probe.run(resolve);
  const result = await promise;
  clearTimeout(timer);
  return result;
}

/** A TCP server that hands each connection to `serve`; closed with all its connections after the test. */
export async function listenTcp(
  context: TestContext,
  serve: (socket: Socket) => void,
): Promise<number> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
    socket.on("error", () => socket.destroy());
    serve(socket);
  });
  const port = await listen(server);
  context.after(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return port;
}

/** Listens at a free port of loopback. */
export async function listen(server: Server): Promise<number> {
  const { promise, resolve } = Promise.withResolvers<void>();
  server.listen(0, "127.0.0.1", resolve);
  await promise;
  return portOf(server.address());
}

/** The port of an address as node gives it. */
export function portOf(address: AddressInfo | string | null): number {
  if (address === null || typeof address === "string") throw new Error("server has no port");
  return address.port;
}

/** A port at which nothing listens. */
export async function closedPort(): Promise<number> {
  const server = createServer();
  const port = await listen(server);
  const { promise, resolve } = Promise.withResolvers<void>();
  server.close(() => {
    resolve();
  });
  await promise;
  return port;
}
