// SPDX-License-Identifier: Apache-2.0

// What is going to happen, by time, and at one time in the order in which it was put there. A heap: no event is before its parent, at half of its
// index.

interface Event {
  readonly atMs: number;
  readonly order: number;
  readonly run: () => void;
}

export class EventQueue {
  readonly #events: Event[] = [];
  #count = 0;

  /** When the next event is; undefined where there is none. */
  get nextMs(): number | undefined {
    return this.#events[0]?.atMs;
  }

  add(atMs: number, run: () => void): void {
    const event = { atMs, order: this.#count++, run };
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

  /** Lets the next event happen. */
  runNext(): void {
    this.#take()?.run();
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

/** Until everything that an event has set off has been done: promises, and nothing that takes time. */
export function settled(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}

function isBefore(a: Event, b: Event): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order);
}
