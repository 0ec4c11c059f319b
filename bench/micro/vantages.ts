// SPDX-License-Identifier: Apache-2.0

// What vantages cost on a calm day and on the worst one: bytes of reports, and CPU time a second of a vantage and of the control that judges,
// with none and with all of the endpoints flipping each second. Probes are made up, so that the figures are those of opinions, reports,
// judging and the overlay alone; a real probe costs some 40 µs of CPU besides (health-probes.ts). Time is virtual: a second takes as long
// as its work. A turn is what one report holds up the thread of verdicts for. Days alternate; the first two seconds of each are not counted.
//
//   node bench/micro/vantages.ts [--targets 10000] [--vantages 5] [--seconds 10] [--rounds 3] [--out FILE.json]

import { writeFileSync } from "node:fs";
import { cpus } from "node:os";
import { parseArgs } from "node:util";
import { ManualClock, Pcg32 } from "@meridian/core";
import {
  OverlayDriver,
  Vantage,
  VerdictDriver,
  defaultTiming,
  type ProbeTarget,
} from "@meridian/health";
import type { World } from "@meridian/snapshot";
import { loadWorld, member, pool } from "@meridian/snapshot/testing";

const STEP_MS = 50;
const INTERVAL_MS = 1000;
const WARM_MS = 2000;
const POOL_MEMBERS = 10;

interface Cost {
  /** Of each vantage, a second. */
  readonly bytesPerSecond: number;
  readonly vantageMsPerSecond: number;
  readonly controlMsPerSecond: number;
  readonly medianTurnMs: number;
  readonly longestTurnMs: number;
  /** Verdicts that changed, a second. */
  readonly transitionsPerSecond: number;
}

const { values } = parseArgs({
  options: {
    targets: { type: "string", default: "10000" },
    vantages: { type: "string", default: "5" },
    seconds: { type: "string", default: "10" },
    rounds: { type: "string", default: "3" },
    out: { type: "string" },
  },
});
const count = Number(values.targets);
const seconds = Number(values.seconds);
const names = Array.from({ length: Number(values.vantages) }, (_, at) => `eu-${at}`);
const targets = targetsOf();
const world = worldOf();
const calm: Cost[] = [];
const flipping: Cost[] = [];
await measure(true);
for (let round = 0; round < Number(values.rounds); round++) {
  calm.push(await measure(false));
  flipping.push(await measure(true));
}
const result = {
  machine: `${cpus().length} × ${cpus()[0]?.model ?? "unknown"}`,
  node: process.version,
  targets: count,
  vantages: names.length,
  rounds: calm.length,
  calm: median(calm),
  flipping: median(flipping),
};
console.table({ "0 % flipping": result.calm, "100 % flipping": result.flipping });
if (values.out !== undefined) writeFileSync(values.out, `${JSON.stringify(result, null, 2)}\n`);

