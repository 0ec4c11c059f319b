// SPDX-License-Identifier: Apache-2.0

import assert from "node:assert/strict";
import { test } from "node:test";
import { silent } from "./testing/control-fixture.ts";
import { TenantLooks } from "./tenant-looks.ts";

test("a tenant that hangs holds up itself alone, and what fails is told once and tried again", async () => {
  const hanging = Promise.withResolvers<void>();
  const looked = new Map<string, number>();
  const told: string[] = [];
  const error = (_facts: object, text: string): void => {
    told.push(text);
  };
  const looks = new TenantLooks({
    ...{ what: "drills", everyMs: 1000, tenants: () => ["slow", "bad", "good"] },
    logger: { ...silent, error },
    look: async (tenant) => {
      looked.set(tenant, (looked.get(tenant) ?? 0) + 1);
      if (tenant === "slow") await hanging.promise;
      if (tenant === "bad") throw new Error("the disk is full");
    },
  });
  const first = looks.look();
  const turn = (): Promise<void> =>
    new Promise((resolve) => {
      setImmediate(resolve);
    });
  await turn();
  void looks.look();
  await turn();
  assert.deepEqual(Object.fromEntries(looked), { slow: 1, bad: 2, good: 2 });
  hanging.resolve();
  await first;
  await looks.close();
  await looks.look();
  assert.equal(looked.get("good"), 2);
  assert.deepEqual(told, ["Cannot look at drills"]);
});

test("of many tenants a bounded number is looked at at once, and each comes to its turn", async () => {
  let [now, most] = [0, 0];
  const seen = new Set<string>();
  const looks = new TenantLooks({
    ...{ what: "plans", everyMs: 1000, logger: silent },
    tenants: () => Array.from({ length: 300 }, (_, index) => `tenant-${index}`),
    look: async (tenant) => {
      most = Math.max(most, ++now);
      await new Promise((resolve) => {
        setImmediate(resolve);
      });
      now -= 1;
      seen.add(tenant);
    },
  });
  await looks.look();
  assert.equal(seen.size, 300);
  assert.equal(most, 64);
  await looks.close();
});

test("an exception of who names the tenants ends nothing", async () => {
  const looks = new TenantLooks({
    ...{ what: "plans", everyMs: 1000, logger: silent, look: () => Promise.resolve() },
    tenants: () => {
      throw new Error("no documents");
    },
  });
  await looks.look();
  await looks.close();
});
