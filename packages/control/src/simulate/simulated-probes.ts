// SPDX-License-Identifier: Apache-2.0

// Probes of one vantage in the simulated world: what they see is what the endpoint's station and the troubles of the moment say. Answers come
// when they are due by the virtual clock; the runner's own deadline ends those that never come.

import type { Random } from "@meridian/core";
import type { Probe, ProbeResult, ProbeTarget } from "@meridian/health";

/** What a probe is told, and after how long; nothing at all where `afterMs` is infinite. */
export interface ProbeAnswer {
  readonly afterMs: number;
  readonly result: ProbeResult;
}

/** What a vantage sees of an endpoint now; `chance` is uniform in [0, 1). */
export type LookAt = (key: string, chance: number) => ProbeAnswer;

interface OnItsWay {
  readonly dueMs: number;
  readonly done: (result: ProbeResult) => void;
  readonly result: ProbeResult;
}

export class SimulatedProbes {
  readonly #lookAt: LookAt;
  readonly #random: Random;
  readonly #nowMs: () => number;
  readonly #onTheirWay = new Map<string, OnItsWay>();

  constructor(lookAt: LookAt, random: Random, nowMs: () => number) {
    this.#lookAt = lookAt;
    this.#random = random;
    this.#nowMs = nowMs;
  }

  /** The probe of a target; undefined where nothing is asked: pushes and what is calculated. */
  readonly make = (target: ProbeTarget): Probe | undefined => {
    const { key, check } = target;
    if (check.kind === "push" || check.kind === "calculated") return undefined;
    // A child of a calculated check is `KEY#CHECK`.
    const endpoint = key.split("#")[0] ?? key;
    return {
      run: (done) => {
        const answer = this.#lookAt(endpoint, this.#random.next32() / 2 ** 32);
        if (answer.afterMs <= 0) done(answer.result);
        else if (answer.afterMs < check.timeoutMs)
          this.#onTheirWay.set(key, {
            dueMs: this.#nowMs() + answer.afterMs,
            done,
            result: answer.result,
          });
      },
      cancel: () => {
        this.#onTheirWay.delete(key);
      },
      close: () => {
        this.#onTheirWay.delete(key);
      },
    };
  };

  /** Hands over what has come by now. */
  deliver(): void {
    const nowMs = this.#nowMs();
    for (const [key, { dueMs, done, result }] of this.#onTheirWay) {
      if (dueMs > nowMs) continue;
      this.#onTheirWay.delete(key);
      done(result);
    }
  }
}
