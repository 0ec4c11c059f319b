// SPDX-License-Identifier: Apache-2.0

// Installs what package-lock.json names, without running any package's install script: the lock file's hashes then
// cover everything that runs, the pinned Node.js included, and a host that forbids install scripts is no exception.

import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { BootstrapError } from "./bootstrap-error.mjs";
import { withProgress } from "./progress.mjs";

const npmArguments = [
  "ci",
  "--ignore-scripts",
  // Whatever NODE_ENV or the user's configuration omits: the pinned Node.js is an optional dependency.
  "--include=dev",
  "--include=optional",
  "--loglevel=error",
  "--no-audit",
  "--no-fund",
  "--no-progress",
  // A host without network is told so in seconds, not in npm's two minutes.
  "--fetch-retries=3",
  "--fetch-retry-factor=2",
  "--fetch-retry-mintimeout=500",
  "--fetch-retry-maxtimeout=5000",
];

/** What npm's error codes mean for the person who typed the command. */
const reasons = /** @type {const} */ ([
  [
    /\b(ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ETIMEDOUT|ENETUNREACH|EHOSTUNREACH|ERR_SOCKET_TIMEOUT)\b/,
    "the npm registry cannot be reached; check the network and the proxy, then run the command again",
  ],
  [/\b(ENOSPC)\b/, "the disk is full; free about 1 GiB, then run the command again"],
  [/\b(EACCES|EPERM|EROFS)\b/, "node_modules cannot be written; check who owns the checkout"],
  [
    /\b(EINTEGRITY)\b/,
    "a package does not match its hash in package-lock.json; empty npm's cache and try again",
  ],
]);

/**
 * Runs `npm ci` unless node_modules already is what package-lock.json says.
 * @param {string} root
 * @returns {Promise<void>}
 */
export async function ensureDependencies(root) {
  if (areInstalled(root)) return;
  await withProgress("Installing dependencies", () => install(root));
}

/**
 * True where npm's record of the installed tree has every package of the lock file at its version, as after a
 * `npm ci` typed by hand. Packages for other platforms are not in that record.
 * @param {string} root
 * @returns {boolean}
 */
export function areInstalled(root) {
  try {
    const wanted = packagesOf(join(root, "package-lock.json"));
    const installed = packagesOf(join(root, "node_modules/.package-lock.json"));
    return Object.entries(wanted).every(([path, entry]) => {
      if (path === "" || !path.includes("node_modules/")) return true;
      const found = installed[path];
      if (found === undefined) return entry.optional === true && !isForHost(entry);
      return found.version === entry.version;
    });
  } catch {
    return false;
  }
}

/**
 * @typedef {{ version?: string, optional?: boolean, os?: string[], cpu?: string[], libc?: string[] }} LockedPackage
 */

/**
 * @param {string} path
 * @returns {Record<string, LockedPackage>}
 */
function packagesOf(path) {
  return JSON.parse(readFileSync(path, "utf8")).packages;
}

/**
 * True for an optional package that this host certainly wants. One without a platform belongs to another platform's
 * package; which C library the host has is npm's business.
 * @param {LockedPackage} entry
 */
function isForHost(entry) {
  const { os, cpu, libc } = entry;
  if (os === undefined || cpu === undefined || libc !== undefined) return false;
  return os.includes(process.platform) && cpu.includes(process.arch);
}

/** @param {string} root */
async function install(root) {
  const { code, output } = await runNpm(root);
  if (code === 0) return;
  for (const [pattern, reason] of reasons) {
    const match = pattern.exec(output);
    if (match) throw new BootstrapError(`Cannot install dependencies (${match[1]}): ${reason}`);
  }
  const said = output.trim().split("\n").slice(0, 20).join("\n");
  throw new BootstrapError(`Cannot install dependencies: npm ci failed with code ${code}\n${said}`);
}

/**
 * @param {string} root
 * @returns {Promise<{ code: number, output: string }>}
 */
function runNpm(root) {
  // Under `npm start` the very npm that runs us; from a shell the one on the PATH.
  const npm = process.env["npm_execpath"];
  const isScript = npm?.endsWith(".js") ?? false;
  const command = isScript ? process.execPath : "npm";
  const leading = isScript && npm !== undefined ? [npm] : [];
  return new Promise((resolve, reject) => {
    const child = spawn(command, [...leading, ...npmArguments], {
      cwd: root,
      stdio: ["ignore", "pipe", "pipe"],
    });
    let output = "";
    const collect = (/** @type {Buffer} */ chunk) => {
      output += chunk.toString();
    };
    child.stdout.on("data", collect);
    child.stderr.on("data", collect);
    child.on("error", () => {
      reject(
        new BootstrapError(
          "Cannot install dependencies: npm is not on the PATH, expected the npm that comes with Node.js",
        ),
      );
    });
    child.on("close", (code) => {
      resolve({ code: code ?? 1, output });
    });
  });
}
