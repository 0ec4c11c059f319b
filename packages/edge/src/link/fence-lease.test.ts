// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import type { LeaseGrant } from "@meridian/snapshot";
import { FenceLease } from "./fence-lease.ts";

const slots = { revision: 3, sequence: 5, isSettled: true };
const kept = (): boolean => true;

function grantOf(more: Partial<LeaseGrant> = {}): LeaseGrant {
  const asOf = { epoch: 1, revision: 20 };
  return { askedAtMs: 0, leaseMs: 0, asOf, movedRevision: 10, revision: 3, sequence: 5, ...more };
}

test("a lease counts from when it was asked for, however late the grant is read", () => {
  let nowMs = 1000;
  const lease = new FenceLease("0", () => nowMs);
  assert.equal(lease.request, undefined);
  assert.equal(lease.isHeld, false, "a start is without");
  assert.equal(lease.offer(grantOf()), true);
  assert.equal(lease.settle(slots, kept), true);
  assert.deepEqual(lease.request, {
    ...{ askedAtMs: 1000, instance: "0", holds: { epoch: 1, revision: 20 } },
  });
  assert.equal(lease.isHeld, false, "an offer is none");
  assert.equal(lease.offer(grantOf({ askedAtMs: 1000, leaseMs: 10_000 })), false);
  lease.settle(slots, kept);
  assert.equal(lease.isHeld, true);
  nowMs = 10_999;
  assert.equal(lease.isHeld, true);
  nowMs = 11_000;
  assert.equal(lease.isHeld, false);
  // Read after the process stood still.
  nowMs = 60_000;
  lease.offer(grantOf({ askedAtMs: 2000, leaseMs: 10_000 }));
  lease.settle(slots, kept);
  assert.equal(lease.isHeld, false);
});

test("a lease is held when all workers answer as it says, and the disk knows what is fenced", () => {
  const lease = new FenceLease("0", () => 0);
  const grant = grantOf({ leaseMs: 10_000 });
  lease.offer(grant);
  for (const other of [
    { ...slots, revision: 2 },
    { ...slots, sequence: 4 },
    { ...slots, sequence: undefined },
    { ...slots, isSettled: false },
  ]) {
    assert.equal(lease.settle(other, kept), false);
    assert.equal(lease.isHeld, false);
  }
  assert.equal(
    lease.settle(slots, () => false),
    false,
  );
  assert.equal(lease.isHeld, false);
  assert.equal(lease.isPending, true);
  assert.equal(lease.settle(slots, kept), true);
  assert.equal(lease.isHeld, true);
});

test("slots of a control that is behind what was acted on are served without a lease", () => {
  const lease = new FenceLease("0", () => 0);
  const grant = grantOf({ leaseMs: 10_000 });
  lease.offer(grant);
  lease.settle(slots, kept);
  lease.beforeSlots();
  assert.equal(lease.isHeld, true, "of the control that said so");
  // Another one, which has seen all that matters.
  lease.begin();
  assert.equal(lease.request, undefined);
  lease.offer({ ...grant, asOf: { epoch: 1, revision: 10 } });
  lease.beforeSlots();
  assert.equal(lease.isHeld, true);
  // One that has not, and one of which nothing is known.
  for (const asOf of [{ epoch: 1, revision: 9 }, { epoch: 0, revision: 99 }, undefined]) {
    lease.offer(grant);
    lease.settle(slots, kept);
    assert.equal(lease.isHeld, true);
    lease.begin();
    if (asOf !== undefined) lease.offer({ ...grant, asOf });
    lease.beforeSlots();
    assert.equal(lease.isHeld, false);
    assert.equal(lease.settle(slots, kept), false);
    assert.equal(lease.isHeld, false, "what it gives is none");
    lease.begin();
  }
});
