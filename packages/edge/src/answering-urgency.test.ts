// SPDX-License-Identifier: Apache-2.0

import assert from "node:assert/strict";
import { test } from "node:test";
import { AnsweringUrgency, type AnsweringThread } from "./answering-urgency.ts";

/** More packets than it takes to look at a clock. */
const MANY = 1000;

/** As the kernel is told of patience. */
const PATIENT = -1;
const NOT_PATIENT = -2;

class Thread implements AnsweringThread {
  readonly told: number[] = [];
  #cpuMs = 0;
  #wallMs = 0;
  cpuMs = (): number => this.#cpuMs;
  wallMs = (): number => this.#wallMs;
  mainWaitMs = (): number => this.#mainWaitMs;
  setPriority = (priority: number): void => void this.told.push(priority);
  setPatience = (isPatient: boolean): void =>
    void this.told.push(isPatient ? PATIENT : NOT_PATIENT);
  #mainWaitMs = 0;

  work(usedMs: number, wallMs: number, mainWaitMs = 0): void {
    this.#mainWaitMs += mainWaitMs;
    this.#cpuMs += usedMs;
    this.#wallMs += wallMs;
  }

  /** What the kernel was told since the last time. */
  news(): readonly number[] {
    return this.told.splice(0);
  }
}

test("a worker with pauses goes before others, and one without shares its core", () => {
  const thread = new Thread();
  const urgency = new AnsweringUrgency(thread);
  thread.work(70, 100);
  urgency.note(MANY);
  assert.deepEqual(thread.news(), [], "it has just begun");
  thread.work(630, 900);
  urgency.note(MANY);
  assert.deepEqual(thread.news(), [2, 1], "above it there is room for verdicts");
  thread.work(75, 100);
  urgency.note(MANY);
  assert.deepEqual(thread.news(), [], "nothing is new");
  thread.work(99, 100);
  urgency.note(MANY);
  assert.deepEqual(thread.news(), [0]);
  thread.work(1000, 1000);
  urgency.note(MANY);
  assert.deepEqual(thread.news(), [], "still busy");
  thread.work(500, 1000);
  urgency.note(MANY);
  assert.deepEqual(thread.news(), [2, 1], "somebody else was let in");
});

test("a worker who always has competition and never enough is urgent for a tenth of the time at most", () => {
  const thread = new Thread();
  const urgency = new AnsweringUrgency(thread);
  let urgentMs = 0;
  for (let ms = 0; ms < 11_000; ms += 5) {
    const isUrgent = thread.told.at(-1) === 1;
    if (isUrgent) urgentMs += 5;
    thread.work(isUrgent ? 5 : 2.5, 5);
    urgency.note(MANY);
  }
  assert.ok(urgentMs > 800 && urgentMs < 1100, `urgent for ${urgentMs} of 11,000 ms`);
});

test("no clock is asked before some tens of packets or turns", () => {
  const thread = new Thread();
  const urgency = new AnsweringUrgency(thread);
  thread.work(1, 1000);
  for (let turn = 0; turn < 31; turn += 1) urgency.note(1);
  assert.deepEqual(thread.news(), []);
  urgency.note(1);
  assert.deepEqual(thread.news(), [2, 1]);
});

test("a patient worker lets others go first, and is looked at anew afterwards", () => {
  const thread = new Thread();
  const urgency = new AnsweringUrgency(thread);
  thread.work(10, 1000);
  urgency.note(MANY);
  urgency.setPatient(true);
  assert.deepEqual(thread.news(), [2, 1, 0, PATIENT]);
  thread.work(10, 1000);
  urgency.note(MANY);
  assert.deepEqual(thread.news(), []);
  urgency.setPatient(false);
  urgency.note(MANY);
  assert.deepEqual(thread.news(), [NOT_PATIENT]);
  thread.work(10, 1000);
  urgency.note(MANY);
  assert.deepEqual(thread.news(), [2, 1]);
});

