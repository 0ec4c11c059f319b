// SPDX-License-Identifier: Apache-2.0
import { setTimeout as sleep } from "node:timers/promises";
import { policyFor } from "./data/plan.ts";
import type { Change } from "./measure/loader.ts";
import type { Options } from "./options.ts";
import type { Flip, FlipResult } from "./output/results.ts";
import { Stage, type RunningServer, type StageOptions } from "./stage.ts";
import { startAll } from "./throughput.ts";

// A flip is timed from the probe's answer that says so, which the health target stamps, to the first different answer at
// a client. Waiting for the next probe is a matter of its interval and shown apart.

const DETECT_TIMEOUT_MS = 15_000;
const ANSWER_TIMEOUT_MS = 5000;
// With two names each is asked every 0.1 ms, which is how exact the times are.
const WATCH_RATE = 20_000;
const PAUSE_MS = 200;

/** Flips the first tier of failover names down and up while a client watches every name. */
export async function measureFlips(
  stageOptions: StageOptions,
  run: Options,
  flips: number,
): Promise<readonly FlipResult[]> {
  const stage = await Stage.open(stageOptions, run);
  try {
    const results: FlipResult[] = [];
    for (const server of await startAll(stage)) {
      results.push(await flipServer(stage, server, flips));
      await stage.stop(server);
    }
    return results;
  } finally {
    await stage.close();
  }
}

async function flipServer(stage: Stage, server: RunningServer, flips: number): Promise<FlipResult> {
  const seconds = 2 + flips * (stage.options.checkIntervalSeconds + 1.5);
  const watch = stage.load(server, { rate: WATCH_RATE, seconds, watch: true });
  await sleep(500);
  const seen: Flip[] = [];
  let missed = 0;
  for (let index = 0; index < flips; index += 1) {
    const flip = await flipOnce(stage, index, watch.changes);
    if (flip === undefined) missed += 1;
    else seen.push(flip);
    await sleep(PAUSE_MS);
  }
  watch.finish();
  const summary = await watch.summary;
  const median = seen.map((flip) => flip.answerMs).toSorted((a, b) => a - b)[seen.length >> 1];
  console.log(
    `  ${server.adapter.name}: ${seen.length} flips, median ${median?.toFixed(2)} ms, ${missed} missed`,
  );
  return {
    name: server.adapter.name,
    label: server.adapter.label(stage.options.workload),
    version: server.version,
    flips: seen,
    missed,
    load: summary,
  };
}

/** Takes the first endpoint of each name in turn down and up again. */
async function flipOnce(
  stage: Stage,
  index: number,
  changes: readonly Change[],
): Promise<Flip | undefined> {
  const { plan } = stage.options;
  const owner = (index >> 1) % plan.owners.length;
  const name = `${plan.owners[owner] ?? ""}.`;
  const state = index % 2 === 0 ? "down" : "up";
  const endpoint = policyFor(plan, owner).pools[0]?.endpoints[0];
  if (endpoint === undefined || stage.health === undefined) return undefined;
  const seenBefore = changes.length;
  const ordered = Number(process.hrtime.bigint());
  const served = await stage.health.set(endpoint.address, state, DETECT_TIMEOUT_MS);
  if (served === undefined) return undefined;
  const end = performance.now() + ANSWER_TIMEOUT_MS;
  while (performance.now() < end) {
    const change = changes
      .slice(seenBefore)
      .find((each) => each.name === name && each.event === "change");
    if (change !== undefined) {
      return {
        name,
        to: state,
        detectMs: (served.ns - ordered) / 1e6,
        answerMs: (change.ns - served.ns) / 1e6,
      };
    }
    await sleep(5);
  }
  return undefined;
}
