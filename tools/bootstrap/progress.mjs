// SPDX-License-Identifier: Apache-2.0

import process from "node:process";

const tickMs = 1000;

/**
 * Says on standard error what is being waited for and how long it took: a counting line on a terminal, two plain
 * lines elsewhere.
 * @template T
 * @param {string} what
 * @param {() => Promise<T>} work
 * @returns {Promise<T>}
 */
export async function withProgress(what, work) {
  const startMs = performance.now();
  const seconds = () => ((performance.now() - startMs) / 1000).toFixed(0);
  const { stderr } = process;
  stderr.write(stderr.isTTY ? `${what} …` : `${what} …\n`);
  const ticker = stderr.isTTY
    ? setInterval(() => stderr.write(`\r${what} … ${seconds()} s`), tickMs)
    : undefined;
  try {
    const result = await work();
    stderr.write(
      stderr.isTTY ? `\r${what} … done in ${seconds()} s\n` : `Done in ${seconds()} s\n`,
    );
    return result;
  } catch (error) {
    if (stderr.isTTY) stderr.write("\n");
    throw error;
  } finally {
    clearInterval(ticker);
  }
}
