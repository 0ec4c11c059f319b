// SPDX-License-Identifier: Apache-2.0

// Asks name servers for the doctor: so many questions at once, each twice where it is not answered, all of them done by a deadline.

import type { Progress } from "../progress.ts";
import { exchangeDns, type DnsQuestion, type DnsReply } from "../dns-question.ts";

const AT_ONCE = 16;
const TRIES = 2;
const QUESTION_MS_MAX = 2000;

export class Asker {
  readonly #deadlineMs: number;
  readonly #progress: Progress;
  readonly #from: string | undefined;
  readonly #waiting: (() => void)[] = [];
  #running = 0;
  #asked = 0;

  /** `deadlineMs` on the clock of performance.now(); `from` is an address of this host to ask from. */
  constructor(deadlineMs: number, progress: Progress, from?: string) {
    this.#from = from;
    this.#deadlineMs = deadlineMs;
    this.#progress = progress;
  }

  /** The reply, or why there is none. */
  async ask(question: Omit<DnsQuestion, "timeoutMs">): Promise<DnsReply | string> {
    if (this.#running >= AT_ONCE) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    this.#running += 1;
    try {
      return await this.#try(question);
    } finally {
      this.#running -= 1;
      this.#asked += 1;
      this.#progress.show(`Asked ${this.#asked} questions`);
      this.#waiting.shift()?.();
    }
  }

  async #try(question: Omit<DnsQuestion, "timeoutMs">): Promise<DnsReply | string> {
    let why = "";
    for (let attempt = 0; attempt < TRIES; attempt += 1) {
      const leftMs = this.#deadlineMs - performance.now();
      if (leftMs <= 0) return why || "no time was left to ask";
      try {
        return await exchangeDns({
          from: this.#from,
          ...question,
          timeoutMs: Math.min(QUESTION_MS_MAX, leftMs),
        });
      } catch (error) {
        why = error instanceof Error ? error.message : String(error);
      }
    }
    return why;
  }
}
