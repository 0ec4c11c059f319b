// SPDX-License-Identifier: Apache-2.0

// What `npm start`, `npm test`, `npm run check` and bin/meridian run first. On a host with only Node.js 20 and npm it
// installs what package-lock.json names, makes the pinned Node.js runnable, builds the native add-on where a C
// compiler exists, and then hands over to the pinned Node.js. Only Node.js built-ins, and only syntax that
// Node.js 20 reads. When nothing is missing it reads two small files and starts one process.

import process from "node:process";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { BootstrapError } from "./bootstrap/bootstrap-error.mjs";
import { ensureDependencies } from "./bootstrap/dependencies.mjs";
import { withLock } from "./bootstrap/lock.mjs";
import { ensureNative } from "./bootstrap/native.mjs";
import { ensurePinnedNode } from "./bootstrap/pinned-node.mjs";
import { runAs } from "./bootstrap/run.mjs";
import { readStamp, writeStamp } from "./bootstrap/stamp.mjs";

const nodeMajorMin = 20;

/**
 * What each command runs, after the pinned Node.js: a file of the repository and its first arguments.
 * @type {Readonly<Record<string, readonly string[]>>}
 */
const entries = {
  start: ["apps/meridian/src/main.ts", "quickstart"],
  meridian: ["apps/meridian/src/main.ts"],
  test: ["tools/test.ts"],
  check: ["tools/check.ts"],
  "check:all": ["tools/check.ts", "--all"],
  bench: ["tools/bench.ts"],
  "bench:dns": ["bench/load/dns.ts"],
  bundle: ["tools/bundle.ts"],
  "proof:consistency": ["test/consistency/proof.ts"],
  "proof:faults": ["test/faults/proof.ts"],
};

/**
 * Makes the checkout at `root` ready to run and returns the Node.js to run it with.
 * @param {string} root
 * @returns {Promise<string>}
 */
async function prepare(root) {
  const stamp = readStamp(root);
  if (stamp !== undefined) {
    const native = ensureNative(root, stamp.node, stamp);
    if (native !== stamp.native) writeStamp(root, { ...stamp, native });
    return stamp.node;
  }
  return withLock(root, async () => {
    await ensureDependencies(root);
    const node = ensurePinnedNode(root);
    writeStamp(root, { node, native: ensureNative(root, node, undefined) });
    return node;
  });
}

async function main() {
  const root = resolve(fileURLToPath(import.meta.url), "../..");
  const command = process.argv[2] ?? "";
  const major = Number.parseInt(process.versions.node, 10);
  if (major < nodeMajorMin) {
    throw new BootstrapError(
      `Cannot run Meridian: Node.js is ${process.versions.node}, expected ${nodeMajorMin} or newer`,
    );
  }
  // `prepare` prints the Node.js to use, for a shell that wants to replace itself by it.
  if (command === "prepare") {
    process.stdout.write(`${await prepare(root)}\n`);
    return;
  }
  const entry = entries[command];
  if (entry === undefined) {
    const known = ["prepare", ...Object.keys(entries)].join(", ");
    throw new BootstrapError(`Cannot run "${command}": it is no command, expected one of ${known}`);
  }
  const node = await prepare(root);
  const [file = "", ...leading] = entry;
  await runAs(node, [join(root, file), ...leading, ...process.argv.slice(3)]);
}

try {
  await main();
} catch (error) {
  if (!(error instanceof BootstrapError)) throw error;
  process.stderr.write(`${error.message}\n`);
  process.exitCode = 1;
}
