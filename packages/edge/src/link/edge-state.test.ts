// SPDX-License-Identifier: Apache-2.0

import assert from "node:assert/strict";
import { hash } from "node:crypto";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { setImmediate as nextTurn } from "node:timers/promises";
import { makeManifest, type Manifest } from "@meridian/snapshot";
import type { EdgeLogger } from "../edge-logger.ts";
import { EdgeState } from "./edge-state.ts";

const RETRY_MS = 5000;
const PRUNE_MS = 2000;

function scene(t: TestContext): {
  folder: string;
  state: EdgeState;
  log: string[];
  /** Sections that are not what their names say. */
  wrong: string[];
} {
  const folder = mkdtempSync(join(tmpdir(), "meridian-edge-state-"));
  for (const name of ["sections", "history"]) mkdirSync(join(folder, name));
  const log: string[] = [];
  const note = (message: string): void => void log.push(message);
  const logger: EdgeLogger = { info: note, warn: note, error: note };
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const wrong: string[] = [];
  const state = new EdgeState(folder, logger, (name) => wrong.push(name));
  t.after(() => {
    state.close();
    rmSync(folder, { recursive: true });
  });
  return { folder, state, log, wrong };
}

/** A disk that takes no section until the function that this returns is called. */
function full(folder: string): () => void {
  renameSync(join(folder, "sections"), join(folder, "away"));
  return () => renameSync(join(folder, "away"), join(folder, "sections"));
}

function manifestOf(revision: number, names: readonly string[]): Manifest {
  const sections = names.map((name) => ({
    kind: 1,
    key: "0".repeat(16),
    name: nameOf(name),
    bytes: 1,
  }));
  return makeManifest(revision, 1, sections, 1);
}

function nameOf(letter: string): string {
  return letter.repeat(64);
}

const inMemory = (name: string): Uint8Array => Buffer.from(name.slice(0, 1));

function newest(state: EdgeState): number | string {
  const manifest = state.store.manifest("manifest.json");
  return typeof manifest === "string" ? manifest : manifest.revision;
}

test("keep() tries again what the disk did not take, with sections from memory", async (t) => {
  const { folder, state, log } = scene(t);
  await state.keep(manifestOf(1, ["a"]), inMemory);
  assert.deepEqual([newest(state), log], [1, []]);
  const empty = full(folder);
  state.writeSection(nameOf("b"), inMemory("b"));
  await state.keep(manifestOf(2, ["a", "b"]), inMemory);
  t.mock.timers.tick(RETRY_MS);
  assert.equal(newest(state), 1, "the one before is still there");
  assert.equal(
    log.filter((line) => line === "Cannot keep revision 2 in the state folder").length,
    1,
  );
  empty();
  t.mock.timers.tick(RETRY_MS);
  assert.equal(newest(state), 2);
  assert.ok(existsSync(join(folder, "sections", nameOf("b"))));
  assert.equal(log.at(-1), "The state folder has the revision after all");
});

test("a section that was made of another one and is not what its name says is told of, and kept until the right one is there", async (t) => {
  const { folder, state, log, wrong } = scene(t);
  const whole = Buffer.from("what it is made of");
  const [base, good] = [hash("sha256", whole), hash("sha256", "good")];
  state.writeSection(base, whole);
  const source = { base, delta: Uint8Array.of(1) };
  state.writeSection(good, Buffer.from("good"), source);
  state.writeSection(nameOf("c"), Buffer.from("bad"), source);
  const sections = [base, good, nameOf("c")].map((name) => ({
    name,
    kind: 1,
    key: "0".repeat(16),
    bytes: 1,
  }));
  await state.keep(makeManifest(1, 1, sections, 1), () => assert.fail("all are there"));
  const files = (): string[] => readdirSync(join(folder, "sections")).toSorted();
  assert.deepEqual(files(), [base, `${good}.delta`, `${nameOf("c")}.delta`].toSorted());
  t.mock.timers.tick(PRUNE_MS);
  const endMs = performance.now() + 30_000;
  while (wrong.length === 0 && performance.now() < endMs) await nextTurn();
  assert.deepEqual(wrong, [nameOf("c")]);
  assert.ok(files().includes(`${nameOf("c")}.delta`) && files().includes(good));
  state.writeSection(nameOf("c"), Buffer.from("c"));
  assert.ok(!files().includes(`${nameOf("c")}.delta`) && files().includes(nameOf("c")));
  assert.match(log.join(), /Cannot keep section c/);
});

test("keep() of a later revision takes the place of one that is tried again", async (t) => {
  const { folder, state, log } = scene(t);
  const empty = full(folder);
  state.writeSection(nameOf("b"), inMemory("b"));
  await state.keep(manifestOf(2, ["b"]), inMemory);
  empty();
  // Its section came with the one before.
  await state.keep(manifestOf(3, ["b"]), inMemory);
  assert.equal(newest(state), 3);
  const lines = log.length;
  t.mock.timers.tick(2 * RETRY_MS);
  assert.deepEqual([newest(state), log.length], [3, lines]);
});
