// SPDX-License-Identifier: Apache-2.0

// Time that goes from event to event, under the clock that the parts of a store are given: all that one event has set off is done before the next.

import { ManualClock } from "@meridian/core";
import { EventQueue, settled } from "../simulation/event-queue.ts";

export class EventTime {
  readonly clock: ManualClock = new ManualClock(1_700_000_000_000);
  readonly #events = new EventQueue();

  after(ms: number, run: () => void): void {
    this.#events.add(this.clock.wallMs() + ms, run);
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
      const { nextMs } = this.#events;
      if (nextMs === undefined) throw new Error("The simulation stands still");
      this.clock.advance(Math.max(0, nextMs - this.clock.wallMs()));
      this.#events.runNext();
      await settled();
    }
    await done;
  }
}
