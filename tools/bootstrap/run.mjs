// SPDX-License-Identifier: Apache-2.0

import { spawn } from "node:child_process";
import { constants } from "node:os";
import process from "node:process";

/** Sent on to the child; a terminal sends the first three to the child by itself. */
const terminalSignals = /** @type {const} */ (["SIGINT", "SIGQUIT", "SIGHUP"]);
const otherSignals = /** @type {const} */ (["SIGTERM", "SIGUSR2"]);

/**
 * Becomes `command` as far as Node.js allows it: same standard streams, signals passed on, same exit code.
 * @param {string} command
 * @param {readonly string[]} commandArguments
 * @param {{ limitMs: number, limitSignal: NodeJS.Signals }} [limit] after which it is told to end
 * @returns {Promise<void>}
 */
export async function runAs(command, commandArguments, limit) {
  const child = spawn(command, commandArguments, { stdio: "inherit" });
  const timer = limit && setTimeout(() => child.kill(limit.limitSignal), limit.limitMs);
  const onTerminal = process.stdin.isTTY || process.stderr.isTTY;
  for (const signal of terminalSignals) {
    // Twice would mean "at once, I said": a terminal has told the child already, as it told us.
    process.on(signal, () => onTerminal || child.kill(signal));
  }
  for (const signal of otherSignals) process.on(signal, () => child.kill(signal));
  await new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (code, signal) => {
      clearTimeout(timer);
      process.exitCode = code ?? 128 + (signal === null ? 0 : constants.signals[signal]);
      resolve(undefined);
    });
  });
}
