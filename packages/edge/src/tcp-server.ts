// SPDX-License-Identifier: Apache-2.0

/**
 * DNS over TCP (RFC 7766) for all listen addresses, on one event loop. Connections are kept in the order of their last
 * whole query, so the one to close, for idleness or to make room, is always the first: sending single bytes, or
 * nothing, does not keep a connection.
 */

import { createServer } from "node:net";
import type { Server, Socket } from "node:net";

import type { PacketHandler } from "./packet-handler.ts";
import { TcpConnection, TcpScratch } from "./tcp-connection.ts";
import { formatListenAddress } from "./transport-address.ts";
import type { ListenAddress } from "./transport-address.ts";
import type { TransportCounters } from "./transport-counters.ts";
import { listenError } from "./transport-error.ts";

/** Bounds on what clients can hold. */
export interface TcpLimits {
  /** Past it, the connection that has been quiet longest makes room. */
  readonly connectionsMax: number;
  /** Per IPv4 address or IPv6 /64; past it, new connections are closed. */
  readonly connectionsPerClientMax: number;
  /** Since the last whole query. A client that does not read its answers within it is closed too. */
  readonly idleTimeoutMs: number;
  readonly queryBytesMax: number;
  /** Answers written but not read; past it, no more queries of that connection are taken. At least 64 KiB. */
  readonly pendingBytesMax: number;
  readonly backlog: number;
}

export const TCP_LIMITS: TcpLimits = {
  connectionsMax: 2048,
  connectionsPerClientMax: 128,
  idleTimeoutMs: 10_000,
  queryBytesMax: 4096,
  pendingBytesMax: 131_072,
  backlog: 1024,
};

/** Idle connections are looked for this often within an idle time-out. */
const SWEEPS_PER_TIMEOUT = 8;

/** A listening descriptor that this server closes, or an address to bind. */
export type TcpListen =
  | { readonly kind: "fd"; readonly fd: number; readonly listen: ListenAddress }
  | { readonly kind: "address"; readonly listen: ListenAddress };

export class TcpServer {
  readonly #handler: PacketHandler;
  readonly #counters: TransportCounters;
  readonly #limits: TcpLimits;
  readonly #servers: Server[] = [];
  readonly #scratch = new TcpScratch();
  /** In the order of their last query, oldest first. */
  readonly #connections = new Set<TcpConnection>();
  readonly #perClient = new Map<string, number>();
  #sweep: NodeJS.Timeout | undefined;

  constructor(handler: PacketHandler, counters: TransportCounters, limits: TcpLimits = TCP_LIMITS) {
    this.#handler = handler;
    this.#counters = counters;
    this.#limits = limits;
    // An earlier worker of this index may have died with connections open.
    counters.set("connectionsOpen", 0);
  }

  /** Listens on all; throws one sentence about the first that fails. */
  async start(listens: readonly TcpListen[]): Promise<void> {
    for (const listen of listens) this.#servers.push(await this.#listen(listen));
    const { idleTimeoutMs } = this.#limits;
    this.#sweep = setInterval(() => this.#closeIdle(), idleTimeoutMs / SWEEPS_PER_TIMEOUT);
  }

  /**
   * Stops accepting and lets connections go: one that has been quiet for `quietMs` is closed, all after `lingerMs`.
   * Idempotent.
   */
  async stop(quietMs: number, lingerMs: number): Promise<void> {
    clearInterval(this.#sweep);
    for (const server of this.#servers.splice(0)) server.close();
    const deadline = performance.now() + lingerMs;
    while (this.#connections.size > 0 && performance.now() < deadline) {
      this.#endQuiet(performance.now() - quietMs);
      await new Promise((resolve) => setTimeout(resolve, Math.min(20, lingerMs)));
    }
    for (const connection of this.#connections) connection.destroy();
  }

  async #listen(target: TcpListen): Promise<Server> {
    const server = createServer({ allowHalfOpen: true }, (socket) => this.#accept(socket));
    const { address, port } = target.listen;
    const { backlog } = this.#limits;
    try {
      await new Promise<void>((resolve, reject) => {
        server.once("error", reject);
        server.once("listening", resolve);
        if (target.kind === "fd") server.listen({ fd: target.fd });
        else server.listen({ host: address, port, backlog, ipv6Only: true, reusePort: true });
      });
    } catch (error) {
      throw listenError(formatListenAddress(target.listen), "tcp", error);
    }
    // Later errors are of accepting (no descriptor left): the client retries, and the listener goes on.
    server.on("error", () => this.#counters.add("connectionsRefused", 1));
    return server;
  }

  #accept(socket: Socket): void {
    const connection = new TcpConnection({
      socket,
      handler: this.#handler,
      scratch: this.#scratch,
      queryBytesMax: this.#limits.queryBytesMax,
      pendingBytesMax: this.#limits.pendingBytesMax,
      onActive: (active) => this.#touch(active),
      onClosed: (closed) => this.#forget(closed),
      onInvalid: () => this.#counters.add("framesInvalid", 1),
    });
    const client = clientKey(connection);
    const held = this.#perClient.get(client) ?? 0;
    if (connection.family === 0 || held >= this.#limits.connectionsPerClientMax) {
      this.#counters.add("connectionsRefused", 1);
      socket.destroy();
      return;
    }
    if (this.#connections.size >= this.#limits.connectionsMax) this.#evict();
    this.#perClient.set(client, held + 1);
    this.#connections.add(connection);
    this.#counters.add("connectionsAccepted", 1);
    this.#counters.set("connectionsOpen", this.#connections.size);
    connection.start();
  }

  #touch(connection: TcpConnection): void {
    connection.activeAt = performance.now();
    if (this.#connections.delete(connection)) this.#connections.add(connection);
  }

  #forget(connection: TcpConnection): void {
    if (!this.#connections.delete(connection)) return;
    const client = clientKey(connection);
    const held = this.#perClient.get(client) ?? 1;
    if (held > 1) this.#perClient.set(client, held - 1);
    else this.#perClient.delete(client);
    this.#counters.set("connectionsOpen", this.#connections.size);
  }

  #evict(): void {
    for (const connection of this.#connections) {
      this.#counters.add("connectionsEvicted", 1);
      connection.destroy();
      this.#forget(connection);
      return;
    }
  }

  #closeIdle(): void {
    const before = performance.now() - this.#limits.idleTimeoutMs;
    for (const connection of this.#connections) {
      if (connection.activeAt > before) return;
      connection.destroy();
    }
  }

  #endQuiet(before: number): void {
    for (const connection of this.#connections) {
      if (connection.activeAt > before) return;
      connection.end();
    }
  }
}

/** What counts as one client: an IPv4 address, or the /64 that an IPv6 host can choose its address from. */
function clientKey(connection: TcpConnection): string {
  return Buffer.from(connection.source.subarray(0, connection.family === 4 ? 4 : 8)).toString(
    "hex",
  );
}
