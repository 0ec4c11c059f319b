// SPDX-License-Identifier: Apache-2.0

// What a worker counts: plain 32-bit words in two shared buffers that only it writes and only the main thread reads. A word may be
// read while it is written; it is then one query old. Words wrap at 2³²: readers take differences modulo 2³².

import {
  type CounterWords,
  SelectionCounts,
  SelectionLayout,
  type World,
} from "@meridian/snapshot";
import {
  FIXED_COUNTER_BYTES,
  FixedCounter,
  RCODES,
  SnapshotCounters,
  counterShape,
  type CounterShape,
} from "./counter-layout.ts";

/** Counters of one worker, for as long as its snapshot is served (by index) and as long as it lives (fixed). */
export class WorkerCounters {
  readonly fixedBuffer: SharedArrayBuffer;
  readonly #fixed: Uint32Array;
  #layout: SnapshotCounters;
  #words: Uint32Array;
  snapshotBuffer: SharedArrayBuffer;

  constructor(fixedBuffer: SharedArrayBuffer = new SharedArrayBuffer(FIXED_COUNTER_BYTES)) {
    this.fixedBuffer = fixedBuffer;
    this.#fixed = new Uint32Array(fixedBuffer);
    this.#layout = new SnapshotCounters({ zones: 0, policies: 0, pools: 0, endpoints: 0 });
    this.snapshotBuffer = new SharedArrayBuffer(this.#layout.bytes);
    this.#words = new Uint32Array(this.snapshotBuffer);
  }

  /** Starts the counters of another snapshot at zero, in a new buffer. */
  reshape(shape: CounterShape): void {
    this.#layout = new SnapshotCounters(shape);
    this.snapshotBuffer = new SharedArrayBuffer(this.#layout.bytes);
    this.#words = new Uint32Array(this.snapshotBuffer);
  }

  /** The same for a world; returns the words that its selector counts in. */
  reshapeFor(world: World): SelectionCounts {
    const selection = new SelectionLayout(world);
    this.reshape(counterShape(world, selection));
    return new SelectionCounts(this.#words, this.#layout.nodeBase, selection);
  }

  /** Where the snapshot's words lie, until the next `reshape()`. */
  layout(): CounterWords {
    const { policyBase, endpointBase, nodeBase, branchBase } = this.#layout;
    return { words: this.#words, policyBase, endpointBase, nodeBase, branchBase };
  }

  add(counter: number): void {
    this.#fixed[counter]! += 1;
  }

  /** What a fixed counter says. */
  of(counter: number): number {
    return this.#fixed[counter]!;
  }

  addBytes(counter: number, bytes: number): void {
    this.#fixed[counter]! += bytes;
  }

  rcode(rcode: number): void {
    this.#fixed[FixedCounter.firstRcode + Math.min(rcode, RCODES - 1)]! += 1;
  }

  zone(index: number): void {
    this.#words[index]! += 1;
  }

  /** `targetKind` as in a binding. */
  target(targetKind: number, index: number): void {
    const base = targetKind === 0 ? this.#layout.policyBase : this.#layout.poolBase;
    this.#words[base + index]! += 1;
  }

  endpoint(index: number): void {
    this.#words[this.#layout.endpointBase + index]! += 1;
  }
}
