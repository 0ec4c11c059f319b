// SPDX-License-Identifier: Apache-2.0

// Builds the native add-on by native/build.mjs, which prints one line and succeeds without a compiler, too. It is run
// again when its sources, its output or the compilers on the PATH are not what they were.

import { spawnSync } from "node:child_process";
import { accessSync, constants, existsSync, readdirSync, statSync } from "node:fs";
import { delimiter, join } from "node:path";
import process from "node:process";
import { BootstrapError } from "./bootstrap-error.mjs";

const compilers = ["cc", "gcc", "clang"];

/**
 * Builds where that is due; returns the fingerprint to remember.
 * @param {string} root
 * @param {string} node
 * @param {{ native: string } | undefined} last
 * @returns {string}
 */
export function ensureNative(root, node, last) {
  const script = join(root, "native/build.mjs");
  if (!existsSync(script)) return "absent";
  if (last !== undefined && last.native === fingerprint(root)) return last.native;
  // Its line goes to standard error: standard output belongs to the command that follows.
  const { status, error } = spawnSync(node, [script], { cwd: root, stdio: ["ignore", 2, 2] });
  if (status !== 0) {
    const reason = error?.message ?? `native/build.mjs ended with code ${status}`;
    throw new BootstrapError(`Cannot build the native add-on: ${reason}`);
  }
  return fingerprint(root);
}

/**
 * @param {string} root
 * @returns {string}
 */
export function fingerprint(root) {
  const folder = join(root, "native");
  const marks = ["", "src", "build"].flatMap((name) => marksOf(join(folder, name)));
  return [`CC=${process.env["CC"] ?? ""}`, ...compilersOnPath(), ...marks].join(" ");
}

/** @param {string} folder */
function marksOf(folder) {
  if (!existsSync(folder)) return [];
  return readdirSync(folder)
    .filter((name) => /\.(c|h|mjs|node)$/.test(name))
    .toSorted()
    .map((name) => {
      const { size, mtimeMs } = statSync(join(folder, name));
      return `${name}:${size}:${mtimeMs}`;
    });
}

function compilersOnPath() {
  const folders = (process.env["PATH"] ?? "").split(delimiter);
  return compilers.filter((name) => folders.some((folder) => isExecutable(join(folder, name))));
}

/** @param {string} path */
function isExecutable(path) {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
