// SPDX-License-Identifier: Apache-2.0

// What vantages cost on a calm day and on the worst one: bytes of reports, and CPU time a second of a vantage and of the control that judges,
// with none and with all of the endpoints flipping each second. Probes are made up, so that the figures are those of opinions, reports
// and judging alone; a real probe costs some 40 µs of CPU besides (health-probes.ts). Time is virtual: a second takes as long as its work.
//
//   node bench/micro/vantages.ts [--targets 10000] [--vantages 5] [--seconds 10]

import { parseArgs } from "node:util";
import { ManualClock, Pcg32 } from "@meridian/core";
import { Quorum, Vantage, defaultTiming, type ProbeTarget, type Verdict } from "@meridian/health";

const STEP_MS = 50;
const INTERVAL_MS = 1000;

interface Day {
  readonly name: string;
  readonly isFlipping: boolean;
}

interface Cost {
  readonly day: string;
  /** Of each vantage, a second. */
  readonly bytesPerSecond: number;
  readonly vantageMsPerSecond: number;
  readonly controlMsPerSecond: number;
  readonly judged: number;
}

const { values } = parseArgs({
  options: {
    targets: { type: "string", default: "10000" },
    vantages: { type: "string", default: "5" },
    seconds: { type: "string", default: "10" },
  },
});
const count = Number(values.targets);
const seconds = Number(values.seconds);
const names = Array.from({ length: Number(values.vantages) }, (_, at) => `eu-${at}`);
const targets = targetsOf();
const days: readonly Day[] = [
  { name: "0 % flipping", isFlipping: false },
  { name: "100 % flipping", isFlipping: true },
];
await measure({ name: "warm up", isFlipping: true });
for (const day of days) console.table([await measure(day)]);

async function measure({ name: day, isFlipping }: Day): Promise<Cost> {
  const clock = new ManualClock(1_700_000_000_000);
  const spent = { vantage: 0, control: 0 };
  let bytes = 0;
  let judged = 0;
  const followed = new Map<string, Verdict>();
  const quorum = new Quorum({
    own: { name: "control", site: "control" },
    expectedCount: 0,
    nowMs: () => clock.monotonicMs(),
    followed: (key) => followed.get(key) ?? "unknown",
    onJudged: (key, opinion) => {
      judged++;
      followed.set(key, opinion?.opinion ?? "unknown");
    },
    onRoster: () => {},
  });
  quorum.changeTargets(targets, []);
  const waiting: { readonly name: string; readonly payload: Uint8Array }[] = [];
  const vantages = names.map((name, at) => makeVantage(name, at));
  const live = names.map((name) => ({ name, site: name }));
  for (const vantage of vantages) {
    vantage.setPlan({ targets, rules: [] }, () => undefined);
    vantage.setLive("control", live);
    vantage.start();
  }
  for (let ms = STEP_MS; ms <= seconds * 1000; ms += STEP_MS) {
    clock.advance(STEP_MS);
    const before = process.cpuUsage();
    for (const vantage of vantages) vantage.runner.advance();
    await new Promise((done) => {
      setImmediate(done);
    });
    if (ms % 1000 === 0) for (const vantage of vantages) vantage.tick();
    spent.vantage += since(before);
    const judging = process.cpuUsage();
    for (const { name, payload } of waiting.splice(0)) quorum.hear({ name, site: name }, payload);
    if (ms % 1000 === 0) quorum.tick();
    spent.control += since(judging);
  }
  for (const vantage of vantages) await vantage.close();
  return {
    day,
    bytesPerSecond: Math.round(bytes / seconds / names.length),
    vantageMsPerSecond: rounded(spent.vantage / seconds / names.length),
    controlMsPerSecond: rounded(spent.control / seconds),
    judged,
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
    key: `endpoint/default/bench/m${at}`,
    checkName: "default/bench",
    check,
    address: "192.0.2.1",
    port: 80,
    site: `site-${at % 3}`,
  }));
}

/** Milliseconds of CPU. */
function since(before: NodeJS.CpuUsage): number {
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1000;
}

function rounded(value: number): number {
  return Math.round(value * 100) / 100;
}
