// SPDX-License-Identifier: Apache-2.0

import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import { makeManifest, type Manifest } from "@meridian/snapshot";
import { RevisionKeeper, unkeptProblems, type KeptSections } from "./revision-keeper.ts";

const FULL = "ENOSPC: no space left on device, write";

/** A disk that takes what it is told to, and what it was asked: `REVISION: SECTIONS`. */
class Disk {
  readonly asked: string[] = [];
  readonly said: string[] = [];
  isFull = true;
  missing: string[] = [];
  readonly keeper: RevisionKeeper;
  nowMs = 1000;

  constructor(t: TestContext) {
    t.mock.timers.enable({ apis: ["setTimeout"] });
    const say = (fields: object, message: string): void => {
      this.said.push(`${message} ${JSON.stringify(fields)}`);
    };
    this.keeper = new RevisionKeeper({
      put: (manifest, written) => this.#put(manifest, written),
      missing: () => this.missing.map((name) => ({ name, content: new Uint8Array(1) })),
      logger: { info: say, warn: say, error: say },
      wallMs: () => this.nowMs,
    });
  }

  #put({ revision }: Manifest, written: KeptSections): Promise<void> {
    this.asked.push(`${revision}: ${written.map(({ name }) => name).join(" ")}`);
    return this.isFull ? Promise.reject(new Error(FULL)) : Promise.resolve();
  }
}

const revision = (number: number): Manifest => makeManifest(number, 1, []);

async function passed(t: TestContext, ms: number): Promise<void> {
  t.mock.timers.tick(ms);
  // What a timer began ends in the turns after it.
  await new Promise((resolve) => {
    setImmediate(resolve);
  });
}

test("what a full disk refuses is tried again, each time later, until it has room", async (t) => {
  const disk = new Disk(t);
  await disk.keeper.keep(revision(7), [{ name: "addresses", content: new Uint8Array(1) }]);
  assert.deepEqual(disk.keeper.unkept, { revision: 7, sinceMs: 1000, reason: FULL });
  assert.deepEqual(unkeptProblems(disk.keeper.unkept), [
    {
      subject: "state folder",
      message: `Cannot keep revision 7, which is served: ${FULL}`,
    },
  ]);
  disk.missing = ["addresses", "pools"];
  for (const pauseMs of [1000, 2000, 4000]) {
    await passed(t, pauseMs - 1);
    const { length } = disk.asked;
    await passed(t, 1);
    assert.equal(disk.asked.length, length + 1, `after ${pauseMs} ms`);
  }
  disk.isFull = false;
  await passed(t, 8000);
  assert.deepEqual(disk.asked, ["7: addresses", ...Array(4).fill("7: addresses pools")]);
  assert.equal(disk.keeper.unkept, undefined);
  assert.deepEqual(unkeptProblems(disk.keeper.unkept), []);
  await passed(t, 3_600_000);
  assert.equal(disk.asked.length, 5);
  assert.deepEqual(disk.said, [
    `Cannot keep revision 7 in the state folder {"reason":"${FULL}"}`,
    'The state folder has the revision after all {"revision":7}',
  ]);
});

test("while some of a revision gets on disk, the rest is not waited for longer", async (t) => {
  const disk = new Disk(t);
  await disk.keeper.keep(revision(7), []);
  disk.missing = ["a", "b"];
  await passed(t, 1000);
  const { asked } = disk;
  await passed(t, 2000);
  assert.equal(asked.length, 3);
  // The next attempt finds that the first of them is there by then.
  const missing = [["a", "b"], ["b"]];
  Object.defineProperty(disk, "missing", { get: () => missing.shift() ?? ["b"] });
  await passed(t, 4000);
  await passed(t, 1000);
  assert.equal(asked.length, 5);
});

test("a later revision takes the place of one that is tried again", async (t) => {
  const disk = new Disk(t);
  await disk.keeper.keep(revision(7), []);
  disk.nowMs = 5000;
  await disk.keeper.keep(revision(8), []);
  assert.deepEqual(disk.keeper.unkept, { revision: 8, sinceMs: 1000, reason: FULL });
  await passed(t, 1000);
  disk.isFull = false;
  await disk.keeper.keep(revision(9), []);
  assert.equal(disk.keeper.unkept, undefined);
  await passed(t, 3_600_000);
  assert.deepEqual(disk.asked, ["7: ", "8: ", "8: ", "9: "]);
});

test("nothing is tried again once it is closed", async (t) => {
  const disk = new Disk(t);
  await disk.keeper.keep(revision(7), []);
  disk.keeper.close();
  await passed(t, 3_600_000);
  assert.deepEqual(disk.asked, ["7: "]);
});
