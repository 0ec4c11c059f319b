// SPDX-License-Identifier: Apache-2.0

// MERIDIAN_TEST_SEED replays one seed and prints its history. MERIDIAN_TEST_SEEDS says which run without a planted bug.

import assert from "node:assert/strict";
import { test } from "node:test";
import { seedsToRun } from "../simulation/seeds.ts";
import { findingsOf } from "./checkers.ts";
import { EtcdSimulation } from "./etcd-simulation.ts";
import { byInvocation, describe } from "./operation.ts";
import { plantedBugs } from "./planted-bugs.ts";

/** A planted bug has to show within them. */
const BUG_SEEDS = 50;
const only = process.env["MERIDIAN_TEST_SEED"];
const seeds = seedsToRun(BUG_SEEDS);

test(`replicas on etcd keep every model over ${seeds.length} seeds`, async (context) => {
  const counts = new Map<string, number>();
  const count = (what: string, by = 1): unknown => counts.set(what, (counts.get(what) ?? 0) + by);
  for (const seed of seeds) {
    const simulation = new EtcdSimulation(seed);
    const history = await simulation.run();
    if (only !== undefined)
      for (const each of history.toSorted(byInvocation)) context.diagnostic(describe(each));
    const [finding] = findingsOf(history);
    const replay = `seed ${seed} (replay with MERIDIAN_TEST_SEED=${seed})`;
    assert.equal(finding, undefined, `${replay} breaks "${finding?.model}"\n${finding?.text}`);
    for (const [what, number] of Object.entries(simulation.counts)) count(what, number);
    for (const each of history) {
      if (each.kind === "write") count(`writes ${each.outcome}`);
      else count(each.kind === "read" ? `${each.level} reads` : `${each.kind}s`);
    }
  }
  context.diagnostic([...counts].map(([what, number]) => `${number} ${what}`).join(", "));
  if (only !== undefined) return;
  // The simulation reaches what it is about.
  for (const what of ["deaths", "cuts", "quorumLosses", "writes ok", "session reads", "acquires"])
    assert.ok((counts.get(what) ?? 0) >= seeds.length / 2, `too few ${what}`);
});

for (const name of [
  "a stale read is served as strong",
  "an acknowledged commit is lost",
  "two leaders: a fenced writer is believed",
]) {
  const planted = plantedBugs.find((bug) => bug.name === name);
  test(`planted: ${name}`, async () => {
    assert.ok(planted !== undefined);
    for (let seed = 1; seed <= BUG_SEEDS; seed++) {
      const history = await new EtcdSimulation(seed, planted.plant).run();
      if (findingsOf(history).some(({ model }) => planted.models.includes(model))) return;
    }
    assert.fail(`No seed up to ${BUG_SEEDS} shows it`);
  });
}
