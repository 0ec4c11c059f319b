// SPDX-License-Identifier: Apache-2.0

// Zones that have to be made before they can be sent, for they are signed or digested: one at a time, between other work of the thread.
// What was ready stays so until its successor is.

import { makeWholeZone, changesOf, type WholeZone, type WholeZoneInput } from "./whole-zone.ts";
import type { WalkedRecord } from "@meridian/snapshot";

/** A zone that is ready. */
export interface PreparedZone {
  readonly origin: string;
  readonly before: WholeZone | undefined;
  readonly after: WholeZone;
  /** From the one before; undefined where nothing leads there. */
  readonly changes:
    | { readonly removed: readonly WalkedRecord[]; readonly added: readonly WalkedRecord[] }
    | undefined;
}

/** A zone as it is wanted. */
export interface WantedZone extends WholeZoneInput {
  /** Equal as long as the zone is the same. */
  readonly print: string;
}

interface Work {
  readonly origin: string;
  readonly steps: Iterator<undefined, void>;
}

const SLICE_MS = 1;

export class PreparedZones {
  readonly #onReady: (zone: PreparedZone) => void;
  readonly #ready = new Map<string, { readonly print: string; readonly zone: WholeZone }>();
  /** By origin: the newest alone. */
  readonly #waiting = new Map<string, WantedZone>();
  /** What is being made. */
  #work: Work | undefined;
  #making: string | undefined;

  constructor(onReady: (zone: PreparedZone) => void) {
    this.#onReady = onReady;
  }

  /** From now on these zones are wanted, by origin. */
  follow(wanted: ReadonlyMap<string, WantedZone>): void {
    for (const origin of this.#ready.keys()) if (!wanted.has(origin)) this.#ready.delete(origin);
    for (const origin of this.#waiting.keys())
      if (!wanted.has(origin)) this.#waiting.delete(origin);
    for (const [origin, zone] of wanted) {
      const isMade =
        this.#work?.origin === origin
          ? this.#making === zone.print
          : this.#ready.get(origin)?.print === zone.print;
      if (isMade) this.#waiting.delete(origin);
      else this.#waiting.set(origin, zone);
    }
    // What is being made and is not wanted any more.
    if (this.#work !== undefined && !wanted.has(this.#work.origin)) this.#work = undefined;
    if (this.#work === undefined) this.#begin();
  }

  get(origin: string): WholeZone | undefined {
    return this.#ready.get(origin)?.zone;
  }

  #begin(): void {
    const [next] = this.#waiting;
    if (next === undefined) return;
    const [origin, wanted] = next;
    this.#waiting.delete(origin);
    const work = { origin, steps: this.#make(origin, wanted) };
    this.#work = work;
    this.#making = wanted.print;
    setImmediate(() => this.#step(work));
  }

  #step(work: Work): void {
    if (this.#work !== work) return;
    const until = performance.now() + SLICE_MS;
    let isDone = false;
    while (!isDone && performance.now() < until) isDone = work.steps.next().done === true;
    if (!isDone) {
      setImmediate(() => this.#step(work));
      return;
    }
    this.#work = undefined;
    this.#begin();
  }

  *#make(origin: string, wanted: WantedZone): Generator<undefined, void> {
    const before = this.#ready.get(origin)?.zone;
    const after = yield* makeWholeZone(wanted, before);
    if (after === undefined) {
      this.#ready.delete(origin);
      return;
    }
    const isRelated = before !== undefined && before.signedBy === after.signedBy;
    const changes = isRelated ? yield* changesOf(before, after) : undefined;
    this.#ready.set(origin, { print: wanted.print, zone: after });
    this.#onReady({ origin, before, after, changes });
  }
}
