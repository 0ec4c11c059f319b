// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  MAX_STALE_MS,
  REFRESH_MS_MAX,
  REFRESH_MS_MIN,
  RETRY_MS,
  addressesOf,
  hostCondition,
  newHost,
  settleHost,
  type FamilyAnswer,
  type HostState,
} from "./host-state.ts";

const one = new Uint8Array([192, 0, 2, 1]);
const two = new Uint8Array([192, 0, 2, 2]);
const six = Buffer.from("20010db8000000000000000000000001", "hex");
const none: FamilyAnswer = { error: "ENODATA", isEmpty: true };
const failed: FamilyAnswer = { error: "ESERVFAIL", isEmpty: false };

function found(ttlSeconds: number, ...addresses: Uint8Array[]): FamilyAnswer {
  return { addresses, ttlSeconds };
}

function settled(ipv4: FamilyAnswer, ipv6: FamilyAnswer, nowMs = 0): HostState {
  return settleHost(newHost(0), ipv4, ipv6, nowMs);
}

test("settleHost() looks a name up again at the end of the shorter TTL, from five seconds to an hour", () => {
  const waits = [
    [found(60, one), found(30, six), 30_000],
    [found(1, one), none, REFRESH_MS_MIN],
    [found(864_000, one), none, REFRESH_MS_MAX],
    [failed, failed, RETRY_MS],
    [found(60, one), failed, RETRY_MS],
    [none, none, RETRY_MS],
  ] as const;
  for (const [ipv4, ipv6, waitMs] of waits)
    assert.equal(settled(ipv4, ipv6, 1000).dueMs, 1000 + waitMs);
});

test("settleHost() sorts addresses and keeps each once", () => {
  assert.deepEqual(addressesOf(settled(found(60, two, one, two), none)), {
    ipv4: [one, two],
    ipv6: [],
  });
});

test("settleHost() takes no addresses of one family as an answer where the other has some", () => {
  const state = settled(found(60, one), found(60, six));
  assert.deepEqual(addressesOf(settleHost(state, found(60, one), none, 1)).ipv6, []);
  assert.deepEqual(addressesOf(settleHost(state, none, none, 1)), { ipv4: [one], ipv6: [six] });
});

test("a name that cannot be resolved keeps its addresses for 24 hours and says so", () => {
  const good = settled(found(60, one), none);
  assert.equal(hostCondition("h.example", good, 5), undefined);
  const kept = settleHost(good, failed, failed, MAX_STALE_MS);
  assert.deepEqual(addressesOf(kept).ipv4, [one]);
  assert.equal(
    hostCondition("h.example", kept, 60_000),
    'Cannot resolve "h.example": ESERVFAIL; answered by 192.0.2.1 of 60 s ago, for at most 24 h',
  );
  const gone = settleHost(kept, failed, failed, MAX_STALE_MS + 1);
  assert.deepEqual(addressesOf(gone), { ipv4: [], ipv6: [] });
  assert.equal(
    hostCondition("h.example", gone, MAX_STALE_MS + 1),
    'Cannot resolve "h.example": ESERVFAIL; it has no addresses',
  );
  const back = settleHost(gone, found(60, two), none, MAX_STALE_MS + 2);
  assert.deepEqual([addressesOf(back).ipv4, back.error], [[two], undefined]);
});

test("addresses of an earlier run count as confirmed at the start", () => {
  const state = newHost(1000, { ipv4: [one], ipv6: [] });
  const kept = settleHost(state, failed, failed, 1000 + MAX_STALE_MS);
  assert.deepEqual(addressesOf(kept).ipv4, [one]);
});
