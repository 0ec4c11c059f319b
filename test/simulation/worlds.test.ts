// SPDX-License-Identifier: Apache-2.0

// Random worlds with room: load settles, no name is left empty, and nothing is overloaded for long. The same worlds, answered by the place
// that was least loaded when it was last asked, as a check that they are hard enough. MERIDIAN_TEST_SEEDS says which seeds run (1 to 60; every
// third of them by the other rule as well), MERIDIAN_TEST_SEED replays one.

import assert from "node:assert/strict";
import { once } from "node:events";
import { test } from "node:test";
import { Worker } from "node:worker_threads";
import { seedsToRun } from "./seeds.ts";
import type { WorldFaults, WorldRuns } from "./world-runs.ts";

const COMPARED_EVERY = 3;
const seeds = seedsToRun(60);

test(`${seeds.length} random worlds come to rest, and a greedy rule in the same does not`, async (t) => {
  const compared = seeds.filter((seed) => seed % COMPARED_EVERY === 0);
  const { failed, greedyFailed } = await play({ seeds, compared });
  t.diagnostic(`here ${failed.length} of ${seeds.length} worlds swing, empty a name or overload`);
  t.diagnostic(`greedy: ${greedyFailed} of ${compared.length}`);
  assert.deepEqual(failed, []);
  assert.ok(greedyFailed > compared.length / 2 || compared.length === 0, "the worlds are too easy");
});

async function play(workerData: WorldRuns): Promise<WorldFaults> {
  const worker = new Worker(new URL("./world-runs.ts", import.meta.url), { workerData });
  const [faults]: WorldFaults[] = await once(worker, "message");
  assert.ok(faults !== undefined);
  return faults;
}
