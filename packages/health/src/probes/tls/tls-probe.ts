// SPDX-License-Identifier: Apache-2.0

import type { Clock } from "@meridian/core";
import type { TLSSocket } from "node:tls";
import type { ProbeTarget, TlsCheck } from "../../check.ts";
import type { Probe, ProbeResult } from "../../probe.ts";
import {
  certificateProblem,
  dateText,
  daysToExpiry,
  TlsDialer,
  tlsReason,
} from "../tls-session.ts";

/** Handshakes, and looks at the certificate. */
export class TlsProbe implements Probe {
  readonly #dialer: TlsDialer;
  readonly #check: TlsCheck;
  readonly #clock: Clock;
  #socket: TLSSocket | undefined;

  constructor(target: ProbeTarget, check: TlsCheck, clock: Clock) {
    this.#dialer = new TlsDialer(target, check, []);
    this.#check = check;
    this.#clock = clock;
  }

  run(done: (result: ProbeResult) => void): void {
    const finish = (result: ProbeResult): void => {
      if (this.#socket !== socket) return;
      this.#socket = undefined;
      socket.destroy();
      done(result);
    };
    const socket = this.#dialer.open(() => {
      finish(this.#judge(socket));
    });
    this.#socket = socket;
    socket.on("error", (error) => {
      finish({ outcome: "fail", reason: tlsReason(error) });
    });
    socket.on("close", () => {
      finish({ outcome: "fail", reason: "connection closed during the TLS handshake" });
    });
  }

  cancel(): void {
    const socket = this.#socket;
    this.#socket = undefined;
    socket?.destroy();
  }

  close(): void {
    this.cancel();
  }

  #judge(socket: TLSSocket): ProbeResult {
    const problem = certificateProblem(socket, this.#check);
    if (problem !== undefined) return { outcome: "fail", reason: problem };
    const wantedDays = this.#check.minDaysToExpiry;
    const days = daysToExpiry(socket, this.#clock.wallMs());
    if (wantedDays > 0 && days !== undefined && days < wantedDays) {
      const expiry = dateText(socket.getPeerCertificate().valid_to);
      const reason = `certificate expires on ${expiry}, wanted ${wantedDays} days more`;
      return { outcome: "fail", reason };
    }
    return { outcome: "pass", reason: "handshake done" };
  }
}
