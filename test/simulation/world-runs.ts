// SPDX-License-Identifier: Apache-2.0

// A thread that plays random worlds. It is none of the test runner's, which follows each promise that is made where a test runs: a third of
// the time that these take.

import assert from "node:assert/strict";
import { parentPort, workerData } from "node:worker_threads";
import { simulate, type OtherAnswers, type SimulatedView } from "@meridian/control";
import { randomWorld } from "./random-worlds.ts";
import { faultsOf } from "./world-faults.ts";

/** Which seeds are played, and which of them by the greedy rule, too. */
export interface WorldRuns {
  readonly seeds: readonly number[];
  readonly compared: readonly number[];
}

export interface WorldFaults {
  /** The first fault of each world that had one. */
  readonly failed: readonly string[];
  /** How many worlds had a fault by the greedy rule. */
  readonly greedyFailed: number;
}

/** How often the greedy rule asks places how full they are, as fast as any check here. */
const ASKS_SECONDS = 2;

/** Everybody goes to the place that answered and was least loaded when it was last asked. */
function greedy(view: SimulatedView): OtherAnswers {
  return (real, places) => {
    const endpoints = places.flatMap((name, place) =>
      view.load(name) === undefined ? [] : { name, place },
    );
    let askedAt = Number.NEGATIVE_INFINITY;
    let best = 0;
    return {
      get ttlSeconds() {
        return real.ttlSeconds;
      },
      answer: (group, index, nowSeconds) => {
        real.answer(group, index, nowSeconds);
        if (nowSeconds - askedAt >= ASKS_SECONDS) {
          askedAt = nowSeconds;
          const [first] = endpoints
            .filter(({ name }) => !view.isDead(name))
            .toSorted((a, b) => (view.load(a.name) ?? 0) - (view.load(b.name) ?? 0));
          best = first?.place ?? 0;
        }
        return best;
      },
    };
  };
}

async function faultsIn(seed: number, others?: typeof greedy): Promise<string[]> {
  const world = randomWorld(seed);
  const report = await simulate(world.simulated, { others });
  const { swings, empty, overloads } = faultsOf(world, report);
  const troubles = world.troubles.map(({ text }) => text).join("; ");
  return [...swings, ...empty, ...overloads].map(
    (fault) => `${fault} (${world.kind}; ${troubles})`,
  );
}

async function play({ seeds, compared }: WorldRuns): Promise<WorldFaults> {
  const failed: string[] = [];
  for (const seed of seeds) {
    const [first] = await faultsIn(seed);
    if (first !== undefined) failed.push(`MERIDIAN_TEST_SEED=${seed}: ${first}`);
  }
  let greedyFailed = 0;
  for (const seed of compared) if ((await faultsIn(seed, greedy)).length > 0) greedyFailed += 1;
  return { failed, greedyFailed };
}

assert.ok(parentPort !== null);
const runs: WorldRuns = workerData;
// oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread is no window
parentPort.postMessage(await play(runs));
