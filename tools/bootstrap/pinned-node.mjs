// SPDX-License-Identifier: Apache-2.0

// The pinned Node.js. The npm package `node` carries no binary: its install script fetches the platform's package and
// links it. The platform's package is in our lock file, so that nothing is fetched beside it, and the link is made here.

import { execFileSync } from "node:child_process";
import {
  copyFileSync,
  existsSync,
  linkSync,
  mkdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
} from "node:fs";
import { dirname, join } from "node:path";
import process from "node:process";
import { BootstrapError } from "./bootstrap-error.mjs";

/** The oldest Node.js that runs Meridian where the pinned one cannot. */
const hostMajorMin = 24;

/**
 * Absolute path of a Node.js that runs and is the pinned version; the host's own where it is new enough and the
 * platform has no pinned one (another C library, another processor).
 * @param {string} root
 * @returns {string}
 */
export function ensurePinnedNode(root) {
  const wanted = pinnedVersion(root);
  const pinned = join(root, "node_modules/node/bin/node");
  if (versionOf(pinned) === wanted) {
    relinkCommand(root, pinned);
    return pinned;
  }
  const carrier = carrierOf(root);
  if (carrier !== undefined) {
    link(carrier, pinned);
    relinkCommand(root, pinned);
  }
  const found = versionOf(pinned);
  if (found === wanted) return pinned;
  const platform = `${process.platform}-${process.arch}`;
  if (Number.parseInt(process.versions.node, 10) >= hostMajorMin) {
    process.stderr.write(
      `Using Node.js ${process.versions.node} of this host: Node.js ${wanted} does not run on ${platform}\n`,
    );
    return process.execPath;
  }
  throw new BootstrapError(
    `Cannot run the pinned Node.js on ${platform}: its version is ${found ?? "unknown, as it does not start"}, ` +
      `expected ${wanted}; put Node.js ${hostMajorMin} or newer on the PATH and run the command again`,
  );
}

/** @param {string} root */
function pinnedVersion(root) {
  return JSON.parse(readFileSync(join(root, "package.json"), "utf8")).devDependencies.node;
}

/** @param {string} path */
function versionOf(path) {
  try {
    return execFileSync(path, ["--version"], { encoding: "utf8" }).trim().replace(/^v/, "");
  } catch {
    return undefined;
  }
}

/**
 * The binary inside the platform's package, if that package is installed.
 * @param {string} root
 */
function carrierOf(root) {
  const prefix = process.platform === "darwin" && process.arch === "arm64" ? "node-bin" : "node";
  const path = join(root, `node_modules/${prefix}-${process.platform}-${process.arch}/bin/node`);
  return existsSync(path) ? path : undefined;
}

/**
 * A hard link where the file system allows it: the binary has 150 MB.
 * @param {string} from
 * @param {string} to
 */
function link(from, to) {
  mkdirSync(dirname(to), { recursive: true });
  rmSync(to, { force: true });
  try {
    linkSync(from, to);
  } catch {
    copyFileSync(from, to);
  }
}

/**
 * npm linked the command `node` when its target did not exist yet, or to another package's.
 * @param {string} root
 * @param {string} pinned
 */
function relinkCommand(root, pinned) {
  const command = join(root, "node_modules/.bin/node");
  if (versionOf(command) === versionOf(pinned)) return;
  mkdirSync(dirname(command), { recursive: true });
  rmSync(command, { force: true });
  symlinkSync("../node/bin/node", command);
}
