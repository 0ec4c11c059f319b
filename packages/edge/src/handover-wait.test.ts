// SPDX-License-Identifier: Apache-2.0

import assert from "node:assert/strict";
import { fork, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it, type TestContext } from "node:test";
import { fileURLToPath } from "node:url";

import { MeridianError } from "@meridian/core";
import { loadNative } from "@meridian/native";
import { StateDir } from "@meridian/snapshot/disk";

import { SILENT_LOGGER } from "./edge-logger.ts";
import { holdFolder, takeFolderBack, takeOverFolder } from "./handover-wait.ts";

const loaded = loadNative();
const noNative = loaded.kind === "missing" ? loaded.reason : false;
const HOLDER = fileURLToPath(new URL("transport-testing/folder-holder.ts", import.meta.url));

interface Held {
  readonly path: string;
  readonly directory: StateDir;
  readonly holder: ChildProcess;
}

/** A folder that another process holds. */
async function heldFolder(t: TestContext): Promise<Held> {
  const folder = mkdtempSync(join(tmpdir(), "meridian-held-"));
  const path = join(folder, "handover.sock");
  const holder = fork(HOLDER, [folder, path]);
  t.after(() => {
    holder.kill("SIGKILL");
    rmSync(folder, { recursive: true });
  });
  await once(holder, "message");
  return { path, directory: new StateDir(folder), holder };
}

/** Resolves when it is said that the folder is waited for. */
function waitingLogger(): { logger: typeof SILENT_LOGGER; waits: Promise<void> } {
  const { promise, resolve } = Promise.withResolvers<void>();
  return { logger: { ...SILENT_LOGGER, info: () => resolve() }, waits: promise };
}

describe("takeOverFolder()", { timeout: 60_000 }, () => {
  it("finds nothing where nobody holds the folder, or there is none", async (t) => {
    const folder = mkdtempSync(join(tmpdir(), "meridian-held-"));
    t.after(() => rmSync(folder, { recursive: true }));
    for (const name of ["", "none"]) {
      const directory = new StateDir(join(folder, name));
      const path = join(folder, name, "handover.sock");
      assert.equal(await takeOverFolder({ path, directory, logger: SILENT_LOGGER }), undefined);
    }
  });

  it("waits until a process that starts offers its sockets", { skip: noNative }, async (t) => {
    const { holder, ...held } = await heldFolder(t);
    const { logger, waits } = waitingLogger();
    const taken = takeOverFolder({ ...held, logger });
    await waits;
    holder.send("offer");
    const takeover = await taken;
    assert.equal(takeover?.sockets.length, 2);
    const ended = once(holder, "exit");
    await takeover?.finish();
    assert.deepEqual(await ended, [0, null]);
  });

  it("waits until a process that ends has ended", async (t) => {
    const { holder, ...held } = await heldFolder(t);
    const { logger, waits } = waitingLogger();
    const taken = takeOverFolder({ ...held, logger });
    await waits;
    holder.kill("SIGKILL");
    assert.equal(await taken, undefined);
    held.directory.lock();
  });

  it("waits until another process that was to take over is done", { skip: noNative }, async (t) => {
    const { holder, ...held } = await heldFolder(t);
    holder.send("offer");
    const first = await takeOverFolder({ ...held, logger: SILENT_LOGGER });
    const { logger, waits } = waitingLogger();
    const second = takeOverFolder({ ...held, logger });
    await waits;
    first?.abandon();
    const takeover = await second;
    assert.equal(takeover?.sockets.length, 2);
    takeover?.abandon();
  });

  it("ends its wait where it is told to end", async (t) => {
    const { holder: _, ...held } = await heldFolder(t);
    const { logger, waits } = waitingLogger();
    const stop = new AbortController();
    const taken = takeOverFolder({ ...held, logger, signal: stop.signal });
    await waits;
    stop.abort();
    await assert.rejects(taken, { code: "EDGE_HANDOVER_INTERRUPTED" });
  });

  it("refuses where the folder stays held", async (t) => {
    const { holder, ...held } = await heldFolder(t);
    const taken = takeOverFolder({ ...held, logger: SILENT_LOGGER, waitMsMax: 300 });
    await assert.rejects(taken, {
      code: "STATE_LOCKED",
      message:
        `Cannot replace process ${holder.pid}: it holds the state folder "${held.directory.path}", and neither handed its sockets over nor ` +
        "ended within 0.3 s; stop it, or give another --state",
    });
  });

  it(
    "refuses where it hands over to a third one for all that time",
    { skip: noNative },
    async (t) => {
      const { holder, ...held } = await heldFolder(t);
      holder.send("offer");
      const first = await takeOverFolder({ ...held, logger: SILENT_LOGGER });
      const second = takeOverFolder({ ...held, logger: SILENT_LOGGER, waitMsMax: 300 });
      await assert.rejects(second, { code: "STATE_LOCKED" });
      first?.abandon();
    },
  );
});

describe("holdFolder()", { timeout: 60_000 }, () => {
  it("waits for the process that was sooner to take what another one left", async (t) => {
    const { path, directory, holder } = await heldFolder(t);
    const rival = new StateDir(directory.path);
    const options = { path, logger: SILENT_LOGGER };
    const taken = [directory, rival].map((one) =>
      holdFolder({ ...options, directory: one }, () => {
        one.lock();
        return one;
      }),
    );
    holder.kill("SIGKILL");
    const first = await Promise.race(taken);
    first.made.unlock();
    const both = await Promise.all(taken);
    assert.deepEqual(new Set(both.map(({ made }) => made)), new Set([directory, rival]));
  });

  it("asks again where it was not the first, and says what else fails", async (t) => {
    const { path, directory, holder } = await heldFolder(t);
    const ended = once(holder, "exit");
    holder.kill("SIGKILL");
    await ended;
    const codes = ["STATE_LOCKED", "STATE_LOCKED", "STATE_UNUSABLE"] as const;
    let tries = 0;
    const held = holdFolder({ path, directory, logger: SILENT_LOGGER }, () => {
      tries += 1;
      throw new MeridianError(codes[tries - 1] ?? "STATE_UNUSABLE", "user", "Cannot lock");
    });
    await assert.rejects(held, { code: "STATE_UNUSABLE" });
    assert.equal(tries, 3);
  });
});

describe("takeFolderBack()", { timeout: 60_000 }, () => {
  it("takes it when the process that took it has ended", async (t) => {
    const { holder, directory } = await heldFolder(t);
    const taken = takeFolderBack(directory, SILENT_LOGGER, () => true);
    assert.equal(directory.holder(), holder.pid);
    holder.kill("SIGKILL");
    await taken;
    assert.equal(directory.holder(), process.pid);
  });
});
