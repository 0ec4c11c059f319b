// SPDX-License-Identifier: Apache-2.0

// A service manager: the sockets that it passes are answered from, and what is asked while the process restarts is answered after; it is
// told that the process answers, lives and ends.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { closeSync, readSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { loadNative } from "@meridian/native";
import { tcpClient, udpClient } from "../conformance/dns-client.ts";
import { program } from "../program.ts";
import { addressesIn, queryFor } from "./ask.ts";
import { plainDocuments } from "./documents.ts";
import { temporaryFolder, until } from "./process.ts";

const START_MS_MAX = 60_000;
const question = queryFor("www.e2e.example.", "A");
const loaded = loadNative();
const skip = loaded.kind === "loaded" ? false : `no add-on: ${loaded.reason}`;

test(
  "up answers on the sockets that it is passed, and they wait for its successor",
  { skip },
  async (t) => {
    assert.ok(loaded.kind === "loaded");
    const { native } = loaded;
    const folder = temporaryFolder(t);
    const files = join(folder, "zone.yaml");
    writeFileSync(files, plainDocuments("192.0.2.1"));
    const udp = native.openUdp("127.0.0.1", 0, 1, 1 << 20, 50);
    const port = native.socketPort(udp);
    const tcp = native.openTcp("127.0.0.1", port, 1, 16);
    t.after(() => [udp, tcp].forEach((fd) => native.closeSocket(fd)));

    const path = join(folder, "notify");
    const told = toldAt(t, native.openHandover(path));
    const watched = { NOTIFY_SOCKET: path, WATCHDOG_USEC: "100000" };
    const first = await launch(t, files, [udp, tcp], watched);
    await until("the manager hears that it is up, and lives on", START_MS_MAX, () => {
      const signs = told().filter((word) => word === "WATCHDOG=1");
      return signs.length > 2;
    });
    assert.equal(told()[0], "READY=1");
    assert.match(first.log(), new RegExp(`"dns":\\["127.0.0.1:${port}"\\]`));
    for (const client of [await udpClient("127.0.0.1", port), await tcpClient("127.0.0.1", port)]) {
      assert.deepEqual(addressesIn(await client.ask(question)), ["192.0.2.1"]);
      client.close();
    }
    await first.stop();
    assert.equal(told().at(-1), "STOPPING=1");
    assert.equal(told().filter((word) => word === "READY=1").length, 1);

    // Nobody reads now: the query waits in the socket.
    const asker = createSocket("udp4");
    t.after(() => asker.close());
    const answered = once(asker, "message");
    asker.send(question, port, "127.0.0.1");
    await launch(t, files, [udp, tcp]);
    const [bytes]: unknown[] = await answered;
    assert.ok(bytes instanceof Uint8Array);
    assert.deepEqual(addressesIn(bytes), ["192.0.2.1"]);
  },
);

/** What a manager was told on its socket so far. */
function toldAt(t: TestContext, socket: number): () => readonly string[] {
  const words: string[] = [];
  t.after(() => closeSync(socket));
  return () => {
    const bytes = Buffer.alloc(1024);
    for (;;) {
      try {
        words.push(bytes.toString("utf8", 0, readSync(socket, bytes)));
      } catch (error) {
        assert.ok(error instanceof Error && "code" in error && error.code === "EAGAIN");
        return words;
      }
    }
  };
}

interface Launched {
  readonly log: () => string;
  /** Ends it and waits until it is gone. */
  readonly stop: () => Promise<void>;
}

/** Starts `up` as a service manager does: sockets from descriptor 3 on, and LISTEN_PID with the process id that only it knows. */
async function launch(
  t: TestContext,
  files: string,
  sockets: readonly number[],
  env: Readonly<Record<string, string>> = {},
): Promise<Launched> {
  const flags = ["--state", join(files, "../state"), "--http", "none", "--workers", "1"];
  const child = spawn(
    "/bin/sh",
    ["-c", 'LISTEN_PID=$$ exec "$@"', "sh", process.execPath, program, "up", "-f", files, ...flags],
    {
      stdio: ["ignore", "ignore", "pipe", ...sockets],
      env: { ...process.env, ...env, LISTEN_FDS: String(sockets.length) },
    },
  );
  t.after(() => child.kill("SIGKILL"));
  let log = "";
  child.stderr?.on("data", (chunk: Buffer) => {
    log += chunk.toString();
  });
  const gone = once(child, "close");
  await until("it answers", START_MS_MAX, () => {
    assert.equal(child.exitCode, null, log);
    return log.includes('"msg":"Answering"');
  });
  return {
    log: () => log,
    stop: async () => {
      child.kill("SIGTERM");
      await gone;
    },
  };
}
