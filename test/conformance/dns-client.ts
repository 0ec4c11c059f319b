// SPDX-License-Identifier: Apache-2.0

import { createSocket, type Socket as UdpSocket } from "node:dgram";
import { once } from "node:events";
import { connect, type Socket } from "node:net";

const TIMEOUT_MS = 5000;

/** Asks over one UDP socket or one TCP connection; answers are matched by id. */
export interface DnsClient {
  /** Rejects after five seconds without an answer. */
  ask(packet: Uint8Array): Promise<Uint8Array>;
  close(): void;
}

/** Answers that are waited for, by id. */
class Pending {
  readonly #waiting = new Map<
    number,
    { resolve: (bytes: Uint8Array) => void; timer: NodeJS.Timeout }
  >();
  #nextId = 1;

  /** Gives the packet an id of its own and waits for its answer. */
  ask(packet: Uint8Array, send: (packet: Uint8Array) => void): Promise<Uint8Array> {
    const id = this.#nextId;
    this.#nextId = (this.#nextId % 0xffff) + 1;
    const own = Uint8Array.from(packet);
    own[0] = id >>> 8;
    own[1] = id;
    const answer = Promise.withResolvers<Uint8Array>();
    const timer = setTimeout(() => {
      this.#waiting.delete(id);
      answer.reject(new Error(`No answer within ${TIMEOUT_MS} ms`));
    }, TIMEOUT_MS);
    this.#waiting.set(id, { resolve: answer.resolve, timer });
    send(own);
    return answer.promise;
  }

  take(bytes: Uint8Array): void {
    const id = ((bytes[0] ?? 0) << 8) | (bytes[1] ?? 0);
    const waiting = this.#waiting.get(id);
    if (waiting === undefined) return;
    this.#waiting.delete(id);
    clearTimeout(waiting.timer);
    waiting.resolve(Uint8Array.from(bytes));
  }
}

export async function udpClient(address: string, port: number): Promise<DnsClient> {
  const socket: UdpSocket = createSocket(address.includes(":") ? "udp6" : "udp4");
  const pending = new Pending();
  socket.on("message", (message) => pending.take(message));
  // Nobody listens (any more): what was asked stays unanswered.
  socket.on("error", () => undefined);
  socket.connect(port, address);
  await once(socket, "connect");
  return {
    ask: (packet) => pending.ask(packet, (own) => socket.send(own)),
    close: () => socket.close(),
  };
}

export async function tcpClient(address: string, port: number): Promise<DnsClient> {
  const socket: Socket = connect(port, address);
  await once(socket, "connect");
  const pending = new Pending();
  let received: Buffer = Buffer.alloc(0);
  socket.on("data", (data: Buffer) => {
    received = Buffer.concat([received, data]);
    while (received.length >= 2 && received.length >= 2 + received.readUInt16BE(0)) {
      const end = 2 + received.readUInt16BE(0);
      pending.take(received.subarray(2, end));
      received = received.subarray(end);
    }
  });
  return {
    ask: (packet) =>
      pending.ask(packet, (own) => {
        socket.write(Uint8Array.of(own.length >>> 8, own.length & 0xff, ...own));
      }),
    close: () => socket.destroy(),
  };
}
