// SPDX-License-Identifier: Apache-2.0

import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

/**
 * Gives a function that collects this thread's young garbage, or undefined where V8 has none to give.
 *
 * A thread that probes little has a young space of less than a megabyte, and V8 collects when it is full: 0.3 ms or more, in the middle of
 * what needs memory, which is the more likely a change of health as that needs more than a probe does. Collected once a second there
 * is next to nothing in it, and it is never full unless hundreds of probes a second fill it.
 */
export function youngCollector(): (() => void) | undefined {
  const collect = collector();
  return collect && ((): void => collect({ type: "minor" }));
}

type Collector = (options: { readonly type: "minor" | "major" }) => void;

function collector(): Collector | undefined {
  // V8 puts the function into contexts that are made while it is told to, and there is no other way to it.
  setFlagsFromString("--expose-gc");
  const collect: unknown = runInNewContext("gc");
  setFlagsFromString("--no-expose-gc");
  return isCollector(collect) ? collect : undefined;
}

/**
 * How long after a piece of work its garbage is collected. Its next steps may be other processes', on the same machine, which are waited for
 * in their turn.
 */
const SOON_MS = 120;
/**
 * Nothing to be done for so long: the whole heap may be looked through. With a million names that takes 40 to 190 ms of two half busy cores, by
 * which a change that came meanwhile would be late. V8 does it when memory is asked for, which is in the middle of a change.
 */
const CALM_MS = 400;

/**
 * Collects a thread's garbage soon after a piece of work that somebody waited for, so that V8 does it less often in the middle of the next:
 * what is young takes 1 to 5 ms, a heap of some 50 MB as many, and under load each ten times that.
 */
export class GarbageCollections {
  /** Made when it is first asked for: it takes a context of its own. */
  #collect: Collector | undefined;
  readonly #wholeEvery: number;
  /** Pieces of work since the whole heap was looked through. */
  #count = 0;
  #timer: NodeJS.Timeout | undefined;
  #calmTimer: NodeJS.Timeout | undefined;

  /** `wholeEvery`: after how many pieces of work the whole heap is looked through, once nothing is to be done for a while; never where it is left out. */
  constructor(wholeEvery: number = Infinity) {
    this.#wholeEvery = wholeEvery;
  }

  /** A piece of work is done. */
  soon(): void {
    this.#count += 1;
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      this.young();
    }, SOON_MS).unref();
    clearTimeout(this.#calmTimer);
    if (this.#count >= this.#wholeEvery)
      this.#calmTimer = setTimeout(() => this.whole(), CALM_MS).unref();
  }

  young(): void {
    this.#run("minor");
  }

  /** For a thread on which nobody waits: it blocks for tens of milliseconds, or hundreds. */
  whole(): void {
    this.#count = 0;
    this.#run("major");
  }

  close(): void {
    clearTimeout(this.#timer);
    clearTimeout(this.#calmTimer);
    this.#timer = undefined;
  }

  #run(type: "minor" | "major"): void {
    this.#collect ??= collector() ?? ((): void => {});
    this.#collect({ type });
  }
}

function isCollector(found: unknown): found is Collector {
  return typeof found === "function";
}
