// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import { parseMemory, readMemory } from "./memory.ts";

test("parseMemory() reads kibibytes of the lines that it knows", () => {
  const status =
    "Name:\tx\nVmHWM:\t    900 kB\nVmRSS:\t    600 kB\nRssAnon:\t 100 kB\nRssFile:\t 200 kB\nRssShmem:\t 300 kB\n";
  assert.deepEqual(parseMemory(status), {
    resident: 600 * 1024,
    anonymous: 100 * 1024,
    file: 200 * 1024,
    shared: 300 * 1024,
    peak: 900 * 1024,
  });
});

test(
  "readMemory() sums processes and leaves out what has gone",
  { skip: process.platform !== "linux" },
  () => {
    const own = readMemory([process.pid]);
    assert.ok(own.resident > 1 << 20 && own.peak >= own.resident);
    assert.equal(readMemory([2 ** 30]).resident, 0);
  },
);
