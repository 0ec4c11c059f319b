// SPDX-License-Identifier: Apache-2.0

// The promise of the edge, proved by a bundler that follows every import: what it loads is this repository's own code
// and Node.js itself.

import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { build } from "esbuild";
import { root } from "./repository.ts";

const entries = [
  "packages/edge/src/index.ts",
  "packages/edge/src/worker.ts",
  "apps/meridian/src/edge-entry.ts",
];

/** Folders that an edge may hold code of. */
const ownFolders = /^(packages\/(core|dns|snapshot|health|edge)|native|apps\/meridian\/src)\//;

test("an edge process holds no third-party module, and none of the control plane", async () => {
  const present = entries.filter((entry) => existsSync(join(root, entry)));
  assert.deepEqual(present, entries);
  const { metafile } = await build({
    absWorkingDir: root,
    entryPoints: entries,
    bundle: true,
    write: false,
    metafile: true,
    outdir: ".build/edge-bundle",
    platform: "node",
    format: "esm",
    target: "node24",
    loader: { ".node": "empty" },
    logLevel: "silent",
  });
  const foreign = Object.keys(metafile.inputs).filter((path) => !ownFolders.test(path));
  assert.deepEqual(foreign, []);
  const external = Object.values(metafile.outputs)
    .flatMap((output) => output.imports)
    .filter(({ external: isExternal, path }) => isExternal === true && !path.startsWith("node:"))
    .map(({ path }) => path);
  assert.deepEqual(external, []);
});
