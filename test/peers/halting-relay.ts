// SPDX-License-Identifier: Apache-2.0

// A way to a server that can be held in the middle of what it sends: past a number of bytes of one connection nothing more of it comes
// through, until all that stand are cut and the way is open again. So a test ends a program in the middle of a transfer however fast
// the machine is.

import { once } from "node:events";
import { connect, createServer, type Server, type Socket } from "node:net";
import type { TestContext } from "node:test";

export class HaltingRelay {
  /** On 127.0.0.1. */
  readonly port: number;
  readonly #target: number;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #bytesMax = Infinity;
  #bytesWanted = Infinity;
  #passed = Promise.withResolvers<void>();
  #halted = Promise.withResolvers<void>();

  private constructor(server: Server, port: number, target: number) {
    this.#server = server;
    this.port = port;
    this.#target = target;
    server.on("connection", (caller) => this.#pass(caller));
  }

  /** Of the server at a port of 127.0.0.1, which may be there later. */
  static async start(t: TestContext, target: number): Promise<HaltingRelay> {
    const server = createServer({ allowHalfOpen: true });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const address = server.address();
    if (address === null || typeof address === "string") throw new Error("It has no port");
    const relay = new HaltingRelay(server, address.port, target);
    t.after(() => relay.#close());
    return relay;
  }

  /** From now on each connection stands after that many bytes of the server's. Resolves when one does. */
  haltAfter(bytes: number): Promise<void> {
    this.#bytesMax = bytes;
    this.#halted = Promise.withResolvers<void>();
    return this.#halted.promise;
  }

  /** Resolves when one connection has brought that many bytes of the server's from now on. */
  whenPassed(bytes: number): Promise<void> {
    this.#bytesWanted = bytes;
    this.#passed = Promise.withResolvers<void>();
    return this.#passed.promise;
  }

  /** All connections end where they are; what comes then is passed on. */
  release(): void {
    this.#bytesMax = Infinity;
    for (const socket of this.#sockets) socket.destroy();
  }

  #pass(caller: Socket): void {
    const callee = connect({ host: "127.0.0.1", port: this.#target, allowHalfOpen: true });
    let passed = 0;
    let isHalted = false;
    callee.on("data", (data) => {
      if (isHalted) return;
      passed += data.length;
      isHalted = passed > this.#bytesMax;
      if (!isHalted) {
        if (!caller.write(data)) callee.pause();
        if (passed >= this.#bytesWanted) this.#passed.resolve();
        return;
      }
      // The server has to wait, too.
      callee.pause();
      this.#halted.resolve();
    });
    caller.on("drain", () => {
      if (!isHalted) callee.resume();
    });
    caller.on("data", (data) => callee.write(data));
    caller.on("end", () => callee.end());
    callee.on("end", () => {
      if (!isHalted) caller.end();
    });
    for (const [one, other] of [
      [caller, callee],
      [callee, caller],
    ] as const) {
      this.#sockets.add(one);
      one.on("error", () => one.destroy());
      one.on("close", () => {
        this.#sockets.delete(one);
        other.destroy();
      });
    }
  }

  async #close(): Promise<void> {
    this.release();
    this.#server.close();
    await once(this.#server, "close");
  }
}
