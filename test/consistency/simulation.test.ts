// SPDX-License-Identifier: Apache-2.0

// MERIDIAN_TEST_SEED replays one seed and prints its history. MERIDIAN_TEST_SEEDS says which run without a planted bug.

import assert from "node:assert/strict";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { seedsToRun } from "../simulation/seeds.ts";
import { findingsOf } from "./checkers.ts";
import { byInvocation, describe, type History } from "./operation.ts";
import { plantedBugs } from "./planted-bugs.ts";
import { StoreSimulation, type Plant } from "./simulation.ts";

/** A planted bug has to show within them. */
const BUG_SEEDS = 50;
const only = process.env["MERIDIAN_TEST_SEED"];
/** Seeds of one test, so that none takes long. */
const SHARE = 200;
const all = seedsToRun(BUG_SEEDS);
const shares = Array.from({ length: Math.ceil(all.length / SHARE) }, (_, at) =>
  all.slice(at * SHARE, (at + 1) * SHARE),
);

async function play(seed: number, plant?: Plant): Promise<{ history: History; deaths: number }> {
  const memory = existsSync("/dev/shm") ? "/dev/shm" : tmpdir();
  const root = mkdtempSync(join(memory, "meridian-consistency-"));
  try {
    const simulation = new StoreSimulation(seed, root, plant);
    const history = await simulation.run();
    return { history, deaths: simulation.deaths };
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
}

for (const seeds of shares)
  test(`the embedded store keeps every model over seeds ${seeds[0]} to ${seeds.at(-1)}`, async (context) => {
    const counts = new Map<string, number>();
    const count = (what: string, by = 1): unknown => counts.set(what, (counts.get(what) ?? 0) + by);
    for (const seed of seeds) {
      const { history, deaths } = await play(seed);
      if (only !== undefined)
        for (const each of history.toSorted(byInvocation)) context.diagnostic(describe(each));
      const [finding] = findingsOf(history);
      const replay = `seed ${seed} (replay with MERIDIAN_TEST_SEED=${seed})`;
      assert.equal(finding, undefined, `${replay} breaks "${finding?.model}"\n${finding?.text}`);
      count("deaths", deaths);
      for (const each of history) {
        if (each.kind === "write") count(`writes ${each.outcome}`);
        else count(each.kind === "read" ? `${each.level} reads` : `${each.kind}s`);
      }
    }
    context.diagnostic([...counts].map(([what, number]) => `${number} ${what}`).join(", "));
    if (only !== undefined) return;
    // The simulation reaches what it is about.
    for (const what of ["deaths", "writes unknown", "writes refused", "session reads", "acquires"])
      assert.ok((counts.get(what) ?? 0) >= seeds.length / 2, `too few ${what}`);
  });

test("a seed replays", async () => {
  const [one, other] = [await play(7), await play(7)];
  assert.deepEqual(one.history, other.history);
});

for (const { name, models, plant } of plantedBugs)
  test(`planted: ${name}`, async (context) => {
    for (let seed = 1; seed <= BUG_SEEDS; seed++) {
      const { history } = await play(seed, plant);
      const finding = findingsOf(history).find(({ model }) => models.includes(model));
      if (finding === undefined) continue;
      context.diagnostic(`seed ${seed} breaks "${finding.model}"\n${finding.text}`);
      return;
    }
    assert.fail(`No seed up to ${BUG_SEEDS} shows it`);
  });
