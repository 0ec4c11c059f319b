// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import { key64 } from "@meridian/core";
import { Admin, PER_MILLE, Verdict, endpointSlot, worldOf } from "@meridian/snapshot";
import { compileModel, modelOf } from "../testing/control-fixture.ts";
import { MeasuredTraffic } from "./measured-traffic.ts";
import { capacityScale, measuredProfile, measuredText } from "./weighed-profiles.ts";

const header = "apiVersion: meridian.dev/v1alpha1\nkind:";
const model = modelOf(
  [
    `${header} Zone\nmetadata: {name: example.org}\nspec: {origin: example.org, nameServers: [{name: ns1.example.net}]}\n`,
    `${header} Pool\nmetadata: {name: web}\nspec: {answers: 1, load: {json: {path: /, pointer: /load}}, members: {a: {address: 192.0.2.1, capacity: 400}, b: {address: 192.0.2.2, capacity: 400}}}\n`,
    `${header} Record\nmetadata: {name: www}\nspec: {name: www.example.org, pool: web}\n`,
  ].join("---\n"),
);

test("a look-up stands for what endpoints carry of their capacity, as far as they say it", () => {
  const world = worldOf(compileModel(model).sections, 1);
  assert.ok(typeof world === "object");
  const slots = world.initialSlots();
  const demand = { www: { name: "www.example.org", from: { everywhere: {} }, rate: 10 } };
  const scale = (): number | undefined =>
    capacityScale(model, { world, slots }, { unit: "queries/s", demand });
  assert.equal(scale(), undefined, "nobody has said anything");
  const say = (member: string, factor: number): void => {
    const slot = endpointSlot(Verdict.healthy, Admin.active, factor, PER_MILLE, 0);
    slots[world.slotOfKey(key64(`endpoint/default/web/${member}`))] = slot;
  };
  say("a", 750);
  say("b", 750);
  // A quarter of 800 for ten look-ups a second.
  assert.ok(Math.abs((scale() ?? 0) - 20) < 0.01, `${scale()}`);
  say("b", PER_MILLE);
  // 0.75 of 1.75 of the look-ups lead to the one that says what it carries.
  assert.ok(Math.abs((scale() ?? 0) - 100 / (10 * (0.75 / 1.75))) < 1.5, `${scale()}`);
});

test("what edges have counted of ten seconds is demand, in the unit of capacities where endpoints report", () => {
  const world = worldOf(compileModel(model).sections, 1);
  assert.ok(typeof world === "object");
  const slots = world.initialSlots();
  const traffic = new MeasuredTraffic();
  const [sinceMs, nowMs] = [60_000, 75_000];
  for (let atMs = sinceMs; atMs < nowMs; atMs += 1000) {
    const pools = [{ key: key64("pool/default/web"), count: 10 }];
    const counts = { revision: 1, elapsedMs: 1000, policies: [], endpoints: [], audiences: [] };
    traffic.take("eu", { ...counts, pools }, atMs, world);
  }
  const found = () =>
    measuredProfile({ model, world, traffic, overlay: { moment: () => ({ slots }) } }, nowMs);
  assert.equal(found()?.isWeighed, false);
  for (const member of ["a", "b"])
    slots[world.slotOfKey(key64(`endpoint/default/web/${member}`))] = endpointSlot(
      ...[Verdict.healthy, Admin.active, 750, PER_MILLE, 0],
    );
  const weighed = found();
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
