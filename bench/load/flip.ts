// SPDX-License-Identifier: Apache-2.0
import { setTimeout as sleep } from "node:timers/promises";
import { policyFor } from "./data/plan.ts";
import type { LoaderRun } from "./measure/loader.ts";
import { percentile } from "./measure/statistics.ts";
import { loadHeavily, measureEach } from "./one-by-one.ts";
import type { Options } from "./options.ts";
import type { Flip, FlipResult } from "./output/results.ts";
import type { Stage, RunningServer, StageOptions } from "./stage.ts";

// A flip is timed from the probe's answer that says so, which the health target stamps, to the first different answer at
// a client. Waiting for the next probe is a matter of its interval and shown apart. The client that watches is the load itself:
// with two names, each is asked many times in a tenth of a millisecond.

const DETECT_TIMEOUT_MS = 15_000;
const ANSWER_TIMEOUT_MS = 5000;
const PAUSE_MS = 100;
/** A client machine that stops for a moment is not the server's fault: no burst makes up for it, which would be more than the 70 %. */
const SKIP_LATE_US = 250;
/** A server that checks each second or less often is flipped this often at most, or a run would take an hour. */
const SLOW_FLIPS_MAX = 40;

/** Flips the first tier of failover names down and up while clients ask for 70 % of what the server answers at most. */
export function measureFlips(
  stageOptions: StageOptions,
  run: Options,
): Promise<readonly FlipResult[]> {
  return measureEach(stageOptions, run, (stage, server) => flipServer(stage, server, run));
}

async function flipServer(stage: Stage, server: RunningServer, run: Options): Promise<FlipResult> {
  const { intervalSeconds } = server.serving.check;
  const flips = intervalSeconds < 1 ? run.flips : Math.min(run.flips, SLOW_FLIPS_MAX);
  const load = await loadHeavily(stage, server, run, { watch: true, skipLateUs: SKIP_LATE_US });
  await sleep(500);
  const seen: Flip[] = [];
  let missed = 0;
  for (let index = 0; index < flips; index += 1) {
    const flip = await flipOnce(stage, index, load.run);
    if (flip === undefined) missed += 1;
    else seen.push(flip);
    await sleep(PAUSE_MS);
  }
  const summary = await load.finish();
  const changes = load.run.changes.filter((change) => change.event === "change").length;
  const answers = seen.map((flip) => flip.answerMs);
  console.log(
    `  ${server.adapter.name}: ${seen.length} flips at ${summary.rate} q/s, p50 ${percentile(answers, 0.5)?.toFixed(2)} ms, ` +
      `p99 ${percentile(answers, 0.99)?.toFixed(2)} ms, ${missed} missed, lost ${summary.lost + summary.late} of ${summary.sent}`,
  );
  return {
    name: server.adapter.name,
    label: server.adapter.label(stage.options.workload),
    version: server.version,
    checkIntervalSeconds: intervalSeconds,
    queriesPerSecondMax: load.queriesPerSecondMax,
    flips: seen,
    missed,
    unasked: changes - seen.length,
    load: summary,
  };
}

/** Takes the first endpoint of each name in turn down and up again. */
async function flipOnce(stage: Stage, index: number, load: LoaderRun): Promise<Flip | undefined> {
  const { plan } = stage.options;
  const owner = (index >> 1) % plan.owners.length;
  const name = `${plan.owners[owner] ?? ""}.`;
  const state = index % 2 === 0 ? "down" : "up";
  const endpoint = policyFor(plan, owner).pools[0]?.endpoints[0];
  if (endpoint === undefined || stage.health === undefined) return undefined;
  const seenBefore = load.changes.length;
  const ordered = Number(process.hrtime.bigint());
  const served = await stage.health.set(endpoint.address, state, DETECT_TIMEOUT_MS);
  if (served === undefined) return undefined;
  // Only what this flip can have caused: later than the probe, and to what it asks for.
  const change = await load.change(
    seenBefore,
    (each) =>
      each.name === name &&
      each.event === "change" &&
      each.ns >= served.ns &&
      each.addresses.includes(endpoint.address) === (state === "up"),
    ANSWER_TIMEOUT_MS,
  );
  if (change === undefined) return undefined;
  return {
    name,
    to: state,
    detectMs: milliseconds(served.ns - ordered),
    answerMs: milliseconds(change.ns - served.ns),
  };
}

/** Exact to a microsecond, so that a thousand of them are short in a file. */
function milliseconds(ns: number): number {
  return Math.round(ns / 1000) / 1000;
}
