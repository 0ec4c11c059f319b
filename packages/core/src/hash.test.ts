// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import { Pcg32, hash32, key64, keyHigh, keyLow, parseDuration, formatDuration } from "./index.ts";

test("Pcg32 steps as 64-bit arithmetic says", () => {
  // The slow twin: the same generator over bigint.
  let state = 0n;
  const mask = (1n << 64n) - 1n;
  const next = (): number => {
    const old = state;
    state = (old * 6364136223846793005n + 1442695040888963407n) & mask;
    const word = (((old >> 18n) ^ old) >> 27n) & 0xffff_ffffn;
    const rotation = old >> 59n;
    return Number(((word >> rotation) | (word << (-rotation & 31n))) & 0xffff_ffffn);
  };
  const seed = 42;
  state = BigInt(seed);
  next();
  state =
    (state & ~0xffff_ffffn) | ((state ^ BigInt(Math.imul(seed, 0x9e3779b1) >>> 0)) & 0xffff_ffffn);
  next();
  const random = new Pcg32(seed);
  for (let round = 0; round < 10_000; round++) assert.equal(random.next32(), next());
});

test("key64() is stable", () => {
  const key = key64("endpoint/default/web/eu-1");
  assert.equal((BigInt(keyHigh(key)) << 32n) | BigInt(keyLow(key)), key);
  assert.equal(key, key64("endpoint/default/web/eu-1"));
  assert.notEqual(key, key64("endpoint/default/web/eu-2"));
  assert.equal(hash32(new Uint8Array([1, 2, 3]), 1, 1, 7), hash32(new Uint8Array(), 0, 0, 7));
});

test("durations have one unit", () => {
  assert.equal(parseDuration("250ms"), 250);
  assert.equal(parseDuration("72h"), 259_200_000);
  assert.equal(parseDuration("1d"), undefined);
  assert.equal(parseDuration("1h30m"), undefined);
  assert.equal(formatDuration(90_000), "90s");
});
