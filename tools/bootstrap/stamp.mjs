// SPDX-License-Identifier: Apache-2.0

// The stamp says that this checkout was made ready, and for what: the lock file's hash, this platform, and the pinned
// Node.js as it was when it last ran. It lives in node_modules, so that it goes when they go.

import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, renameSync, statSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import process from "node:process";

/**
 * @typedef {object} Ready
 * @property {string} node absolute path of the Node.js to run with
 * @property {string} native fingerprint of the native add-on's inputs when it was last built
 */

/**
 * @param {string} root
 * @returns {string}
 */
export function stampPath(root) {
  return join(root, "node_modules/.meridian-ready.json");
}

/**
 * The stamp of this checkout, or undefined where something may be missing or old.
 * @param {string} root
 * @returns {Ready | undefined}
 */
export function readStamp(root) {
  try {
    const stamp = JSON.parse(readFileSync(stampPath(root), "utf8"));
    if (stamp.inputs !== inputs(root) || stamp.nodeFile !== fileMark(stamp.node)) return undefined;
    return { node: String(stamp.node), native: String(stamp.native) };
  } catch {
    return undefined;
  }
}

/**
 * @param {string} root
 * @param {Ready} ready
 * @returns {void}
 */
export function writeStamp(root, ready) {
  const path = stampPath(root);
  const stamp = { ...ready, inputs: inputs(root), nodeFile: fileMark(ready.node) };
  mkdirSync(dirname(path), { recursive: true });
  // Written beside and renamed, so that a second process never reads half of it.
  const temporary = `${path}.${process.pid}`;
  writeFileSync(temporary, `${JSON.stringify(stamp, undefined, 2)}\n`);
  renameSync(temporary, path);
}

/** @param {string} root */
function inputs(root) {
  const lock = readFileSync(join(root, "package-lock.json"));
  const hash = createHash("sha256").update(lock).digest("hex");
  return `${hash} ${process.platform} ${process.arch} ${root}`;
}

/** @param {string} path */
function fileMark(path) {
  const { size, mtimeMs } = statSync(path);
  return `${size} ${mtimeMs}`;
}
