// SPDX-License-Identifier: Apache-2.0

import type { ProbeTarget, TcpCheck } from "../../check.ts";
import type { Connection, ConnectionEvents, Dialer } from "../../dial/dialer.ts";
import { TCP_EXPECT_BYTES_MAX } from "../../limits.ts";
import type { Probe, ProbeResult } from "../../probe.ts";
import { socketReasonOfCode } from "../socket-reason.ts";

/** Connects; sends and expects where the check says so. */
export class TcpProbe implements Probe, ConnectionEvents {
  readonly #target: ProbeTarget;
  readonly #check: TcpCheck;
  readonly #dialer: Dialer;
  #connection: Connection | undefined;
  #done: ((result: ProbeResult) => void) | undefined;
  #seen: Buffer | undefined;

  constructor(target: ProbeTarget, check: TcpCheck, dialer: Dialer) {
    this.#target = target;
    this.#check = check;
    this.#dialer = dialer;
  }

  run(done: (result: ProbeResult) => void): void {
    this.#done = done;
    const { address, port } = this.#target;
    this.#connection = this.#dialer.dial(address, port, this);
  }

  cancel(): void {
    this.#done = undefined;
    this.#seen = undefined;
    this.#connection?.close("reset");
    this.#connection = undefined;
  }

  close(): void {
    this.cancel();
  }

  onConnect(): void {
    const { send, expect } = this.#check;
    if (send !== undefined) this.#connection?.send(Buffer.from(send));
    if (expect === undefined) this.#finish("pass", "connected");
  }

  onBytes(bytes: Uint8Array, start: number, end: number): void {
    const { expect } = this.#check;
    if (expect === undefined) return;
    const before = this.#seen ?? Buffer.alloc(0);
    const room = TCP_EXPECT_BYTES_MAX - before.length;
    const seen = Buffer.concat([before, bytes.subarray(start, Math.min(end, start + room))]);
    this.#seen = seen;
    if (seen.includes(expect)) this.#finish("pass", "connected, text found");
    else if (seen.length === TCP_EXPECT_BYTES_MAX)
      this.#finish("fail", "answer lacks the wanted text");
  }

  onEnd(): void {
    this.#finish("fail", "closed before the wanted text");
  }

  onError(code: string): void {
    this.#finish("fail", socketReasonOfCode(code));
  }

  /** An end, not a reset: what was sent must still arrive, and a server should not see connections break that it just accepted. */
  #finish(outcome: "pass" | "fail", reason: string): void {
    const done = this.#done;
    this.#done = undefined;
    this.#seen = undefined;
    this.#connection?.close("end");
    this.#connection = undefined;
    done?.({ outcome, reason });
  }
}
