// SPDX-License-Identifier: Apache-2.0

// What outlives the process: the snapshot and the overlay on disk.

import assert from "node:assert/strict";
import { createSocket } from "node:dgram";
import { readFileSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { parseManifest } from "@meridian/snapshot";
import { addressesIn, queryFor } from "./ask.ts";
import { failoverDocuments, plainDocuments, type Pair } from "./documents.ts";
import {
  EndpointProcess,
  ServerProcess,
  busyFactor,
  leastMs,
  freePort,
  meridian,
  temporaryFolder,
  until,
  type ServerSetup,
} from "./process.ts";

/** From the start of the process to its first good answer (design §12; the fault tests). */
const ANSWER_MS_MAX = 1000;
const ATTEMPTS_MAX = 20;
const OVERLAY_MS_MAX = 1000;
const LOOK_MS_MAX = 60_000;

test("after kill -9 the answers come from disk within a second, and the verdicts with them", async (t) => {
  const { setup, port, pair } = await setUpPair(t);
  const server = await ServerProcess.start(t, setup);
  await untilAnswer(port, [pair.secondary]);
  // The overlay is on disk at most a second after a change (design §7).
  await new Promise((resolve) => {
    setTimeout(resolve, OVERLAY_MS_MAX);
  });
  writeFileSync(setup.files, "kind: [broken");
  let again = server;
  const bestMs = await leastMs(ANSWER_MS_MAX, ATTEMPTS_MAX, async () => {
    await again.kill();
    again = ServerProcess.spawn(t, setup);
    await untilAnswer(port, [pair.secondary]);
    return performance.now() - again.startedAt;
  });
  // Other tests may take the processors all the while.
  assert.ok(bestMs <= ANSWER_MS_MAX * busyFactor(), `answered after ${bestMs} ms`);
  await again.whenLogged(/"msg":"Answering"/);
  assert.match(again.log, /Serving the stored revision/);
  // The files are read behind the answers.
  await again.whenLogged(/Refused the files: the last good revision stays/);
});

test("a torn section falls back to the newest snapshot that is whole", async (t) => {
  const folder = temporaryFolder(t);
  const files = join(folder, "zone.yaml");
  const port = await freePort();
  const setup = { files, stateDir: join(folder, "state"), port };
  writeFileSync(files, plainDocuments("192.0.2.1"));
  const server = await ServerProcess.start(t, setup);
  writeFileSync(files, plainDocuments("192.0.2.2"));
  await untilAnswer(port, ["192.0.2.2"]);
  await until(
    "both on disk",
    LOOK_MS_MAX,
    () => fileHas(setup, "manifest.1.json") && fileHas(setup, "manifest.json"),
  );
  await server.kill();
  writeFileSync(files, "kind: [broken");
  const [newest, previous] = ["manifest.json", "manifest.1.json"].map((name) =>
    sectionsOf(join(setup.stateDir, name)),
  );
  const torn = [...(newest ?? [])].find((name) => previous?.has(name) === false);
  assert.ok(torn !== undefined, "the two revisions differ");
  truncateSync(join(setup.stateDir, "sections", torn), 100);
  const verified = await meridian("snapshot", "verify", "--state", setup.stateDir);
  assert.equal(verified.code, 1);
  assert.match(verified.stdout, /manifest\.json: not whole[^]*manifest\.1\.json: whole/);
  const again = await ServerProcess.start(t, setup);
  await untilAnswer(port, ["192.0.2.1"]);
  assert.match(again.log, /Passed over a stored snapshot that is not whole/);
});

test("a locked state folder and a taken port are one clear sentence each", async (t) => {
  const folder = temporaryFolder(t);
  const files = join(folder, "zone.yaml");
  const port = await freePort();
  const stateDir = join(folder, "state");
  writeFileSync(files, plainDocuments("192.0.2.1"));
  await ServerProcess.start(t, { files, stateDir, port });
  const listen = ["--http", "none", "--listen", `127.0.0.1:${port}`];
  const locked = await meridian("up", "-f", files, "--state", stateDir, ...listen);
  assert.equal(locked.code, 3);
  assert.match(locked.stderr, /^Cannot use the state folder ".*": process \d+ holds it[^\n]*\n$/);
  const other = ["--log-level", "silent", "--state", join(folder, "other")];
  const taken = await meridian("up", "-f", files, ...other, ...listen);
  assert.equal(taken.code, 3);
  assert.match(
    taken.stderr,
    /^Cannot listen on 127\.0\.0\.1:\d+ \(UDP\): the address is in use\n$/,
  );
});

/** A pair of which only the second endpoint is there. */
async function setUpPair(
  t: TestContext,
): Promise<{ setup: ServerSetup; port: number; pair: Pair }> {
  const folder = temporaryFolder(t);
  const pair: Pair = {
    port: await freePort(),
    primary: "127.0.0.31",
    secondary: "127.0.0.32",
    intervalMs: 200,
    timeoutMs: 100,
  };
  await new EndpointProcess(t, pair.secondary, pair.port).start();
  const files = join(folder, "documents.yaml");
  writeFileSync(files, failoverDocuments(pair));
  const port = await freePort();
  const setup = { files, stateDir: join(folder, "state"), port };
  return { setup, port, pair };
}

/** Waits for these addresses; a server that is not there yet refuses or is silent, one without a snapshot says SERVFAIL. */
async function untilAnswer(port: number, addresses: readonly string[]): Promise<void> {
  await until(`the answer ${addresses.join(", ")}`, LOOK_MS_MAX, async () => {
    const found = await askOnce(port);
    return found.join(" ") === addresses.join(" ");
  });
}

/** One question over a socket of its own, which is given up after a moment. */
async function askOnce(port: number): Promise<string[]> {
  const { promise, resolve } = Promise.withResolvers<string[]>();
  const socket = createSocket("udp4");
  const timer = setTimeout(() => resolve([]), 50);
  socket.on("error", () => resolve([]));
  socket.on("message", (bytes) => resolve(addressesIn(bytes)));
  socket.connect(port, "127.0.0.1", () => socket.send(queryFor("www.e2e.example", "A")));
  const found = await promise;
  clearTimeout(timer);
  socket.close();
  return found;
}

function fileHas({ stateDir }: ServerSetup, name: string): boolean {
  try {
    return readFileSync(join(stateDir, name)).length > 0;
  } catch {
    return false;
  }
}

/** Names of the sections of a manifest. */
function sectionsOf(path: string): Set<string> {
  const manifest = parseManifest(readFileSync(path, "utf8"));
  assert.ok(typeof manifest !== "string", "the manifest can be read");
  return new Set(manifest.sections.map(({ name }) => name));
}
