// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import { parseStoreDocument, type ChangeWindows } from "@meridian/model";
import { closedBy } from "./change-window.ts";

function windows(wanted: object): ChangeWindows {
  const parsed = parseStoreDocument("ChangePolicy", {
    apiVersion: "meridian.dev/v1alpha1",
    kind: "ChangePolicy",
    metadata: { name: "w" },
    spec: { acts: [{ verbs: ["*"] }], windows: wanted },
  });
  assert.ok(
    "document" in parsed && parsed.document.kind === "ChangePolicy",
    JSON.stringify(parsed),
  );
  assert.ok(parsed.document.spec.windows !== undefined);
  return parsed.document.spec.windows;
}

function isOpen(of: ChangeWindows, time: string): boolean {
  return closedBy(of, Date.parse(time)) === undefined;
}

test("windows are weekly, belong to the day on which they begin, and end before their end", () => {
  const weekdays = windows({ allowed: [{ days: ["mon", "fri"], from: "09:00", to: "17:00" }] });
  for (const [time, wanted] of [
    ["2026-11-23T08:59:59Z", false],
    ["2026-11-23T09:00:00Z", true],
    ["2026-11-23T16:59:59Z", true],
    ["2026-11-23T17:00:00Z", false],
    ["2026-11-24T12:00:00Z", false],
    ["2026-11-27T12:00:00Z", true],
  ] as const)
    assert.equal(isOpen(weekdays, time), wanted, time);
  const night = windows({ allowed: [{ days: ["sun"], from: "22:00", to: "04:00" }] });
  for (const [time, wanted] of [
    ["2026-11-22T21:59:00Z", false],
    ["2026-11-22T23:00:00Z", true],
    ["2026-11-23T03:59:00Z", true],
    ["2026-11-23T04:00:00Z", false],
    ["2026-11-22T03:00:00Z", false],
  ] as const)
    assert.equal(isOpen(night, time), wanted, time);
});

test("clocks are those of the time zone, also when they are put back", () => {
  const berlin = windows({
    timeZone: "Europe/Berlin",
    allowed: [{ from: "09:00", to: "10:00" }],
    blockedDates: ["2026-12-24"],
  });
  assert.ok(isOpen(berlin, "2026-07-01T07:30:00Z"), "summer: UTC+2");
  assert.ok(isOpen(berlin, "2026-11-23T08:30:00Z"), "winter: UTC+1");
  assert.ok(!isOpen(berlin, "2026-11-23T07:30:00Z"));
  assert.ok(!isOpen(berlin, "2026-12-24T08:30:00Z"));
  assert.match(
    closedBy(berlin, Date.parse("2026-11-23T11:30:00Z")) ?? "",
    /^only every day 09:00 to 10:00 is allowed; now it is mon 2026-11-23 12:30 Europe\/Berlin$/,
  );
  const blocked = windows({ blocked: [{ days: ["sat", "sun"] }] });
  assert.ok(isOpen(blocked, "2026-11-23T00:00:00Z"));
  assert.ok(!isOpen(blocked, "2026-11-22T23:59:59Z"));
});
