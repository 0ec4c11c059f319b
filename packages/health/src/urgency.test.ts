// SPDX-License-Identifier: Apache-2.0

import assert from "node:assert/strict";
import { test } from "node:test";
import { Urgency, type UrgencyThread } from "./urgency.ts";

const refuse = (): never => {
  throw new Error("EPERM");
};

class Thread implements UrgencyThread {
  readonly told: string[] = [];
  #cpuMs = 0;
  #wallMs = 0;
  cpuMs = (): number => this.#cpuMs;
  wallMs = (): number => this.#wallMs;
  setUrgency = (isUrgent: boolean): void => void this.told.push(isUrgent ? "urgent" : "fair");
  setNice = (nice: number): void => void this.told.push(`nice ${nice}`);
  setSlice = (ns: number): void => void this.told.push(`slice ${ns}`);

  work(usedMs: number, wallMs: number = 1000): void {
    this.#cpuMs += usedMs;
    this.#wallMs += wallMs;
  }
}

function play(thread: Thread): readonly string[] {
  const urgency = new Urgency(thread);
  for (const usedMs of [900, 100, 200, 800, 100]) {
    thread.work(usedMs);
    urgency.check();
  }
  urgency.relax();
  assert.equal(urgency.isUrgent, false);
  return thread.told;
}

test("Urgency is for short work only, and tells the kernel of changes alone", () => {
  const back = ["fair", "nice 0", "slice 100000"];
  const turn = ["urgent", ...back];
  assert.deepEqual(play(new Thread()), ["slice 100000", ...turn, ...turn]);
});

test("Urgency ends as soon as the thread works without a pause, until it is looked at again", () => {
  const thread = new Thread();
  const urgency = new Urgency(thread);
  const after = (usedMs: number, wallMs: number): boolean => {
    thread.work(usedMs, wallMs);
    urgency.checkBurst();
    return urgency.isUrgent;
  };
  urgency.check();
  // A turn of work, and a look that comes too soon after it to say anything.
  assert.deepEqual([after(6, 10), after(1, 1), after(8, 10)], [true, true, true]);
  assert.deepEqual([after(9.5, 10), after(0, 10)], [false, false]);
  thread.work(10, 240);
  urgency.check();
  assert.equal(urgency.isUrgent, true);
});

test("Urgency makes do with a nice value where the user may have no policy of real time", () => {
  const thread = new Thread();
  thread.setUrgency = refuse;
  const turn = ["nice -20", "nice 0", "slice 100000"];
  assert.deepEqual(play(thread), ["slice 100000", ...turn, ...turn]);
});

test("Urgency goes without where the user may do nothing", () => {
  const thread = new Thread();
  thread.setUrgency = refuse;
  thread.setNice = refuse;
  thread.setSlice = refuse;
  assert.deepEqual(play(thread), []);
});
