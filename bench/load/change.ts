// SPDX-License-Identifier: Apache-2.0
import { writeFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { percentile } from "./measure/statistics.ts";
import { measureEach } from "./one-by-one.ts";
import type { Options } from "./options.ts";
import type { AppliedChange, ChangeResult } from "./output/results.ts";
import type { ServerAdapter } from "./servers/adapter.ts";
import {
  applyChange,
  changedNames,
  changeKinds,
  initialState,
  writeChangeFile,
} from "./servers/meridian-changes.ts";
import type { Stage, RunningServer, StageOptions } from "./stage.ts";

// A change is timed from the moment at which one file is replaced to the first answer, at a client that asks all the
// time, that is as the file says.

const ANSWER_TIMEOUT_MS = 120_000;
/** Six names: each is asked every 0.2 ms, which is how exact the times are. */
const WATCH_RATE = 30_000;
const PAUSE_MS = 150;
/** With many names a change takes seconds: after this no further one is begun. */
const CHANGES_MS_MAX = 240_000;

/** Changes one file again and again, one small thing at a time. Only Meridian, which is what the file is written for. */
export function measureChanges(
  { adapters, ...stageOptions }: StageOptions,
  run: Options,
  count: number,
): Promise<readonly ChangeResult[]> {
  const able = adapters.filter((adapter) => adapter.name === "meridian").map(withChangeFile);
  return measureEach({ ...stageOptions, adapters: able }, run, (stage, server) =>
    changeServer(stage, server, count),
  );
}

function withChangeFile(adapter: ServerAdapter): ServerAdapter {
  return {
    ...adapter,
    configure: (serving) => {
      adapter.configure(serving);
      writeChangeFile(serving, initialState);
    },
  };
}

async function changeServer(
  stage: Stage,
  server: RunningServer,
  count: number,
): Promise<ChangeResult> {
  const names = stage.file("changed-names");
  const origin = stage.options.plan.origins[0] ?? "";
  writeFileSync(names, `${changedNames(origin).join("\n")}\n`);
  const seconds = (CHANGES_MS_MAX + 2 * ANSWER_TIMEOUT_MS) / 1000;
  const watch = stage.load(server, { rate: WATCH_RATE, seconds, watch: true, names });
  await sleep(500);
  const changes: AppliedChange[] = [];
  let missed = 0;
  let state = initialState;
  const end = performance.now() + CHANGES_MS_MAX;
  // One more before the others: it finds a compiler that has given its memory back, and is told apart.
  for (let index = -1; index < count && performance.now() < end; index += 1) {
    const kind = changeKinds[Math.max(0, index) % changeKinds.length] ?? "record weight";
    const next = applyChange(state, kind, origin);
    ({ state } = next);
    const seenBefore = watch.changes.length;
    const at = writeChangeFile(server.serving, state);
    const name = `${next.name}.`;
    const seen = await watch.change(
      seenBefore,
      (each) => each.name === name && each.addresses[0] === next.address,
      ANSWER_TIMEOUT_MS,
    );
    const ms = seen === undefined ? undefined : Math.round((seen.ns - at) / 1000) / 1000;
    if (index < 0)
      console.log(`  ${server.adapter.name}: the first change took ${ms ?? "too many"} ms`);
    else if (ms === undefined) missed += 1;
    else changes.push({ kind, ms });
    await sleep(PAUSE_MS);
  }
  watch.finish();
  const summary = await watch.summary;
  const times = changes.map((change) => change.ms);
  console.log(
    `  ${server.adapter.name}: ${changes.length} changes, p50 ${percentile(times, 0.5)?.toFixed(1)} ms, ` +
      `p99 ${percentile(times, 0.99)?.toFixed(1)} ms, ${missed} missed`,
  );
  return {
    name: server.adapter.name,
    label: server.adapter.label(stage.options.workload),
    version: server.version,
    changes,
    missed,
    load: summary,
  };
}
