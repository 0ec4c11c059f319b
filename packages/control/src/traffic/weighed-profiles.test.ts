// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import { key64 } from "@meridian/core";
import { Admin, PER_MILLE, Verdict, endpointSlot, worldOf } from "@meridian/snapshot";
import { compileModel, modelOf } from "../testing/control-fixture.ts";
import { MeasuredTraffic } from "./measured-traffic.ts";
import { capacityScale, measuredProfile, measuredText, reportedLoads } from "./weighed-profiles.ts";

const header = "apiVersion: meridian.dev/v1alpha1\nkind:";
const model = modelOf(
  [
    `${header} Zone\nmetadata: {name: example.org}\nspec: {origin: example.org, nameServers: [{name: ns1.example.net}]}\n`,
    `${header} Pool\nmetadata: {name: web}\nspec: {answers: 1, load: {json: {path: /, pointer: /load}}, members: {a: {address: 192.0.2.1, capacity: 400}, b: {address: 192.0.2.2, capacity: 400}}}\n`,
    `${header} Record\nmetadata: {name: www}\nspec: {name: www.example.org, pool: web}\n`,
  ].join("---\n"),
);

const world = worldOf(compileModel(model).sections, 1);
assert.ok(typeof world === "object");

/** Asks for what is said of members, whose slots are as given. */
function asking(
  said: Readonly<Record<string, { slot: number; load?: number; loadAgeMs?: number }>>,
): () => Promise<number | undefined> {
  assert.ok(typeof world === "object");
  const slots = world.initialSlots();
  const keys = new Map(
    Object.entries(said).map(([member, each]) => [`endpoint/default/web/${member}`, each]),
  );
  for (const [key, { slot }] of keys) slots[world.slotOfKey(key64(key))] = slot;
  const verdicts = {
    states: async (asked: readonly string[]) =>
      asked.map((key) => {
        const { load, loadAgeMs = 0 } = keys.get(key) ?? {};
        return { key, ...(load === undefined ? {} : { load, loadAgeMs }) };
      }),
  };
  const pair = { world, slots };
  const demand = { www: { name: "www.example.org", from: { everywhere: {} }, rate: 10 } };
  return async () =>
    capacityScale(pair, { unit: "queries/s", demand }, await reportedLoads(model, pair, verdicts));
}

function slotOf(verdict: number, admin: number, factor: number): number {
  return endpointSlot(verdict, admin, factor, PER_MILLE, 0);
}

test("a look-up stands for what endpoints carry of their capacity, as far as they say it", async () => {
  const healthy = slotOf(Verdict.healthy, Admin.active, 750);
  const idle = slotOf(Verdict.healthy, Admin.active, PER_MILLE);
  assert.equal(
    await asking({ a: { slot: healthy }, b: { slot: healthy } })(),
    undefined,
    "nobody has said anything",
  );
  const both = await asking({
    a: { slot: healthy, load: 0.25 },
    b: { slot: healthy, load: 0.25 },
  })();
  // A quarter of 800 for ten look-ups a second.
  assert.ok(Math.abs((both ?? 0) - 20) < 0.01, `${both}`);
  for (const b of [{ slot: idle }, { slot: idle, load: 0.9, loadAgeMs: 60_000 }]) {
    const scale = await asking({ a: { slot: healthy, load: 0.25 }, b })();
    // 0.75 of 1.75 of the look-ups lead to the one that says what it carries.
    assert.ok(Math.abs((scale ?? 0) - 100 / (10 * (0.75 / 1.75))) < 1.5, `${scale}`);
  }
});

test("what one that comes back carries is what it says, whatever its factor is; one that is out does not count", async () => {
  const slot = slotOf(Verdict.healthy, Admin.active, PER_MILLE);
  const back = await asking({
    a: { slot, load: 0.5 },
    b: { slot: slotOf(Verdict.healthy, Admin.active, 10), load: 0.01 },
  })();
  assert.ok(Math.abs((back ?? 0) - 20.4) < 0.5, `${back}`);
  for (const out of [
    slotOf(Verdict.unhealthy, Admin.active, 10),
    slotOf(Verdict.healthy, Admin.drained, 10),
  ]) {
    const scale = await asking({ a: { slot, load: 0.5 }, b: { slot: out, load: 0.9 } })();
    // Nearly all look-ups lead to the other.
    assert.ok(Math.abs((scale ?? 0) - 20) < 0.5, `${scale}`);
  }
});

test("what edges have counted of ten seconds is demand, in the unit of capacities where endpoints report", async () => {
  assert.ok(typeof world === "object");
  const slots = world.initialSlots();
  for (const member of ["a", "b"])
    slots[world.slotOfKey(key64(`endpoint/default/web/${member}`))] = slotOf(
      ...[Verdict.healthy, Admin.active, 750],
    );
  const traffic = new MeasuredTraffic();
  const [sinceMs, nowMs] = [60_000, 75_000];
  for (let atMs = sinceMs; atMs < nowMs; atMs += 1000) {
    const pools = [{ key: key64("pool/default/web"), count: 10 }];
    const counts = { revision: 1, elapsedMs: 1000, policies: [], endpoints: [], audiences: [] };
    traffic.take("eu", { ...counts, pools }, atMs, world);
  }
  const overlay = { moment: () => ({ slots }) };
  const found = (load: { load?: number }): ReturnType<typeof measuredProfile> => {
    const states = async (keys: readonly string[]) => keys.map((key) => ({ key, ...load }));
    return measuredProfile({ model, world, traffic, overlay, verdicts: { states } }, nowMs);
  };
  assert.equal((await found({}))?.isWeighed, false);
  const weighed = await found({ load: 0.25 });
  assert.deepEqual([weighed?.isWeighed, weighed?.spec.unit], [true, "of capacity"]);
  assert.match(
    weighed === undefined ? "" : measuredText(weighed),
    /^demand measured over \d+ s, \d+ s old$/,
  );
  const [row] = Object.values(weighed?.spec.demand ?? {});
  assert.equal(row?.name, "www.example.org.");
  // A quarter of 800.
  assert.ok(Math.abs((row?.rate ?? 0) - 200) < 1, `${row?.rate}`);
});

test("what is weighed says that it was measured, and when", () => {
  const measured = { spec: { unit: "queries/s", demand: {} }, seconds: 59.6, ageMs: 12_400 };
  assert.equal(measuredText(measured), "demand measured over 60 s, 12 s old");
});
