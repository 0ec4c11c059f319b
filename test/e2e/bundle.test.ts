// SPDX-License-Identifier: Apache-2.0

// The command as it is installed: every thread and child of a server is found where the bundle has it.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { test } from "node:test";
import { allClients, ask } from "./ask.ts";
import { plainDocuments } from "./documents.ts";
import { ServerProcess, freePort, runProgram, temporaryFolder } from "./process.ts";

const root = resolve(import.meta.dirname, "../..");

test("a bundle compiles, answers, keeps what it served, and answers that again", async (t) => {
  const folder = temporaryFolder(t);
  const bundle = join(folder, "bundle");
  execFileSync(process.execPath, [join(root, "tools/bundle.ts"), bundle], { stdio: "pipe" });
  // What comes with it is found, too.
  const played = await runProgram(join(bundle, "app/main.js"), ["simulate", "one-endpoint-dies"]);
  assert.deepEqual([played.code, played.stderr], [0, ""]);
  const files = join(folder, "zone.yaml");
  writeFileSync(files, plainDocuments("192.0.2.1"));
  const port = await freePort();
  const program = join(bundle, "app/main.js");
  const setup = { files, stateDir: join(folder, "state"), port, program };
  const askAll = async (): Promise<void> => {
    for (const { client } of await allClients(t, port))
      assert.deepEqual(await ask(client, "www.e2e.example", "A"), ["192.0.2.1"]);
  };
  const server = await ServerProcess.start(t, setup);
  await askAll();
  assert.equal(await server.stop(), 0);
  // Broken files: what is on disk is all that there is.
  writeFileSync(files, "kind: Nonsense");
  const again = await ServerProcess.start(t, setup);
  await askAll();
  assert.equal(await again.stop(), 0);
});
