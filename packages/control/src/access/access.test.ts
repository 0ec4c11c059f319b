// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import fc from "fast-check";
import { RateLimit } from "./rate-limit.ts";
import { RefusalLog } from "./refusal-log.ts";

test("RateLimit lets a burst through, then its rate, whatever the times, and keeps a bounded number of keys", () => {
  fc.assert(
    fc.property(fc.array(fc.nat(300), { maxLength: 100 }), (gaps) => {
      const limit = new RateLimit({ perSecond: 10, burst: 5 }, 100);
      let nowMs = 0;
      let taken = 0;
      for (const gap of gaps) {
        nowMs += gap;
        if (limit.take("key", nowMs) === 0) taken += 1;
        assert.ok(taken <= 5 + (nowMs / 1000) * 10 + 1e-6);
      }
    }),
  );
  const limit = new RateLimit({ perSecond: 1, burst: 1 }, 3);
  for (let key = 0; key < 10; key++) limit.take(String(key), 0);
  assert.equal(limit.size, 3);
  assert.equal(limit.take("9", 0), 1000);
  assert.equal(limit.take("9", 1000), 0);
});

test("RefusalLog is bounded, goes on after a restart, and shows what was changed", (t) => {
  const folder = mkdtempSync(join(tmpdir(), "meridian-refusals-"));
  t.after(() => rmSync(folder, { recursive: true }));
  const refusal = (atMs: number) => ({
    atMs,
    subject: "s",
    address: "192.0.2.1",
    request: "POST /v1/apply",
    code: "ACCESS_DENIED",
    message: "m".repeat(5000),
  });
  const path = join(folder, "refusals.jsonl");
  let log = new RefusalLog(folder, 10_000);
  for (let at = 0; at < 20; at++) {
    if (at === 10) log = new RefusalLog(folder, 10_000);
    log.add(refusal(at));
    assert.ok(statSync(path).size <= 10_000);
  }
  assert.equal(log.list().at(-1)?.atMs, 19);
  assert.ok(log.list().length >= 4);
  assert.deepEqual(log.verify(), []);
  writeFileSync(path, readFileSync(path, "utf8").replace('"subject":"s"', '"subject":"t"'));
  assert.notDeepEqual(new RefusalLog(folder, 10_000).verify(), []);
});
