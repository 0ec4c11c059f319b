// SPDX-License-Identifier: Apache-2.0

import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { test, type TestContext } from "node:test";
import { areInstalled, ensureDependencies } from "./dependencies.mjs";

const { platform, arch } = process;
const otherPlatform = platform === "linux" ? "darwin" : "linux";

type Locked = Readonly<Record<string, object>>;

/** A checkout whose lock file and whose record of the installed tree are as given. */
function checkout(context: TestContext, locked: Locked, installed: Locked | undefined): string {
  const root = mkdtempSync(join(tmpdir(), "meridian-bootstrap-"));
  context.after(() => {
    rmSync(root, { recursive: true });
  });
  const write = (path: string, packages: Locked): void => {
    writeFileSync(join(root, path), JSON.stringify({ lockfileVersion: 3, packages }));
  };
  write("package-lock.json", locked);
  writeFileSync(join(root, "package.json"), JSON.stringify({ name: "x", version: "1.0.0" }));
  if (installed !== undefined) {
    mkdirSync(join(root, "node_modules"));
    write("node_modules/.package-lock.json", installed);
  }
  return root;
}

test("areInstalled() is false where nothing is installed", (context) => {
  const locked = { "node_modules/zod": { version: "4.0.0" } };
  assert.equal(areInstalled(checkout(context, locked, undefined)), false);
});

test("areInstalled() compares versions, not workspaces", (context) => {
  const locked = { "": {}, "packages/core": {}, "node_modules/zod": { version: "4.0.0" } };
  const same = { "node_modules/zod": { version: "4.0.0" } };
  const older = { "node_modules/zod": { version: "3.0.0" } };
  assert.equal(areInstalled(checkout(context, locked, same)), true);
  assert.equal(areInstalled(checkout(context, locked, older)), false);
  assert.equal(areInstalled(checkout(context, locked, {})), false);
});

test("areInstalled() wants the optional packages of this platform, and of no other", (context) => {
  const own = { version: "1.0.0", optional: true, os: [platform], cpu: [arch] };
  const other = { version: "1.0.0", optional: true, os: [otherPlatform], cpu: [arch] };
  const otherLibrary = { ...own, libc: ["musl"] };
  const ofOther = { version: "1.0.0", optional: true };
  assert.equal(areInstalled(checkout(context, { "node_modules/own": own }, {})), false);
  assert.equal(areInstalled(checkout(context, { "node_modules/other": other }, {})), true);
  assert.equal(areInstalled(checkout(context, { "node_modules/musl": otherLibrary }, {})), true);
  assert.equal(areInstalled(checkout(context, { "node_modules/tslib": ofOther }, {})), true);
});

/** Runs `work` with the environment changed, and puts it back. */
async function withEnvironment(
  changes: Readonly<Record<string, string>>,
  work: () => Promise<void>,
): Promise<void> {
  const before = { ...process.env };
  delete process.env["npm_execpath"];
  Object.assign(process.env, changes);
  try {
    await work();
  } finally {
    for (const name of [...Object.keys(changes), "npm_execpath"]) delete process.env[name];
    Object.assign(process.env, before);
  }
}

const locked = { "node_modules/zod": { version: "4.0.0", integrity: "sha512-AA==" } };

test("ensureDependencies() says in one sentence that npm is missing", async (context) => {
  const root = checkout(context, locked, undefined);
  await withEnvironment({ PATH: root }, async () => {
    await assert.rejects(ensureDependencies(root), {
      name: "BootstrapError",
      message:
        "Cannot install dependencies: npm is not on the PATH, expected the npm that comes with Node.js",
    });
  });
});

test("ensureDependencies() says in one sentence that the registry cannot be reached", async (context) => {
  const root = checkout(context, { "": { dependencies: { zod: "4.0.0" } }, ...locked }, undefined);
  writeFileSync(
    join(root, "package.json"),
    JSON.stringify({ name: "x", version: "1.0.0", dependencies: { zod: "4.0.0" } }),
  );
  const unreachable = {
    npm_config_registry: "http://127.0.0.1:1/",
    npm_config_cache: join(root, "cache"),
  };
  await withEnvironment(unreachable, async () => {
    await assert.rejects(ensureDependencies(root), {
      name: "BootstrapError",
      message:
        "Cannot install dependencies (ECONNREFUSED): the npm registry cannot be reached; " +
        "check the network and the proxy, then run the command again",
    });
  });
});
