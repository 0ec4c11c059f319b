// SPDX-License-Identifier: Apache-2.0

/**
 * UDP over node:dgram, for hosts without the add-on. It meets the same contract with one object a packet and about
 * twice the CPU. Three things it cannot do: know the address that was asked (so a wildcard becomes one socket for each
 * local address, and 127.0.0.2 and its like are not served by it), take its sockets over from a worker that died, and
 * hand them to another process (the new one binds beside it instead).
 */

import { createSocket } from "node:dgram";
import type { RemoteInfo, Socket } from "node:dgram";
import { once } from "node:events";

import type { PacketHandler } from "./packet-handler.ts";
import { formatListenAddress, writeAddress } from "./transport-address.ts";
import type { ListenAddress } from "./transport-address.ts";
import type { TransportCounters } from "./transport-counters.ts";
import { listenError } from "./transport-error.ts";
import { QUERY_BYTES_MAX, UDP_ANSWER_BYTES_MAX } from "./transport-native.ts";

const RECEIVE_BUFFER_BYTES = 1 << 20;
/** Once no packet came for one step, the queues are taken as empty. */
const DRAIN_STEP_MS = 20;
const DRAIN_STEPS_MAX = 50;

/** Sockets of one worker. All workers bind the same addresses and the kernel shares packets out. */
export class DgramTransport {
  readonly #addresses: readonly ListenAddress[];
  readonly #handler: PacketHandler;
  readonly #counters: TransportCounters;
  readonly #sockets: Socket[] = [];
  readonly #output = new Uint8Array(UDP_ANSWER_BYTES_MAX);
  readonly #source = new Uint8Array(16);
  /** Without a callback an answer that cannot be sent would be an error of the whole socket. */
  readonly #onSent: (error: Error | null) => void;
  #receivedInStep = 0;
  #fail: (error: unknown) => void = () => undefined;

  /** Rejects if a socket fails after the start. */
  readonly failed: Promise<never>;

  constructor(
    addresses: readonly ListenAddress[],
    handler: PacketHandler,
    counters: TransportCounters,
  ) {
    this.#addresses = addresses;
    this.#handler = handler;
    this.#counters = counters;
    this.#onSent = (error) => {
      if (error !== null) this.#counters.add("answersDropped", 1);
    };
    this.failed = new Promise((_resolve, reject) => {
      this.#fail = reject;
    });
  }

  /** Binds all addresses; throws one sentence about the first that cannot be bound, after closing the others. */
  async start(): Promise<void> {
    try {
      for (const listen of this.#addresses) this.#sockets.push(await this.#open(listen));
    } catch (error) {
      await this.#closeSockets();
      throw error;
    }
  }

  /** Answers what is queued for at most a second, then closes. Idempotent. */
  async stop(): Promise<void> {
    for (let step = 0; step < DRAIN_STEPS_MAX && this.#sockets.length > 0; step += 1) {
      this.#receivedInStep = 0;
      await new Promise((resolve) => setTimeout(resolve, DRAIN_STEP_MS));
      if (this.#receivedInStep === 0) break;
    }
    await this.#closeSockets();
  }

  async #closeSockets(): Promise<void> {
    const sockets = this.#sockets.splice(0);
    await Promise.all(
      sockets.map((socket) => new Promise<void>((resolve) => socket.close(resolve))),
    );
  }

  async #open(listen: ListenAddress): Promise<Socket> {
    try {
      const socket = await bindUdp(listen, true, RECEIVE_BUFFER_BYTES);
      socket.on("message", (packet, remote) => this.#answer(socket, packet, remote));
      socket.on("error", (error) => this.#fail(error));
      return socket;
    } catch (error) {
      throw listenError(formatListenAddress(listen), "udp", error);
    }
  }

  #answer(socket: Socket, packet: Uint8Array, remote: RemoteInfo): void {
    this.#receivedInStep += 1;
    this.#counters.add("packetsReceived", 1);
    this.#counters.add("turns", 1);
    const fits = packet.length <= QUERY_BYTES_MAX;
    if (!fits) this.#counters.add("packetsTooLong", 1);
    const family = writeAddress(remote.address, this.#source, 0);
    this.#handler.beginBatch();
    const length = this.#handler.handle(
      packet,
      0,
      fits ? packet.length : 0,
      this.#output,
      0,
      UDP_ANSWER_BYTES_MAX,
      this.#source,
      0,
      family,
      false,
    );
    this.#handler.endBatch();
    if (remote.port === 0) return;
    if (length <= 0) {
      const later = this.#handler.takeLater?.();
      later?.whenAnswered((message) =>
        socket.send(message, remote.port, remote.address, this.#onSent),
      );
      return;
    }
    // The socket may keep what it is given until later, and #output is written again for the next packet.
    const answer = Buffer.from(this.#output.subarray(0, length));
    socket.send(answer, remote.port, remote.address, this.#onSent);
  }
}

/** Opens one bound socket; rejects with the system's error. */
export async function bindUdp(
  listen: ListenAddress,
  reusePort: boolean,
  recvBufferSize: number,
): Promise<Socket> {
  const type = listen.family === 4 ? "udp4" : "udp6";
  const ipv6Only = listen.family === 6;
  const socket = createSocket({ type, ipv6Only, reusePort, recvBufferSize, lookup: takeAsIs });
  try {
    const listening = once(socket, "listening");
    socket.bind({ address: listen.address, port: listen.port, exclusive: true });
    await listening;
    return socket;
  } catch (error) {
    socket.close();
    throw error;
  }
}

/** Addresses here are numeric; node:dgram's own look-up would put each answer off to the next tick all the same. */
function takeAsIs(
  address: string,
  _options: unknown,
  done: (error: NodeJS.ErrnoException | null, address: string, family: number) => void,
): void {
  done(null, address, address.includes(":") ? 6 : 4);
}