async function measure(isFlipping: boolean): Promise<Cost> {
  const clock = new ManualClock(1_700_000_000_000);
  const spent = { vantage: 0, control: 0 };
  const turns: number[] = [];
  let bytes = 0;
  let transitions = 0;
  const overlay = new OverlayDriver({ wallMs: () => clock.wallMs(), onChangeSet: () => {} });
  overlay.adopt(world, 1);
  const control = new VerdictDriver({
    clock,
    random: new Pcg32(99),
    vantage: "control",
    overlay,
    onTransitions: (batch) => {
      transitions += batch.length;
    },
    quorum: { site: "control", expectedCount: 0, isReporting: false },
  });
  control.adopt(world);
  control.setPlan({ changed: targets, gone: [], rules: undefined });
  const waiting: { readonly name: string; readonly payload: Uint8Array }[] = [];
  const vantages = names.map((name, at) => makeVantage(name, at));
  const live = names.map((name) => ({ name, site: name }));
  for (const vantage of vantages) {
    vantage.setPlan({ targets, rules: [] }, () => undefined);
    vantage.setLive("control", live);
    vantage.start();
  }
  for (let ms = STEP_MS; ms <= WARM_MS + seconds * 1000; ms += STEP_MS) {
    if (ms === WARM_MS + STEP_MS) {
      spent.vantage = spent.control = turns.length = bytes = transitions = 0;
      globalThis.gc?.();
    }
    clock.advance(STEP_MS);
    const before = process.threadCpuUsage();
    for (const vantage of vantages) vantage.runner.advance();
    await turn();
    if (ms % 1000 === 0) for (const vantage of vantages) vantage.tick();
    spent.vantage += since(before);
    for (const { name, payload } of waiting.splice(0)) {
      const judging = process.threadCpuUsage();
      control.hear({ name, site: name }, payload);
      await turn();
      const ms = since(judging);
      spent.control += ms;
      if (payload.length > count) turns.push(ms);
    }
  }
  await Promise.all([control, ...vantages].map((each) => each.close()));
  turns.sort((a, b) => a - b);
  return {
    bytesPerSecond: Math.round(bytes / seconds / names.length),
    vantageMsPerSecond: rounded(spent.vantage / seconds / names.length),
    controlMsPerSecond: rounded(spent.control / seconds),
    medianTurnMs: rounded(turns[turns.length >> 1] ?? 0),
    longestTurnMs: rounded(turns.at(-1) ?? 0),
    transitionsPerSecond: Math.round(transitions / seconds),
  };

  function makeVantage(name: string, seed: number): Vantage {
    return new Vantage({
      name,
      site: name,
      clock,
      random: new Pcg32(seed),
      timers: "manual",
      onReport: (payload) => {
        bytes += payload.length;
        waiting.push({ name, payload });
      },
      onTransitions: () => {},
      createProbe: () => {
        let round = 0;
        return {
          run: (done) => {
            const isFailing = isFlipping && round++ % 2 === 1;
            done({ outcome: isFailing ? "fail" : "pass", reason: isFailing ? "refused" : "ok" });
          },
          cancel: () => {},
          close: () => {},
        };
      },
    });
  }
}

/** All endpoints in pools of ten. */
function worldOf(): World {
  const members = targets.map(({ key }) => member(key.slice(key.lastIndexOf("/") + 1), 1));
  const pools = Array.from({ length: Math.ceil(count / POOL_MEMBERS) }, (_, at) =>
    pool(`default/pool-${at}`, members.slice(at * POOL_MEMBERS, (at + 1) * POOL_MEMBERS)),
  );
  return loadWorld(pools, []);
}

/** Each figure's own median. */
function median(costs: readonly Cost[]): Cost {
  const of = (figure: keyof Cost): number =>
    costs.map((cost) => cost[figure]).toSorted((a, b) => a - b)[costs.length >> 1] ?? 0;
  return {
    bytesPerSecond: of("bytesPerSecond"),
    vantageMsPerSecond: of("vantageMsPerSecond"),
    controlMsPerSecond: of("controlMsPerSecond"),
    medianTurnMs: of("medianTurnMs"),
    longestTurnMs: of("longestTurnMs"),
    transitionsPerSecond: of("transitionsPerSecond"),
  };
}

function turn(): Promise<void> {
  return new Promise((done) => {
    setImmediate(done);
  });
}

function targetsOf(): ProbeTarget[] {
  const check = {
    ...defaultTiming,
    kind: "tcp",
    intervalMs: INTERVAL_MS,
    timeoutMs: INTERVAL_MS / 2,
    unhealthyThreshold: 1,
    healthyThreshold: 1,
  } as const;
  return Array.from({ length: count }, (_, at) => ({
    key: `endpoint/default/pool-${Math.floor(at / POOL_MEMBERS)}/m${at}`,
    checkName: "default/bench",
    check,
    address: "192.0.2.1",
    port: 80,
    site: `site-${at % 3}`,
  }));
}

/** Milliseconds of CPU of this thread. */
function since(before: NodeJS.CpuUsage): number {
  const { user, system } = process.threadCpuUsage(before);
  return (user + system) / 1000;
}

function rounded(value: number): number {
  return Math.round(value * 100) / 100;
}
