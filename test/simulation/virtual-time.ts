// SPDX-License-Identifier: Apache-2.0

// Time that goes from event to event. Between two steps everything that waits on a promise runs, so that equal seeds give equal
// runs, however busy the machine is.

const STEP_MS = 5;

interface Event {
  readonly atMs: number;
  readonly order: number;
  readonly run: () => void;
}

export class VirtualTime {
  nowMs = 0;
  /** A heap: no event is before its parent, at half of its index. */
  readonly #events: Event[] = [];
  #count = 0;

  /** Runs `what` after some milliseconds, in steps of `STEP_MS`. */
  after(ms: number, what: () => void): void {
    const event = {
      atMs: this.nowMs + Math.ceil(Math.max(0, ms) / STEP_MS) * STEP_MS,
      order: this.#count++,
      run: what,
    };
    const events = this.#events;
    let at = events.push(event) - 1;
    for (let parent = (at - 1) >> 1; at > 0; parent = (at - 1) >> 1) {
      const above = events[parent];
      if (above === undefined || isBefore(above, event)) break;
      events[at] = above;
      at = parent;
    }
    events[at] = event;
  }

  /** Lets time pass up to a moment. */
  async runUntil(endMs: number): Promise<void> {
    for (;;) {
      const [next] = this.#events;
      if (next === undefined || next.atMs > endMs) break;
      this.nowMs = next.atMs;
      while (this.#events[0]?.atMs === this.nowMs) this.#take()?.run();
      await settled();
    }
    this.nowMs = endMs;
  }

  #take(): Event | undefined {
    const events = this.#events;
    const [first] = events;
    const last = events.pop();
    if (last === undefined || events.length === 0) return first;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      const [left, right] = [events[child], events[child + 1]];
      if (left === undefined) break;
      const isRight = right !== undefined && isBefore(right, left);
      if (isRight) child += 1;
      const below = isRight ? right : left;
      if (isBefore(last, below)) break;
      events[at] = below;
      at = child;
    }
    events[at] = last;
    return first;
  }
}

function isBefore(a: Event, b: Event): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order);
}

function settled(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}
