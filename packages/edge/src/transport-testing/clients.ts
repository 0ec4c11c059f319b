// SPDX-License-Identifier: Apache-2.0

/** DNS clients over real sockets, for tests: no parsing beyond the message id. */

import { createSocket } from "node:dgram";
import type { RemoteInfo, Socket } from "node:dgram";
import { once } from "node:events";
import { connect } from "node:net";
import type { Socket as TcpSocket } from "node:net";

/** A 12-byte header with this id, followed by `rest`. */
export function buildQuery(id: number, ...rest: readonly number[]): Buffer {
  const query = Buffer.alloc(12 + rest.length);
  query.writeUInt16BE(id & 0xffff, 0);
  query.set(rest, 12);
  return query;
}

export interface UdpReply {
  readonly bytes: Buffer;
  readonly from: string;
}

/** One UDP socket; replies are matched to queries by id. */
export class UdpClient {
  readonly #socket: Socket;
  readonly #waiting = new Map<number, (reply: UdpReply) => void>();
  #id = 0;

  private constructor(family: 4 | 6) {
    this.#socket = createSocket({ type: family === 4 ? "udp4" : "udp6", recvBufferSize: 1 << 20 });
    this.#socket.on("message", (bytes: Buffer, remote: RemoteInfo) => {
      if (bytes.length < 2) return;
      const id = bytes.readUInt16BE(0);
      this.#waiting.get(id)?.({ bytes, from: remote.address });
      this.#waiting.delete(id);
    });
  }

  static async open(family: 4 | 6): Promise<UdpClient> {
    const client = new UdpClient(family);
    const listening = once(client.#socket, "listening");
    client.#socket.bind(0);
    await listening;
    return client;
  }

  /** Sends a query; undefined where no reply came in time. */
  ask(
    address: string,
    port: number,
    rest: readonly number[],
    timeoutMs = 2000,
  ): Promise<UdpReply | undefined> {
    this.#id = (this.#id + 1) & 0xffff;
    const id = this.#id;
    return new Promise((resolve) => {
      const timer = setTimeout(() => {
        this.#waiting.delete(id);
        resolve(undefined);
      }, timeoutMs);
      this.#waiting.set(id, (reply) => {
        clearTimeout(timer);
        resolve(reply);
      });
      this.#socket.send(buildQuery(id, ...rest), port, address);
    });
  }

  close(): void {
    this.#socket.close();
  }
}

/** Whoever waits so long waits for ever. */
const WAIT_MS_MAX = 60_000;

/** One TCP connection that gathers whole messages. */
export class TcpClient {
  readonly socket: TcpSocket;
  readonly messages: Buffer[] = [];
  isClosed = false;
  #pending: Buffer = Buffer.alloc(0);
  #onChange: () => void = () => undefined;

  private constructor(socket: TcpSocket) {
    this.socket = socket;
    socket.on("data", (chunk: Buffer) => this.#take(chunk));
    socket.on("error", () => undefined);
    socket.on("close", () => {
      this.isClosed = true;
      this.#onChange();
    });
  }

  static async open(address: string, port: number): Promise<TcpClient> {
    const client = new TcpClient(connect({ host: address, port }));
    await Promise.race([once(client.socket, "connect"), once(client.socket, "close")]);
    return client;
  }

  /** Sends messages in one segment, framed. */
  send(...messages: readonly Uint8Array[]): void {
    this.socket.write(Buffer.concat(messages.map(frame)));
  }

  /** Waits until `count` messages came or the connection closed; false after the time-out. */
  waitFor(count: number, timeoutMs: number = WAIT_MS_MAX): Promise<boolean> {
    return this.#until(() => this.messages.length >= count || this.isClosed, timeoutMs);
  }

  waitForClose(timeoutMs: number = WAIT_MS_MAX): Promise<boolean> {
    return this.#until(() => this.isClosed, timeoutMs);
  }

  #until(isDone: () => boolean, timeoutMs: number): Promise<boolean> {
    if (isDone()) return Promise.resolve(true);
    return new Promise((resolve) => {
      const timer = setTimeout(() => resolve(false), timeoutMs);
      this.#onChange = () => {
        if (!isDone()) return;
        clearTimeout(timer);
        resolve(true);
      };
    });
  }

  #take(chunk: Buffer): void {
    this.#pending = Buffer.concat([this.#pending, chunk]);
    while (this.#pending.length >= 2) {
      const end = 2 + this.#pending.readUInt16BE(0);
      if (this.#pending.length < end) break;
      this.messages.push(this.#pending.subarray(2, end));
      this.#pending = this.#pending.subarray(end);
    }
    this.#onChange();
  }
}

/** A message behind its length (RFC 1035 section 4.2.2). */
export function frame(message: Uint8Array): Buffer {
  const length = Buffer.alloc(2);
  length.writeUInt16BE(message.length, 0);
  return Buffer.concat([length, message]);
}

/** What a load run saw. */
export interface LoadResult {
  readonly sent: number;
  readonly answered: number;
}

/** Sends queries at a fixed rate from several ports, each with its own id, until stopped; counts the answers. */
export class UdpLoad {
  readonly #sockets: Socket[] = [];
  readonly #port: number;
  readonly #timer: NodeJS.Timeout;
  #sent = 0;
  #answered = 0;
  #due: number;

  constructor(port: number, queriesPerSecond: number, ports: number) {
    this.#port = port;
    for (let i = 0; i < ports; i += 1) {
      const socket = createSocket({ type: "udp4", recvBufferSize: 1 << 20 });
      socket.on("message", () => {
        this.#answered += 1;
      });
      this.#sockets.push(socket);
    }
    this.#due = performance.now();
    this.#timer = setInterval(() => this.#send(1000 / queriesPerSecond), 1);
  }

  #send(intervalMs: number): void {
    for (; this.#due <= performance.now(); this.#due += intervalMs) {
      const socket = this.#sockets[this.#sent % this.#sockets.length];
      socket?.send(buildQuery(this.#sent, 0), this.#port, "127.0.0.1");
      this.#sent += 1;
    }
  }

  /** Stops sending, waits for late answers, and closes. */
  async stop(): Promise<LoadResult> {
    clearInterval(this.#timer);
    for (let i = 0; i < 50 && this.#answered < this.#sent; i += 1) {
      await new Promise((resolve) => setTimeout(resolve, 40));
    }
    for (const socket of this.#sockets) socket.close();
    return { sent: this.#sent, answered: this.#answered };
  }
}
