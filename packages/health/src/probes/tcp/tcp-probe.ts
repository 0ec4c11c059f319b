// SPDX-License-Identifier: Apache-2.0

import { connect, type Socket } from "node:net";
import type { ProbeTarget, TcpCheck } from "../../check.ts";
import { TCP_EXPECT_BYTES_MAX } from "../../limits.ts";
import type { Probe, ProbeResult } from "../../probe.ts";
import { socketReason } from "../socket-reason.ts";

/** Connects; sends and expects where the check says so. */
export class TcpProbe implements Probe {
  readonly #target: ProbeTarget;
  readonly #send: Buffer | undefined;
  readonly #expect: Buffer | undefined;
  #socket: Socket | undefined;

  constructor(target: ProbeTarget, check: TcpCheck) {
    this.#target = target;
    this.#send = check.send === undefined ? undefined : Buffer.from(check.send);
    this.#expect = check.expect === undefined ? undefined : Buffer.from(check.expect);
  }

  run(done: (result: ProbeResult) => void): void {
    const { address, port } = this.#target;
    const socket = connect({ host: address, port, noDelay: true });
    this.#socket = socket;
    const finish = (outcome: "pass" | "fail", reason: string): void => {
      if (this.#socket !== socket) return;
      this.#socket = undefined;
      // Where something was sent, it must still go out: end, not reset.
      if (outcome === "pass" && this.#send !== undefined) socket.destroySoon();
      else socket.destroy();
      done({ outcome, reason });
    };
    socket.on("error", (error) => {
      finish("fail", socketReason(error));
    });
    socket.on("connect", () => {
      if (this.#send !== undefined) socket.write(this.#send);
      if (this.#expect === undefined) finish("pass", "connected");
    });
    if (this.#expect !== undefined) this.#listen(socket, this.#expect, finish);
  }

  cancel(): void {
    const socket = this.#socket;
    this.#socket = undefined;
    socket?.destroy();
  }

  close(): void {
    this.cancel();
  }

  #listen(
    socket: Socket,
    expect: Buffer,
    finish: (outcome: "pass" | "fail", reason: string) => void,
  ): void {
    const seen = Buffer.alloc(TCP_EXPECT_BYTES_MAX);
    let seenLength = 0;
    socket.on("data", (bytes: Buffer) => {
      seenLength += bytes.copy(seen, seenLength);
      if (seen.subarray(0, seenLength).includes(expect)) finish("pass", "connected, text found");
      else if (seenLength === seen.length) finish("fail", "answer lacks the wanted text");
    });
    socket.on("end", () => {
      finish("fail", "closed before the wanted text");
    });
  }
}
