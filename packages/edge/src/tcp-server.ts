// SPDX-License-Identifier: Apache-2.0

/**
 * DNS over TCP (RFC 7766) for all listen addresses, on one event loop. Connections are kept in the order of their last
 * whole query, so the one to close, for idleness or to make room, is always the first: sending single bytes, or
 * nothing, does not keep a connection.
 */

import type { ClientCertificate } from "./client-certificate.ts";
import { createServer } from "node:net";
import type { Server, Socket } from "node:net";
import type { TLSSocket } from "node:tls";

import { assert } from "@meridian/core";

import type { Channel, PacketHandler } from "./packet-handler.ts";
import type { DohSession, DohSessionOptions } from "./doh-session.ts";
import { TcpConnection, TcpScratch, peerOf } from "./tcp-connection.ts";
import type { ClientAddress } from "./tcp-connection.ts";
import type { Certificate, EncryptedService, TlsWrapper } from "./tcp-encryption.ts";
import type { ProxyPeers } from "./proxy-peers.ts";
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

/** A listening descriptor that this server closes, or an address to bind; and what is spoken there, plain DNS unless told. */
export type TcpListen = { readonly service?: EncryptedService } & (
  | { readonly kind: "fd"; readonly fd: number; readonly listen: ListenAddress }
  | { readonly kind: "address"; readonly listen: ListenAddress }
);

/** What encrypted services need, loaded by whoever listens for one. */
export interface Encryption {
  readonly wrapper: TlsWrapper;
  readonly openDoh: (options: DohSessionOptions) => DohSession;
}

/** What most servers do without. */
export interface TcpServerExtras {
  readonly encryption?: Encryption | undefined;
  /** Who states the client before each connection. */
  readonly proxies?: ProxyPeers | undefined;
}

/** One accepted connection, whatever is spoken on it. */
interface Held {
  readonly client: ClientAddress;
  /** When the last whole query came, in milliseconds of performance.now(). */
  activeAt: number;
  /** Writes what is pending, then closes. */
  end: () => void;
  readonly destroy: () => void;
}

export class TcpServer {
  readonly #handler: PacketHandler;
  readonly #counters: TransportCounters;
  readonly #limits: TcpLimits;
  readonly #encryption: Encryption | undefined;
  readonly #proxies: ProxyPeers | undefined;
  readonly #servers: Server[] = [];
  readonly #scratch = new TcpScratch();
  /** In the order of their last query, oldest first. */
  readonly #connections = new Set<Held>();
  readonly #perClient = new Map<string, number>();
  #sweep: NodeJS.Timeout | undefined;

  constructor(
    handler: PacketHandler,
    counters: TransportCounters,
    limits: TcpLimits = TCP_LIMITS,
    { encryption, proxies }: TcpServerExtras = {},
  ) {
    this.#encryption = encryption;
    this.#proxies = proxies;
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

  /** New connections are made with another certificate; those that are there go on. */
  renew(certificate: Certificate): void {
    this.#encryption?.wrapper.renew(certificate);
  }

  async #listen(target: TcpListen): Promise<Server> {
    const { service } = target;
    // Over plain TCP a client may close its half and still wait for answers.
    const allowHalfOpen = service === undefined;
    const server = createServer({ allowHalfOpen }, (socket) => this.#accept(socket, service));
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

  #accept(socket: Socket, service: EncryptedService | undefined): void {
    const peer = peerOf(socket);
    const proxies = this.#proxies;
    if (proxies === undefined || !proxies.isListed(peer)) {
      this.#admit(socket, service, peer);
      return;
    }
    this.#readHeader(proxies, socket, service !== undefined, (client) =>
      this.#admit(socket, service, client ?? peer, client === undefined),
    );
  }

