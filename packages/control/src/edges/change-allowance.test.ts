// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  FRAME_HEADER_BYTES,
  FrameKind,
  OverlayWriter,
  decodeChanges,
  decodeTable,
  makeManifest,
} from "@meridian/snapshot";
import type { Cause } from "@meridian/health";
import { loadWorld, member, pool } from "@meridian/snapshot/testing";
import { ChangeAllowance } from "./change-allowance.ts";
import { EdgeHub } from "./edge-hub.ts";

/** Of a message, the byte that says what it is. */
const KIND_AT = 4;

const of = (kind: string): Cause => ({ kind, text: "" });

test("over minutes in which all changes, change sets are three hundredths of the tables", () => {
  const allowance = new ChangeAllowance();
  const tableBytes = 48_000;
  let sent = 0;
  for (let second = 0; second < 600; second++) {
    for (let set = 0; set < 1000; set++)
      if (allowance.wayOf(10, of("health")) === "changes") sent += 10 * 12;
    allowance.refill(tableBytes);
    allowance.caughtUp();
  }
  assert.ok(sent < 600 * tableBytes * 0.04, `${sent} bytes`);
  assert.ok(sent > 600 * tableBytes * 0.015, `${sent} bytes`);
});

test("after calm ten thousand changes go at once, and what people move always does", () => {
  const allowance = new ChangeAllowance();
  assert.equal(allowance.wayOf(10_000, of("health")), "changes");
  assert.equal(allowance.wayOf(100_000, of("shift")), "changes");
  assert.equal(allowance.wayOf(100_000, of("health")), "later");
  assert.equal(allowance.wayOf(1, of("health")), "later", "an edge takes none but the next one");
  assert.equal(allowance.wayOf(1, of("weights")), "table");
  assert.equal(allowance.wayOf(1, of("latch")), "later");
  assert.equal(allowance.wayOf(1, { ...of("latch"), byCommand: true }), "table");
  assert.ok(allowance.isHolding);
  allowance.caughtUp();
  assert.equal(allowance.wayOf(1, of("load")), "changes");
});

test("an edge that lacks a change set is sent the table, at once where people move something", () => {
  const world = loadWorld([pool("default/web", [member("a", 1), member("b", 1)])], []);
  const writer = new OverlayWriter(world.initialSlots(), 1);
  const hub = new EdgeHub({ wallMs: () => 0, monotonicMs: () => 0 });
  let told: string[] = [];
  const stream = {
    backlogBytes: 0,
    write: (bytes: Uint8Array): void => {
      const payload = bytes.subarray(FRAME_HEADER_BYTES);
      if (bytes[KIND_AT] === FrameKind.changes)
        told.push(`changes ${decodeChanges(payload)?.sequence ?? ""}`);
      if (bytes[KIND_AT] === FrameKind.table) {
        const { sequence, slots } = decodeTable(payload) ?? {};
        told.push(`table ${sequence ?? ""} with ${slots?.[0] ?? ""}`);
      }
    },
    end: (): void => {},
  };
  const change = (kind: string, count: number): string[] => {
    told = [];
    const value = writer.sequence + 1;
    writer.publish([{ slot: 0, value }]);
    const keys = new BigUint64Array(count).fill(world.slotKey(0));
    const values = new Uint32Array(count).fill(value);
    const { sequence } = writer;
    hub.changed({ sequence, revision: 1, atMs: 0, cause: { kind, text: "" }, keys, values });
    return told;
  };
  const { buffer: overlay, slotCount } = writer;
  const manifest = makeManifest(1, 7, []);
  hub.publish({ manifest, revision: 1, world: world.share(), overlay, slotCount });
  const hello = {
    ...{ epoch: 1, revision: 1, sequence: 0, protocol: 1, version: "0", dns: [] },
    ...{ takesSections: true, takesShifts: true, takesLeases: true },
  };
  hub.join("eu", hello, stream, "192.0.2.1");
  assert.deepEqual(change("health", 1), ["changes 2"]);
  assert.deepEqual(change("health", 30_000), []);
  assert.deepEqual(change("health", 1), []);
  assert.deepEqual(change("shift", 1), ["table 5 with 5"]);
  assert.deepEqual(change("shift", 1), ["changes 6"]);
  assert.deepEqual(change("health", 30_000), []);
  hub.tick();
  assert.deepEqual(told, ["table 7 with 7"]);
  assert.deepEqual(change("health", 1), ["changes 8"]);
  assert.deepEqual(change("health", 30_000), []);
  const confirm = (movedRevision: number): string[] => {
    told = [];
    const asOf = { epoch: 1, revision: 9 };
    hub.confirm({ askedAtMs: 0, asOf, movedRevision, revision: 1, sequence: writer.sequence });
    return told;
  };
  assert.deepEqual(confirm(3), ["table 9 with 9"], "a hand-over waits for no table");
  assert.deepEqual(change("health", 30_000), []);
  assert.deepEqual(confirm(3), []);
  assert.deepEqual(confirm(4), ["table 10 with 10"]);
  assert.deepEqual(confirm(5), []);
});
