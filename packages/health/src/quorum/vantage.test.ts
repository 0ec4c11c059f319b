// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import { ManualClock, Pcg32 } from "@meridian/core";
import { decodeReport, type Report } from "@meridian/snapshot";
import { defaultTiming, type ProbeTarget } from "../check.ts";
import { Vantage } from "./vantage.ts";

const STEP_MS = 50;

function targetsOf(count: number): ProbeTarget[] {
  const check = {
    ...defaultTiming,
    kind: "tcp",
    intervalMs: 1000,
    timeoutMs: 500,
    unhealthyThreshold: 1,
    healthyThreshold: 1,
  } as const;
  return Array.from({ length: count }, (_, at) => ({
    key: `endpoint/default/web/m${at}`,
    checkName: "default/web",
    check,
    address: "192.0.2.1",
    port: 80,
    site: `site-${at % 3}`,
  }));
}

/** A vantage under a clock of its own; `outcome` gives what each probe of a round comes to. */
async function run(
  count: number,
  seconds: number,
  outcome: (round: number) => "pass" | "fail",
): Promise<{ readonly reports: readonly Report[]; readonly bytes: number }> {
  const clock = new ManualClock(1_700_000_000_000);
  const reports: Report[] = [];
  let bytes = 0;
  const vantage = new Vantage({
    name: "eu-1",
    site: "eu",
    clock,
    random: new Pcg32(1),
    timers: "manual",
    onReport: (payload) => {
      bytes += payload.length;
      const report = decodeReport(payload);
      assert.ok(report !== undefined);
      reports.push(report);
    },
    onTransitions: () => {},
    createProbe: () => {
      let round = 0;
      return {
        run: (done) => done({ outcome: outcome(round++), reason: `round ${round % 2}` }),
        cancel: () => {},
        close: () => {},
      };
    },
  });
  vantage.setPlan({ targets: targetsOf(count), rules: [] }, () => undefined);
  vantage.setLive("control", [{ name: "eu-1", site: "eu" }]);
  vantage.start();
  for (let ms = STEP_MS; ms <= seconds * 1000; ms += STEP_MS) {
    clock.advance(STEP_MS);
    vantage.runner.advance();
    await Promise.resolve();
    await Promise.resolve();
    if (ms % 1000 === 0) vantage.tick();
  }
  await vantage.close();
  return { reports, bytes };
}

test("a vantage sends as many bytes where all of 10,000 endpoints flip each round as where none does", async () => {
  const calm = await run(10_000, 10, () => "pass");
  const wild = await run(10_000, 10, (round) => (round % 2 === 0 ? "pass" : "fail"));
  const share = wild.bytes / calm.bytes;
  assert.ok(share < 1.05 && share > 0.95, `${wild.bytes} bytes, ${calm.bytes} where all is calm`);
  // Not because nothing was told.
  const last = wild.reports.at(-1);
  assert.ok(last?.form === "table");
  assert.ok(new Set(last.opinions).size > 0 && last.opinions.every((opinion) => opinion > 0));
});

test("a vantage tells a change at once, and a table each second", async () => {
  const { reports } = await run(3, 4, (round) => (round < 2 ? "pass" : "fail"));
  const forms = reports.map(({ form }) => form);
  assert.ok(forms.filter((form) => form === "table").length >= 5);
  const flips = reports.flatMap((report) => (report.form === "changes" ? report.changes : []));
  const failed = flips.filter(({ opinion }) => opinion === 2);
  assert.equal(new Set(failed.map(({ place }) => place)).size, 3);
  assert.match(failed[0]?.text ?? "", /^round \d$/);
  const sequences = reports.map(({ sequence }) => sequence);
  assert.deepEqual(
    sequences,
    sequences.map((_, at) => at + 1),
  );
});
