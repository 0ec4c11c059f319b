// SPDX-License-Identifier: Apache-2.0

// Whether another thread still turns its event loop: it counts up a word in shared memory, and its owner looks whether the word moves.
// Silence is counted in looks, not in time: after a stall of the whole machine the owner looks once, not once for each second of it.

import { readlinkSync } from "node:fs";
import { setPriority } from "node:os";
import { loadNative } from "@meridian/native";
import { BEATS_MISSED_MAX, BEATS_MISSED_CALM, FIRST_BEAT_MISSED_MAX } from "./limits.ts";

const BEATS = 0;
const THREAD_ID = 1;

/** Two words that both threads share: how often it has beaten, and what the kernel calls the thread that beats (0 where unknown). */
export function heartbeatWords(): Int32Array<SharedArrayBuffer> {
  return new Int32Array(new SharedArrayBuffer(8));
}

/** Beats now and every `beatMs` while this thread's event loop turns. The timer keeps no thread running. */
export function beat(words: Int32Array, beatMs: number): void {
  Atomics.store(words, THREAD_ID, kernelThreadId());
  Atomics.add(words, BEATS, 1);
  setInterval(() => Atomics.add(words, BEATS, 1), beatMs).unref();
}

/** Listens to one thread. */
export class HeartbeatWatch {
  readonly #words: Int32Array;
  readonly #onSilence: () => void;
  readonly #timer: NodeJS.Timeout;
  #heard = 0;
  #missed = 0;

  /** `onSilence` is called once, when 10 beats are missing, or 60 before the first. */
  constructor(words: Int32Array, beatMs: number, onSilence: () => void) {
    this.#words = words;
    this.#onSilence = onSilence;
    this.#timer = setInterval(() => this.#look(), beatMs).unref();
  }

  close(): void {
    clearInterval(this.#timer);
  }

  #look(): void {
    const heard = Atomics.load(this.#words, BEATS);
    this.#missed = heard === this.#heard ? this.#missed + 1 : 0;
    this.#heard = heard;
    // It may be urgent, and the owner may have little left of the core: a hundredth of it is enough for this.
    if (this.#missed === BEATS_MISSED_CALM) calm(Atomics.load(this.#words, THREAD_ID));
    if (this.#missed < (heard === 0 ? FIRST_BEAT_MISSED_MAX : BEATS_MISSED_MAX)) return;
    this.close();
    this.#onSilence();
  }
}

function kernelThreadId(): number {
  try {
    return Number(/\d+$/.exec(readlinkSync("/proc/thread-self"))?.[0] ?? 0);
  } catch {
    return 0;
  }
}

/** Gives a thread that does not beat no more of the core than others get. */
function calm(threadId: number): void {
  if (threadId === 0) return;
  const load = loadNative();
  try {
    if (load.kind === "loaded") load.native.setUrgency(0, threadId);
    setPriority(threadId, 0);
  } catch {
    // It has ended meanwhile.
  }
}
