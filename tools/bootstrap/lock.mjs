// SPDX-License-Identifier: Apache-2.0

import { closeSync, mkdirSync, openSync, readFileSync, rmSync, writeSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { setTimeout as sleep } from "node:timers/promises";

const lockPollMs = 250;

/**
 * Runs `work` while no other bootstrap of the same checkout does: `npm start` and `npm test` typed at once in a fresh
 * clone would otherwise install over each other.
 * @template T
 * @param {string} root
 * @param {() => Promise<T>} work
 * @returns {Promise<T>}
 */
export async function withLock(root, work) {
  mkdirSync(join(root, ".build"), { recursive: true });
  const path = join(root, ".build/bootstrap.lock");
  let told = false;
  while (!take(path)) {
    const holder = holderOf(path);
    if (holder === undefined) {
      rmSync(path, { force: true });
      continue;
    }
    if (!told) process.stderr.write(`Waiting for process ${holder}, which is installing\n`);
    told = true;
    await sleep(lockPollMs);
  }
  try {
    return await work();
  } finally {
    rmSync(path, { force: true });
  }
}

/** @param {string} path */
function take(path) {
  try {
    const file = openSync(path, "wx");
    writeSync(file, String(process.pid));
    closeSync(file);
    return true;
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "EEXIST") return false;
    throw error;
  }
}

/**
 * The live process that holds the lock, or undefined where it is gone.
 * @param {string} path
 */
function holderOf(path) {
  try {
    const holder = Number(readFileSync(path, "utf8"));
    // Between creation and write the file is empty: someone has just taken it.
    if (holder === 0) return 0;
    process.kill(holder, 0);
    return holder;
  } catch {
    return undefined;
  }
}
