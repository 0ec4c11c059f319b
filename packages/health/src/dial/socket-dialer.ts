// SPDX-License-Identifier: Apache-2.0

import { connect, type Socket } from "node:net";
import type { Connection, ConnectionEvents, Dialer } from "./dialer.ts";

/** Dials with sockets of node: for machines without the add-on. */
export class SocketDialer implements Dialer {
  /** One for all: a piece is taken in before its callback returns. */
  readonly #buffer = new Uint8Array(65_536);

  dial(address: string, port: number, events: ConnectionEvents): Connection {
    return new SocketConnection(address, port, events, this.#buffer);
  }
}

class SocketConnection implements Connection {
  readonly #socket: Socket;
  #events: ConnectionEvents | undefined;

  constructor(address: string, port: number, events: ConnectionEvents, buffer: Uint8Array) {
    this.#events = events;
    this.#socket = connect({
      host: address,
      port,
      noDelay: true,
      onread: {
        buffer,
        callback: (length, bytes) => {
          this.#events?.onBytes(bytes, 0, length);
          return true;
        },
      },
    });
    this.#socket.on("connect", () => this.#events?.onConnect());
    this.#socket.on("end", () => this.#events?.onEnd());
    this.#socket.on("error", (error) => {
      this.#events?.onError("code" in error && typeof error.code === "string" ? error.code : "");
    });
  }

  send(bytes: Uint8Array): void {
    this.#socket.write(bytes);
  }

  close(how: "reset" | "end"): void {
    if (this.#events === undefined) return;
    this.#events = undefined;
    const socket = this.#socket;
    // While a socket is connecting node would put the reset off.
    if (how === "reset" && !socket.connecting && !socket.destroyed) socket.resetAndDestroy();
    // What was written must still go out.
    else if (how === "end" && !socket.connecting) socket.destroySoon();
    else socket.destroy();
  }
}
