// SPDX-License-Identifier: Apache-2.0

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { test } from "node:test";
import { temporaryFolder } from "../e2e/process.ts";
import { Preloads, needsPreloads } from "./preloads.ts";

const HOUR_S = 3600;
const SLOW_MS = 300;

/** Says, for each line that it is sent, what time it is, how long it has run, and how long an fsync took. */
const program = `
  const fs = require("node:fs");
  const file = fs.openSync(process.argv[1], "w");
  process.stdin.on("data", () => {
    const start = performance.now();
    fs.fsyncSync(file);
    console.log(JSON.stringify({ day: Date.now(), fsync: performance.now() - start, run: start }));
  });
`;

test("clock and disk of a process change while it runs", { skip: needsPreloads() }, async (t) => {
  const folder = temporaryFolder(t);
  const preloads = new Preloads(folder);
  const child = spawn(process.execPath, ["-e", program, `${folder}/file`], {
    stdio: ["pipe", "pipe", "inherit"],
    env: { ...process.env, ...preloads.environment },
  });
  t.after(() => child.kill());
  const lines = createInterface(child.stdout);
  const look = async (): Promise<{ day: number; fsync: number; run: number }> => {
    child.stdin.write("\n");
    const [line]: string[] = await once(lines, "line");
    const said: { day: number; fsync: number; run: number } = JSON.parse(line ?? "");
    return said;
  };
  const before = await look();
  assert.ok(Math.abs(before.day - Date.now()) < 10_000);
  preloads.shiftClock(-HOUR_S);
  preloads.slowDisk(SLOW_MS);
  const after = await look();
  assert.ok(Math.abs(after.day + HOUR_S * 1000 - Date.now()) < 10_000);
  assert.ok(after.fsync >= SLOW_MS, `the fsync took ${after.fsync} ms`);
  assert.ok(after.run > before.run, "the monotonic clock goes on");
});