  #readHeader(
    proxies: ProxyPeers,
    socket: Socket,
    mayBeInside: boolean,
    onClient: (client: ClientAddress | undefined) => void,
  ): void {
    proxies.read(socket, this.#limits.idleTimeoutMs, mayBeInside, onClient, () =>
      this.#counters.add("framesInvalid", 1),
    );
  }

  /** From here on the connection counts as the client's, and has its idle time. */
  #admit(
    socket: Socket,
    service: EncryptedService | undefined,
    client: ClientAddress,
    isProxy = false,
  ): void {
    const key = clientKey(client);
    const count = this.#perClient.get(key) ?? 0;
    const isOver = count >= this.#limits.connectionsPerClientMax && !isProxy;
    if (client.family === 0 || isOver) {
      this.#counters.add("connectionsRefused", 1);
      socket.destroy();
      return;
    }
    if (this.#connections.size >= this.#limits.connectionsMax) this.#evict();
    const held: Held = {
      client,
      activeAt: performance.now(),
      end: () => socket.destroy(),
      destroy: () => socket.destroy(),
    };
    this.#perClient.set(key, count + 1);
    this.#connections.add(held);
    this.#counters.add("connectionsAccepted", 1);
    this.#counters.set("connectionsOpen", this.#connections.size);
    // A reset by the client is an error, too.
    socket.on("error", () => undefined);
    socket.on("close", () => this.#forget(held));
    if (service === undefined) this.#speakDns(socket, held, client);
    else this.#encrypt(socket, service, held, isProxy);
  }

  #speakDns(
    socket: Socket,
    held: Held,
    client: ClientAddress,
    channel: Channel = "clear",
    certificate?: ClientCertificate,
  ): void {
    const connection = new TcpConnection({
      socket,
      handler: this.#handler,
      scratch: this.#scratch,
      queryBytesMax: this.#limits.queryBytesMax,
      pendingBytesMax: this.#limits.pendingBytesMax,
      onActive: () => this.#touch(held),
      onInvalid: () => this.#counters.add("framesInvalid", 1),
      client,
      channel,
      certificate,
    });
    held.end = () => connection.end();
    connection.start();
  }

  #encrypt(socket: Socket, service: EncryptedService, held: Held, isProxy: boolean): void {
    const encryption = this.#encryption;
    assert(encryption !== undefined, "An encrypted service is listened on without a certificate");
    socket.setNoDelay(true);
    let isSecure = false;
    const secure = encryption.wrapper.wrap(socket, service, (protocol) => {
      isSecure = true;
      this.#counters.add("handshakes", 1);
      const proxies = isProxy ? this.#proxies : undefined;
      const channel = protocol === "dot" && secure.getProtocol() === "TLSv1.3" ? "xot" : "tls";
      if (service === "dot" && proxies === undefined)
        this.#speakDns(secure, held, held.client, channel, encryption.wrapper.shownBy(secure));
      else if (service === "dot" && proxies !== undefined)
        // The certificate is the proxy's own, whoever is behind it: it says nothing of the client.
        this.#readHeader(proxies, secure, false, (client) =>
          this.#speakDns(secure, held, client ?? held.client, channel),
        );
      else if (protocol === "h2" && !isProxy) this.#speakHttp(secure, encryption, held);
      else secure.destroy();
    });
    secure.on("error", () => {
      if (!isSecure) this.#counters.add("handshakesFailed", 1);
      socket.destroy();
    });
    secure.on("close", () => socket.destroy());
  }

  #speakHttp(socket: TLSSocket, { openDoh }: Encryption, held: Held): void {
    const session = openDoh({
      socket,
      handler: this.#handler,
      scratch: this.#scratch.bytes,
      queryBytesMax: this.#limits.queryBytesMax,
      ...held.client,
      onAnswered: () => {
        this.#counters.add("dohQueries", 1);
        this.#touch(held);
      },
      onRefused: () => this.#counters.add("dohRefused", 1),
    });
    held.end = () => session.end();
  }

  #touch(held: Held): void {
    held.activeAt = performance.now();
    if (this.#connections.delete(held)) this.#connections.add(held);
  }

  #forget(held: Held): void {
    if (!this.#connections.delete(held)) return;
    const key = clientKey(held.client);
    const count = this.#perClient.get(key) ?? 1;
    if (count > 1) this.#perClient.set(key, count - 1);
    else this.#perClient.delete(key);
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
function clientKey({ source, family }: ClientAddress): string {
  return Buffer.from(source.subarray(0, family === 4 ? 4 : 8)).toString("hex");
}
