// SPDX-License-Identifier: Apache-2.0

/**
 * Builds the add-on: `node native/build.mjs`. Plain JavaScript for Node 20 and later, since it runs before anything is
 * installed but the headers. It compiles only when a source, a header or this file changed (one SHA-256 over all of
 * them, kept beside the result), prints one line, and exits 0 also where it cannot build: the edge then runs over
 * node:dgram. Node-API is the same for all versions of Node, so the Node that loads the result need not be this one.
 */

import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const folder = dirname(fileURLToPath(import.meta.url));
const sourceFolder = join(folder, "src");
const target = join(folder, "build", "meridian.node");
const stamp = join(folder, "build", "meridian.sha256");
const FLAGS = [
  "-std=gnu11",
  "-O2",
  "-shared",
  "-fPIC",
  "-fvisibility=hidden",
  "-Wall",
  "-Wextra",
  "-Wl,--gc-sections",
];

console.log(build());

/** Builds if needed and says in one line what happened. */
function build() {
  if (process.platform !== "linux") {
    return `native: the add-on is for Linux, this is ${process.platform}; DNS runs over node:dgram`;
  }
  const headers = findHeaders();
  if (headers === undefined) {
    return "native: the package node-api-headers is not installed; DNS runs over node:dgram";
  }
  const sources = readdirSync(sourceFolder)
    .filter((name) => name.endsWith(".c") || name.endsWith(".h"))
    .sort()
    .map((name) => join(sourceFolder, name));
  const hash = hashFiles([fileURLToPath(import.meta.url), ...sources, ...listHeaders(headers)]);
  if (existsSync(target) && existsSync(stamp) && readFileSync(stamp, "utf8") === hash) {
    return "native: up to date";
  }
  // An add-on of other sources would be worse than none, should this build fail.
  rmSync(target, { force: true });
  const units = sources.filter((path) => path.endsWith(".c"));
  return compile(["-I", headers, ...units], hash);
}

/** Tries each compiler; the result is moved into place only when it is whole, so a running process keeps its own. */
function compile(inputs, hash) {
  mkdirSync(dirname(target), { recursive: true });
  const compilers = process.env.CC ? [process.env.CC] : ["cc", "gcc", "clang"];
  const partial = `${target}.${process.pid}`;
  for (const compiler of compilers) {
    const result = spawnSync(compiler, [...FLAGS, "-o", partial, ...inputs], { encoding: "utf8" });
    if (result.error !== undefined) continue;
    if (result.status !== 0) {
      const first =
        result.stderr.split("\n").find((line) => line.includes("error")) ?? result.stderr.trim();
      return `native: ${compiler} failed (${first.trim()}); DNS runs over node:dgram`;
    }
    if (result.stderr !== "") process.stderr.write(result.stderr);
    renameSync(partial, target);
    writeFileSync(stamp, hash);
    return `native: built with ${compiler}`;
  }
  return `native: no C compiler found (tried ${compilers.join(", ")}); DNS runs over node:dgram`;
}

function findHeaders() {
  try {
    const manifest = createRequire(import.meta.url).resolve("node-api-headers/package.json");
    const include = join(dirname(manifest), "include");
    return existsSync(join(include, "node_api.h")) ? include : undefined;
  } catch {
    return undefined;
  }
}

function listHeaders(include) {
  return readdirSync(include)
    .filter((name) => name.endsWith(".h"))
    .sort()
    .map((name) => join(include, name));
}

function hashFiles(paths) {
  const hash = createHash("sha256").update(`${process.arch}\n`);
  for (const path of paths) hash.update(readFileSync(path));
  return hash.digest("hex");
}
