// SPDX-License-Identifier: Apache-2.0

import type { IcmpCheck, ProbeTarget } from "../../check.ts";
import type { Probe, ProbeResult } from "../../probe.ts";
import type { IcmpSender } from "./icmp-sender.ts";

/** Sends one ICMP echo a run. */
export class IcmpProbe implements Probe {
  readonly #target: ProbeTarget;
  readonly #check: IcmpCheck;
  readonly #sender: IcmpSender | undefined;
  #stop: (() => void) | undefined;

  constructor(target: ProbeTarget, check: IcmpCheck, sender: IcmpSender | undefined) {
    this.#target = target;
    this.#check = check;
    this.#sender = sender;
  }

  run(done: (result: ProbeResult) => void): void {
    if (this.#sender === undefined) {
      // Validation refuses this; should it happen, a machine that cannot ask must not condemn.
      done({ outcome: "hold", reason: "ICMP is not available here" });
      return;
    }
    this.#stop = this.#sender.send(
      this.#target.address,
      this.#check.timeoutMs,
      (answered, reason) => {
        this.#stop = undefined;
        done({ outcome: answered ? "pass" : "fail", reason });
      },
    );
  }

  cancel(): void {
    this.#stop?.();
    this.#stop = undefined;
  }

  close(): void {
    this.cancel();
  }
}
