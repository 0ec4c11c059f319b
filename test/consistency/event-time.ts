// SPDX-License-Identifier: Apache-2.0

// Time that goes from event to event, under the clock that the parts of a store are given.

import { ManualClock } from "@meridian/core";

interface Event {
  readonly atMs: number;
  readonly order: number;
  readonly run: () => void;
}

export class EventTime {
  readonly clock: ManualClock = new ManualClock(1_700_000_000_000);
  readonly #events: Event[] = [];
  #ordered = 0;

  after(ms: number, run: () => void): void {
    this.#events.push({ atMs: this.clock.wallMs() + ms, order: this.#ordered++, run });
  }

  sleep(ms: number): Promise<void> {
    return new Promise((done) => this.after(ms, done));
  }

  /** Lets events happen, one after the other, until `done` is. */
  async until(done: Promise<unknown>): Promise<void> {
    let isDone = false;
    const end = (): unknown => (isDone = true);
    done.then(end, end);
    await settled();
    while (!isDone) {
      const event = this.#next();
      if (event === undefined) throw new Error("The simulation stands still");
      this.clock.advance(Math.max(0, event.atMs - this.clock.wallMs()));
      event.run();
      await settled();
    }
    await done;
  }

  #next(): Event | undefined {
    let first = 0;
    for (const [at, event] of this.#events.entries()) {
      const best = this.#events[first];
      if (best === undefined) break;
      const isEarlier = event.atMs < best.atMs;
      if (isEarlier || (event.atMs === best.atMs && event.order < best.order)) first = at;
    }
    return this.#events.splice(first, 1)[0];
  }
}

/** Until everything that an event has set off has been done: promises, and nothing that takes time. */
function settled(): Promise<void> {
  return new Promise((done) => setImmediate(done));
}
