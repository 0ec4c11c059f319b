// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import { parseBusy, cpuBetween, parseSchedstat, parseStat, processTree, readCpu } from "./cpu.ts";

test("parseStat() reads ticks behind a name with spaces and parentheses", () => {
  const line = "42 (a (b) c) S 1 42 42 0 -1 4194304 100 0 0 0 17 5 0 0 20 0 1 0 100 0 0";
  assert.deepEqual(parseStat(line), { name: "a (b) c", userTicks: 17, systemTicks: 5 });
});

test("parseSchedstat() reads the nanoseconds on the CPU", () => {
  assert.equal(parseSchedstat("123456789 11 3\n"), 123_456_789);
});

test("cpuBetween() scales the split to the exact total and names the busiest thread", () => {
  const before = {
    total: 100,
    user: 0,
    system: 0,
    threads: new Map([["1/1", { name: "main", total: 100 }]]),
  };
  const after = {
    total: 1100,
    user: 300,
    system: 100,
    threads: new Map([
      ["1/1", { name: "main", total: 200 }],
      ["1/2", { name: "worker", total: 900 }],
    ]),
  };
  assert.deepEqual(cpuBetween(before, after), {
    total: 1000,
    user: 750,
    system: 250,
    busiest: { name: "worker", total: 900 },
  });
});

test(
  "readCpu() of this process grows while it works",
  { skip: process.platform !== "linux" },
  () => {
    const before = readCpu([process.pid]);
    // A busy machine gives this thread little of its time: as long as it takes, within reason.
    const end = performance.now() + 10_000;
    let total = 0;
    while (total <= 5000 && performance.now() < end)
      ({ total } = cpuBetween(before, readCpu([process.pid])));
    assert.ok(total > 5000, `spent ${total} µs`);
    assert.ok(processTree(process.pid).includes(process.pid));
  },
);

test("parseBusy() adds what was not idle on the cores named", () => {
  const text = "cpu  9 9 9 9 9 9 9 9 0 0\ncpu0 1 2 3 100 50 4 5 6 0 0\ncpu1 10 0 0 7 0 0 0 0 0 0\n";
  assert.equal(parseBusy(text, "0"), 210_000);
  assert.equal(parseBusy(text, "0,1"), 310_000);
});