test("a patient worker that is behind goes before others until it has caught up", () => {
  const thread = new Thread();
  const urgency = new AnsweringUrgency(thread);
  urgency.setPatient(true);
  thread.work(1, 1000);
  assert.deepEqual(thread.news(), [PATIENT]);
  for (let turn = 0; turn < 7; turn += 1) urgency.note(64, true);
  urgency.note(63);
  for (let turn = 0; turn < 7; turn += 1) urgency.note(64, true);
  assert.deepEqual(thread.news(), [], "what comes at once is no more than usual");
  urgency.note(64, true);
  assert.deepEqual(thread.news(), [2, 1]);
  for (let turn = 0; turn < 100; turn += 1) urgency.note(64, true);
  assert.deepEqual(thread.news(), []);
  urgency.note(10);
  assert.deepEqual(thread.news(), [0, PATIENT]);
});

test("a patient worker that never catches up leaves a quarter of the time to others", () => {
  const thread = new Thread();
  const urgency = new AnsweringUrgency(thread);
  urgency.setPatient(true);
  let urgentMs = 0;
  for (let ms = 0; ms < 10_000; ms += 1) {
    if (thread.told.at(-1) === 1) urgentMs += 1;
    thread.work(1, 1);
    for (let turn = 0; turn < 4; turn += 1) urgency.note(64, true);
  }
  assert.ok(urgentMs > 7000 && urgentMs < 7700, `urgent for ${urgentMs} of 10,000 ms`);
});

test("who is patient no more catches up, too", () => {
  const thread = new Thread();
  const urgency = new AnsweringUrgency(thread);
  urgency.setPatient(true);
  urgency.setPatient(false);
  for (let turn = 0; turn < 8; turn += 1) urgency.note(64, true);
  assert.deepEqual(thread.news(), [PATIENT, NOT_PATIENT, 2, 1]);
});

test("a worker with more to do than it can catches up for less than half of the time, and not when it begins", () => {
  const thread = new Thread();
  const urgency = new AnsweringUrgency(thread);
  let urgentMs = 0;
  for (let ms = 0; ms < 11_000; ms += 1) {
    const isUrgent = thread.told.at(-1) === 1;
    if (isUrgent) urgentMs += 1;
    thread.work(1, 1);
    for (let turn = 0; turn < 4; turn += 1) urgency.note(64, true);
    if (ms === 999) assert.equal(urgentMs, 0);
  }
  assert.ok(urgentMs > 2500 && urgentMs < 5000, `urgent for ${urgentMs} of 11,000 ms`);
});

test("a worker that others keep from its core is behind for milliseconds only", () => {
  const thread = new Thread();
  const urgency = new AnsweringUrgency(thread);
  let queue = 0;
  let longest = 0;
  for (let ms = 0; ms < 60_000; ms += 1) {
    // Three others want all of the core; it has 120 queries each millisecond, and could answer some 220.
    const isUrgent = thread.told.at(-1) === 1;
    const hasCore = isUrgent || ms % 4 === 0;
    // What the kernel keeps.
    queue = Math.min(40_000, queue + 120);
    let left = hasCore ? 220 : 0;
    thread.work(Math.min(left, queue) / 220, 1);
    while (left > 0 && queue > 0) {
      const received = Math.min(64, queue);
      queue -= received;
      left -= received;
      urgency.note(received, received === 64);
    }
    // It begins fairly.
    if (ms > 3000) longest = Math.max(longest, queue);
  }
  assert.ok(longest < 120 * 60, `${longest} queries waited`);
});

test("where verdicts could not go before answers, answers are as all others, and the kernel is asked once", () => {
  const thread = new Thread();
  thread.setPriority = (priority) => {
    thread.told.push(priority);
    if (priority === 2) throw new Error("EPERM");
  };
  const urgency = new AnsweringUrgency(thread);
  for (let look = 0; look < 3; look += 1) {
    thread.work(10, 1000);
    urgency.note(MANY);
  }
  assert.deepEqual(thread.news(), [2]);
});

test("a worker shares its core while the main thread waits much for one", () => {
  const thread = new Thread();
  const urgency = new AnsweringUrgency(thread);
  const seconds = (count: number, mainWaitMs: number): readonly number[] => {
    for (let look = 0; look < count; look += 1) {
      thread.work(300, 1000, mainWaitMs);
      urgency.note(MANY);
    }
    return thread.news();
  };
  assert.deepEqual(seconds(2, 100), [2, 1]);
  assert.deepEqual(seconds(3, 300), [0]);
  assert.deepEqual(seconds(1, 150), [2, 1]);
});
