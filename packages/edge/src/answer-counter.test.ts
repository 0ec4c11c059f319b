// SPDX-License-Identifier: Apache-2.0

import assert from "node:assert/strict";
import { test } from "node:test";
import { AnswerCounter, wordsOf } from "./answer-counter.ts";
import { FixedCounter } from "./counter-layout.ts";
import { WorkerCounters } from "./counters.ts";

test("of() tells revisions apart at the moment at which each worker changed over", () => {
  const counter = new AnswerCounter();
  const [first, second] = [begin(counter, 0), begin(counter, 1)];
  serve(counter, 0, first, 7);
  serve(counter, 1, second, 7);
  for (const worker of [first, second]) answer(worker, 0);
  answer(first, 2);
  const atChange = wordsOf(new Uint32Array(first.fixedBuffer));
  // Answered from the next revision already when its word comes.
  answer(first, 2);
  counter.take(serving(0, 8, first, atChange));
  answer(second, 0);
  assert.deepEqual(counter.of(7), { queries: 4, servfail: 1, empty: 0 });
  assert.deepEqual(counter.of(8), { queries: 1, servfail: 1, empty: 0 });
});

test("of() keeps what a worker that was replaced had counted, and words may wrap", () => {
  const counter = new AnswerCounter();
  const first = begin(counter, 0);
  new Uint32Array(first.fixedBuffer)[FixedCounter.udpQueries] = 0xffff_fffe;
  serve(counter, 0, first, 7);
  for (let round = 0; round < 4; round++) answer(first, 0);
  first.add(FixedCounter.empty);
  const second = begin(counter, 0);
  serve(counter, 0, second, 7);
  answer(second, 0);
  assert.deepEqual(counter.of(7), { queries: 5, servfail: 0, empty: 1 });
  assert.deepEqual(counter.of(6), { queries: 0, servfail: 0, empty: 0 });
});

function begin(counter: AnswerCounter, worker: number): WorkerCounters {
  const counters = new WorkerCounters();
  const topNames = new SharedArrayBuffer(0);
  const log = undefined;
  counter.take({ kind: "buffers", worker, counters: counters.fixedBuffer, topNames, log });
  return counters;
}

function serve(
  counter: AnswerCounter,
  worker: number,
  counters: WorkerCounters,
  revision: number,
): void {
  const now = wordsOf(new Uint32Array(counters.fixedBuffer));
  counter.take(serving(worker, revision, counters, now));
}

function serving(
  worker: number,
  revision: number,
  { snapshotBuffer: counters }: WorkerCounters,
  countedBefore: readonly number[],
): Parameters<AnswerCounter["take"]>[0] {
  return { kind: "serving", worker, revision, counters, countedBefore };
}

function answer(worker: WorkerCounters, rcode: number): void {
  worker.add(FixedCounter.udpQueries);
  worker.rcode(rcode);
}
