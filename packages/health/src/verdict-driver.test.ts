// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import { ManualClock, Pcg32 } from "@meridian/core";
import { Admin, CAPACITY_SHIFT, FENCED_BIT } from "@meridian/snapshot";
import { defaultHttpFields, defaultTiming } from "./check.ts";
import { defaultCapacityRule } from "./load/capacity-factor.ts";
import { OverlayDriver } from "./overlay-driver.ts";
import { worldOf } from "./testing/pool-world.ts";
import { VerdictDriver } from "./verdict-driver.ts";

const KEY = "endpoint/default/web/m0";

/** One endpoint that is healthy and says a load each second. */
function makeDriver() {
  const clock = new ManualClock(0);
  const world = worldOf(1);
  const overlay = new OverlayDriver({ wallMs: () => 0, onChangeSet: () => {} });
  overlay.adopt(world, 1);
  let load = 0.5;
  const driver = new VerdictDriver({
    ...{ clock, overlay, random: new Pcg32(1), vantage: "test", timers: "manual" },
    onTransitions: () => {},
    createProbe: () => ({
      run: (done) => done({ outcome: "pass", reason: "", load: { load, source: "orca" } }),
      cancel: () => {},
      close: () => {},
    }),
  });
  driver.adopt(world);
  const check = {
    ...{ ...defaultTiming, ...defaultHttpFields, kind: "http" as const },
    ...{ intervalMs: 1000, timeoutMs: 500 },
  };
  const target = { key: KEY, checkName: "default/web", check, address: "127.0.0.1", port: 80 };
  const rules = [[KEY, defaultCapacityRule]] as const;
  driver.setPlan({ changed: [target], gone: [], rules });
  driver.start();
  return {
    driver,
    overlay,
    pass: (seconds: number, said: number): void => {
      load = said;
      for (let tenth = 0; tenth < seconds * 10; tenth++) {
        clock.advance(100);
        driver.runner.advance();
        driver.tick();
      }
    },
    factor: (): number => (overlay.read(0) >>> CAPACITY_SHIFT) & 0x3ff,
    set: (bits: number): void => {
      const value = ((overlay.read(0) & ~((3 << 2) | FENCED_BIT)) | bits) >>> 0;
      overlay.apply([{ slot: 0, value }], { kind: "shift", text: "" });
    },
  };
}

test("the factor of an endpoint of a fenced panel follows its load", async (context) => {
  const { driver, pass, factor, set } = makeDriver();
  context.after(() => driver.close());
  set(FENCED_BIT);
  pass(10, 0.5);
  assert.ok(Math.abs(factor() - 500) < 100, `${factor()}`);
  set(FENCED_BIT | (Admin.fencedOff << 2));
  pass(3, 0.5);
  assert.equal(factor(), 10, "without the lease it is out");
});

test("what an endpoint says of its load while it is drained is told, though it comes back with little", async (context) => {
  const { driver, pass, factor, set } = makeDriver();
  context.after(() => driver.close());
  pass(10, 0.6);
  set(Admin.drained << 2);
  pass(60, 0.6);
  const { load, loadAgeMs = Infinity } = driver.state(KEY) ?? {};
  assert.equal(load?.toFixed(3), "0.600");
  assert.ok(loadAgeMs <= 2000, `${loadAgeMs}`);
  assert.equal(factor(), 10);
  pass(60, 0.2);
  assert.ok(Math.abs((driver.state(KEY)?.load ?? 0) - 0.2) < 0.02);
});
