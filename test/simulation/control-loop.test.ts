// SPDX-License-Identifier: Apache-2.0

// MERIDIAN_TEST_SEEDS says which seeds run (1 to 200); MERIDIAN_TEST_SEED replays one and prints what happened.

import assert from "node:assert/strict";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { ControlLoop } from "./control-loop.ts";
import { seedsToRun } from "./seeds.ts";

const TICKS = 250;
const only = process.env["MERIDIAN_TEST_SEED"];
const seeds = seedsToRun(200);

/** A folder in memory where there is one: the simulation is about the order of writes, not about the disk. */
function makeRoot(): string {
  return mkdtempSync(join(existsSync("/dev/shm") ? "/dev/shm" : tmpdir(), "meridian-simulation-"));
}

async function run(seed: number): Promise<ControlLoop> {
  const root = makeRoot();
  let loop: ControlLoop | undefined;
  try {
    loop = new ControlLoop(seed, root);
    await loop.run(TICKS);
    return loop;
  } catch (error) {
    const happened = loop?.trace.slice(-25).join("\n  ") ?? "";
    throw new Error(
      `Seed ${seed} failed; replay it with MERIDIAN_TEST_SEED=${seed}\n  ${happened}`,
      { cause: error },
    );
  } finally {
    loop?.close();
    rmSync(root, { recursive: true, force: true });
  }
}

test(`what must always be true is, over ${seeds.length} seeds of deaths, shifts, reloads and crashes`, async (context) => {
  const counts = new Map<string, number>();
  for (const seed of seeds) {
    const loop = await run(seed);
    for (const [what, count] of loop.counts) counts.set(what, (counts.get(what) ?? 0) + count);
    if (only !== undefined) for (const line of loop.trace) context.diagnostic(line);
  }
  context.diagnostic(
    `seeds ${seeds[0]} to ${seeds.at(-1)}: ${[...counts].map(([what, count]) => `${count} ${what}`).join(", ")}`,
  );
  if (seeds.length < 50) return;
  // The simulation reaches what it is about.
  for (const what of [
    "crash",
    "reload",
    "shift",
    "open answers",
    "healthy answers",
    "dead answers within the bound",
  ])
    assert.ok((counts.get(what) ?? 0) > seeds.length / 2, `${what}: ${counts.get(what) ?? 0}`);
});

test("a seed replays exactly", async () => {
  const [first, second] = [await run(7), await run(7)];
  assert.deepEqual(second.trace, first.trace);
  assert.deepEqual(second.counts, first.counts);
  assert.notDeepEqual((await run(8)).trace, first.trace);
});
