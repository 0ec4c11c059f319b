// SPDX-License-Identifier: Apache-2.0
import type { Pcg32 } from "@meridian/core";
import { below } from "./random-model.ts";
import type { VirtualTime } from "./virtual-time.ts";

/** What a network does to messages. */
export interface Weather {
  /**
   * `stream`: as TCP does, what is lost comes late, and everything after it behind it. `datagrams`: it is gone; others come twice, or
   * behind later ones.
   */
  readonly kind: "stream" | "datagrams";
  readonly delayMsMin: number;
  readonly delayMsMax: number;
  /** Of 1,000 messages. */
  readonly lost: number;
}

/** TCP sends again after this and the time there and back, and doubles it each time. */
const RESEND_MS = 200;
const LATE_MS_MAX = 3000;

/** One direction of a connection. */
export class SimulatedWire {
  readonly #time: VirtualTime;
  readonly #random: Pcg32;
  readonly #weather: Weather;
  readonly #deliver: (bytes: Uint8Array) => void;
  /** Of this path. */
  readonly delayMs: number;
  #lastMs = 0;
  #isCut = false;
  /** Bytes that are under way. */
  backlogBytes = 0;

  constructor(
    time: VirtualTime,
    random: Pcg32,
    weather: Weather,
    deliver: (bytes: Uint8Array) => void,
  ) {
    this.#time = time;
    this.#random = random;
    this.#weather = weather;
    this.#deliver = deliver;
    const { delayMsMin, delayMsMax } = weather;
    this.delayMs = delayMsMin + below(random, delayMsMax - delayMsMin + 1);
  }

  send(bytes: Uint8Array): void {
    if (this.#isCut) return;
    if (this.#weather.kind === "stream") this.#sendInOrder(bytes);
    else this.#sendAnyhow(bytes);
  }

  cut(): void {
    this.#isCut = true;
    this.backlogBytes = 0;
  }

  #sendInOrder(bytes: Uint8Array): void {
    let atMs = this.#time.nowMs + this.delayMs;
    for (let resend = RESEND_MS + 2 * this.delayMs; this.#isLost(); resend *= 2) atMs += resend;
    this.#lastMs = Math.max(this.#lastMs, atMs);
    this.#bring(bytes, this.#lastMs - this.#time.nowMs);
  }

  #sendAnyhow(bytes: Uint8Array): void {
    const copies = below(this.#random, 20) === 0 ? 2 : 1;
    for (let copy = 0; copy < copies; copy++) {
      const lateMs = below(this.#random, 10) === 0 ? below(this.#random, LATE_MS_MAX) : 0;
      if (!this.#isLost()) this.#bring(bytes, this.delayMs + lateMs);
    }
  }

  #bring(bytes: Uint8Array, ms: number): void {
    this.backlogBytes += bytes.length;
    this.#time.after(ms, () => {
      if (this.#isCut) return;
      this.backlogBytes -= bytes.length;
      this.#deliver(bytes);
    });
  }

  #isLost(): boolean {
    return below(this.#random, 1000) < this.#weather.lost;
  }
}
