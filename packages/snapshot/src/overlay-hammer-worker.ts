// SPDX-License-Identifier: Apache-2.0

// One reader of overlay.test.ts: enters, reads the slots that every change set writes alike, and counts when it saw a mix.

import { isMainThread, workerData } from "node:worker_threads";
import { OverlayReader } from "./overlay.ts";

/** What a reader is given. */
export interface HammerData {
  readonly buffer: SharedArrayBuffer;
  readonly slotCount: number;
  readonly worker: number;
  /** Slots 0 to this less one hold the same number in every change set. */
  readonly alike: number;
  /** Words of `HammerWord`. */
  readonly report: SharedArrayBuffer;
}

/** Words by which test and reader talk. */
export const HammerWord = { stop: 0, batches: 1, mixed: 2, backwards: 3, distinct: 4 } as const;

const data: unknown = workerData;
if (!isMainThread && isHammerData(data)) read(data);

function read({ buffer, slotCount, worker, alike, report }: HammerData): void {
  const reader = new OverlayReader(buffer, slotCount, worker);
  const words = new Int32Array(report);
  let last = 0;
  while (Atomics.load(words, HammerWord.stop) === 0) {
    reader.enter();
    const { slots, sequence } = reader;
    let mixed = 0;
    // Read more than once, as a batch of queries does.
    for (let pass = 0; pass < 4; pass++)
      for (let slot = 0; slot < alike; slot++) if (slots[slot] !== sequence) mixed += 1;
    reader.leave();
    Atomics.add(words, HammerWord.mixed, mixed);
    if (sequence < last) Atomics.add(words, HammerWord.backwards, 1);
    if (sequence !== last) Atomics.add(words, HammerWord.distinct, 1);
    last = sequence;
    // Now and then it waits for packets, as a worker does.
    if (Atomics.add(words, HammerWord.batches, 1) % 4 === 0)
      Atomics.wait(words, HammerWord.stop, 0, 1);
  }
}

function isHammerData(value: unknown): value is HammerData {
  return typeof value === "object" && value !== null && "report" in value && "alike" in value;
}
