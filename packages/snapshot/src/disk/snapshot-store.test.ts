// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import {
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { setImmediate as nextTurn } from "node:timers/promises";
import { Pcg32 } from "@meridian/core";
import { writePolicies, writePools } from "../writer.ts";
import { makeManifest } from "../manifest.ts";
import { encodeSectionDelta } from "../section-delta.ts";
import { openSection, Section } from "../section.ts";
import { member, pool } from "../testing/world-fixture.ts";
import { SnapshotStore, manifestSection, type StoredRevision } from "./snapshot-store.ts";
import { StateDir } from "./state-dir.ts";

function makeStore(context: TestContext): { store: SnapshotStore; folder: string } {
  const folder = mkdtempSync(join(tmpdir(), "meridian-store-"));
  const directory = new StateDir(folder);
  directory.lock();
  context.after(() => {
    directory.unlock();
    rmSync(folder, { recursive: true, force: true });
  });
  return { store: new SnapshotStore(folder), folder };
}

function revisionOf(revision: number): StoredRevision {
  const pool = {
    name: `default/p${revision}`,
    members: [],
    answers: 0,
    dial: 1000,
    minHealthy: undefined,
  };
  return { epoch: 2, revision, seed: 7, sections: [writePools([pool]), writePolicies([])] };
}

/** Path of the section that only the newest revision has. */
function newestSection(folder: string, revision: StoredRevision): string {
  return join(folder, "sections", revision.sections[0]?.name ?? "");
}

test("load() gives back what save() kept", (context) => {
  const { store } = makeStore(context);
  const saved = revisionOf(1);
  store.save(saved);
  assert.deepEqual(store.load().stored, saved);
  assert.deepEqual(store.load().refused, []);
  const opened = store.open().stored;
  assert.deepEqual(
    opened?.pack.sections.map((section) => section.copy()),
    saved.sections.map(({ buffer }) => buffer),
  );
});

for (const [name, harm] of [
  ["torn", (path: string): void => writeFileSync(path, readFileSync(path).fill(0, 100))],
  ["truncated", (path: string): void => truncateSync(path, 64)],
  [
    "foreign",
    (path: string): void =>
      writeFileSync(
        path,
        "not a section at all, but long enough to look like one; padded to eight",
      ),
  ],
  ["missing", (path: string): void => rmSync(path)],
] as const) {
  test(`load() falls back to the newest complete manifest where a section is ${name}`, (context) => {
    const { store, folder } = makeStore(context);
    const [first, second] = [revisionOf(1), revisionOf(2)];
    store.save(first);
    store.save(second);
    harm(newestSection(folder, second));
    const { stored, refused } = store.load();
    assert.equal(stored?.revision, 1);
    assert.equal(store.open().stored?.manifest.revision, 1);
    assert.deepEqual(
      refused.map(({ file }) => file),
      ["manifest.json"],
    );
  });
}

test("save() writes a section anew where the file of its name is damaged", (context) => {
  const { store, folder } = makeStore(context);
  const [first, second] = [revisionOf(1), revisionOf(2)];
  store.save(first);
  store.save(second);
  truncateSync(newestSection(folder, second), 64);
  // Another process starts from what is whole, compiles the same documents and keeps them again.
  const next = new SnapshotStore(folder);
  assert.equal(next.load().stored?.revision, 1);
  next.save(second);
  assert.equal(new SnapshotStore(folder).load().stored?.revision, 2);
});

test("load() falls back over a torn manifest", (context) => {
  const { store, folder } = makeStore(context);
  store.save(revisionOf(1));
  store.save(revisionOf(2));
  truncateSync(join(folder, "manifest.json"), 20);
  assert.equal(store.load().stored?.revision, 1);
});

test("verify() names the section whose bytes are not what its name says", (context) => {
  const { store, folder } = makeStore(context);
  const saved = revisionOf(1);
  store.save(saved);
  const manifest = store.manifest("manifest.json");
  assert.ok(typeof manifest === "object");
  assert.deepEqual(store.verify(manifest), []);
  const path = newestSection(folder, saved);
  const bytes = readFileSync(path);
  bytes[bytes.length - 1] = 1;
  writeFileSync(path, bytes);
  assert.match(store.verify(manifest).join("\n"), /has the hash/);
});

test("sections that nothing names are pruned, older revisions are kept for explain", (context) => {
  const { store, folder } = makeStore(context);
  writeFileSync(join(folder, "sections", "f".repeat(64)), "");
  for (let revision = 1; revision <= 5; revision++) store.save(revisionOf(revision));
  assert.ok(!readdirSync(join(folder, "sections")).includes("f".repeat(64)));
  const old = store.loadOld(1);
  assert.ok(typeof old === "object" && old.revision === 1);
});

test("what older revisions share with newer ones counts once; of many the newest thousand are kept", (context) => {
  const { store, folder } = makeStore(context);
  const history = join(folder, "history");
  const shared = revisionOf(1);
  for (let revision = 1; revision <= 3; revision++) store.save({ ...shared, revision });
  assert.equal(readdirSync(history).length, 3);
  const manifest = readFileSync(join(history, "manifest-1.json"));
  for (let revision = 4; revision <= 1005; revision++) {
    writeFileSync(join(history, `manifest-${revision}.json`), manifest);
  }
  const now = Date.now() / 1000;
  for (let revision = 4; revision <= 1005; revision++)
    utimesSync(
      join(history, `manifest-${revision}.json`),
      now - 7200 + revision,
      now - 7200 + revision,
    );
  store.save({ ...shared, revision: 1006 });
  const kept = readdirSync(history);
  assert.equal(kept.length, 1000);
  assert.ok(kept.includes("manifest-1006.json") && !kept.includes("manifest-4.json"));
});

test("what somebody still serves stays, however old it is", (context) => {
  const { store, folder } = makeStore(context);
  for (let revision = 1; revision <= 6; revision++) store.save(revisionOf(revision));
  const lastMonth = Date.now() / 1000 - 30 * 86_400;
  for (let revision = 1; revision <= 6; revision++)
    utimesSync(
      join(folder, "history", `manifest-${revision}.json`),
      lastMonth,
      lastMonth + revision,
    );
  store.prune([], new Set([2]));
  assert.equal(typeof store.loadOld(1), "string");
  const old = store.loadOld(2);
  assert.ok(typeof old === "object" && old.revision === 2);
  store.prune();
  assert.equal(typeof store.loadOld(2), "string");
});

test("prune() leaves the sections that some manifest names and no others, whichever of them went before", async (context) => {
  const { store: first, folder } = makeStore(context);
  let store = first;
  const random = new Pcg32(41);
  const parts = Array.from({ length: 8 }, (_, part) => revisionOf(part).sections[0]);
  const lastMonth = Date.now() / 1000 - 30 * 86_400;
  for (let revision = 1; revision <= 60; revision++) {
    const sections = parts.filter((part) => part !== undefined && random.next32() % 3 === 0);
    const manifest = makeManifest(
      revision,
      7,
      sections.flatMap((part) => (part ? [manifestSection(part)] : [])),
      2,
    );
    // Another process, which looks at what is there before it keeps something or afterwards, or not at all.
    const isNew = random.next32() % 5 === 0;
    if (isNew) store = new SnapshotStore(folder);
    if (isNew && random.next32() % 2 === 0) await store.learn(() => true);
    for (const part of sections) if (part) store.write(part.name, new Uint8Array(part.buffer));
    store.keep(manifest);
    if (isNew && random.next32() % 2 === 0) await store.learn(() => true);
    // Some are too old from one moment to the next, some are told to be served, and some moments pass without a look.
    const history = readdirSync(join(folder, "history"));
    const old = join(folder, "history", history[random.next32() % history.length] ?? "");
    if (random.next32() % 3 === 0) utimesSync(old, lastMonth, lastMonth + revision);
    if (random.next32() % 4 === 0) continue;
    const pruned = store;
    // What is pruned while it looks is all that it would find.
    const learning = isNew ? pruned.learn(() => true) : undefined;
    pruned.prune([], new Set([random.next32() % revision, random.next32() % revision]));
    await learning;
    const files = [
      ...store.manifestFiles(),
      ...readdirSync(join(folder, "history")).map((file) => join("history", file)),
    ];
    const named = files.flatMap((file) => {
      const found = store.manifest(file);
      return typeof found === "string" ? [found] : found.sections.map(({ name }) => name);
    });
    assert.deepEqual(
      readdirSync(join(folder, "sections")).toSorted(),
      [...new Set(named)].toSorted(),
    );
  }
});

test("a locked folder is refused with one sentence", (context) => {
  const { folder } = makeStore(context);
  assert.throws(
    () => new StateDir(folder).lock(),
    /Cannot use the state folder ".*": process \d+ holds it/,
  );
});

test("a placed revision is what a process that starts finds, before and after it is settled", async (context) => {
  const { store, folder } = makeStore(context);
  store.save(revisionOf(1));
  const placed = revisionOf(2);
  for (const { name, buffer } of placed.sections) store.placeSection(name, new Uint8Array(buffer));
  const { epoch, revision, seed, sections } = placed;
  store.place(makeManifest(revision, seed, sections.map(manifestSection), epoch));
  assert.deepEqual(new SnapshotStore(folder).load().stored, placed);
  await store.settle();
  // Of a process that ended before it had settled what it placed.
  const next = new SnapshotStore(folder);
  await next.settleNewest();
  assert.deepEqual(next.load().stored, placed);

  truncateSync(newestSection(folder, placed), 200);
  assert.equal(new SnapshotStore(folder).load().stored?.revision, 1);
});

test("place() refuses a revision of which a section is not there", (context) => {
  const { store } = makeStore(context);
  const { epoch, revision, seed, sections } = revisionOf(1);
  const manifest = makeManifest(revision, seed, sections.map(manifestSection), epoch);
  assert.throws(
    () => store.place(manifest),
    /Cannot keep revision 1: section [0-9a-f]+ is not there/,
  );
});

/** A revision of which the pools differ from those of the one before in one member's address. */
function largeRevision(revision: number): StoredRevision {
  const pools = Array.from({ length: 200 }, (_, index) =>
    pool(`default/p${index}`, [member("one", index === 7 ? revision : 1)]),
  );
  return { epoch: 2, revision, seed: 7, sections: [writePools(pools), writePolicies([])] };
}

/** Places revisions 2 to `last` on top of 1 as an edge does: of the pools what makes them of those before. */
async function placeDeltas(store: SnapshotStore, last: number): Promise<StoredRevision[]> {
  const revisions = [largeRevision(1)];
  store.save(largeRevision(1));
  for (let number = 2; number <= last; number++) {
    const revision = largeRevision(number);
    const [after, before] = [poolsOf(revision), poolsOf(revisions.at(-1) ?? revision)];
    const delta = encodeSectionDelta(before.section, after.section, 1_000_000);
    assert.ok(delta !== undefined && delta.length < 500);
    const isPlaced = store.placeDelta(after.name, { base: before.name, delta });
    assert.equal(isPlaced, number < 34, `revision ${number}`);
    if (!isPlaced) store.placeSection(after.name, new Uint8Array(after.buffer));
    store.place(
      makeManifest(number, revision.seed, revision.sections.map(manifestSection), revision.epoch),
    );
    await store.settle();
    revisions.push(revision);
  }
  return revisions;
}

function poolsOf({ sections: [pools] }: StoredRevision): {
  readonly name: string;
  readonly buffer: SharedArrayBuffer;
  readonly section: Section;
} {
  assert.ok(pools !== undefined);
  const section = openSection(pools.buffer);
  assert.ok(section instanceof Section);
  return { ...pools, section };
}

test("a section that is there as what makes it of another one is read whole, up to a length of their chain", async (context) => {
  const { store, folder } = makeStore(context);
  const revisions = await placeDeltas(store, 34);
  for (const found of [store, new SnapshotStore(folder)]) {
    assert.deepEqual(found.load().stored, revisions.at(-1));
    assert.deepEqual(found.loadOld(33), revisions[32]);
    assert.deepEqual(
      found.open().stored?.pack.sections.map((section) => section.copy()),
      revisions.at(-1)?.sections.map(({ buffer }) => buffer),
    );
  }
});

test("what a kept section is made of is not removed, and what makes one goes when the disk has it whole", async (context) => {
  const { store, folder } = makeStore(context);
  const revisions = await placeDeltas(store, 4);
  for (const revision of [1, 2, 3]) rmSync(join(folder, "history", `manifest-${revision}.json`));
  for (const file of ["manifest.1.json", "manifest.2.json"]) rmSync(join(folder, file));
  store.prune();
  assert.deepEqual(new SnapshotStore(folder).load().stored, revisions[3]);
  const newest = poolsOf(largeRevision(4));
  store.placeSection(newest.name, new Uint8Array(newest.buffer));
  const files = (): string[] => readdirSync(join(folder, "sections"));
  store.prune();
  // A loss of power may leave half of it.
  assert.ok(files().includes(`${newest.name}.delta`));
  truncateSync(join(folder, "sections", newest.name), 100);
  assert.deepEqual(new SnapshotStore(folder).load().stored, revisions[3]);
  writeFileSync(join(folder, "sections", newest.name), new Uint8Array(newest.buffer));
  await store.settle();
  store.prune();
  store.prune();
  assert.equal(files().filter((file) => file.endsWith(".delta")).length, 0);
  assert.equal(files().length, 2);
  assert.deepEqual(new SnapshotStore(folder).load().stored, revisions[3]);
});

test("a section whose delta is cut off is refused, and the revision before is served", async (context) => {
  const { store, folder } = makeStore(context);
  const revisions = await placeDeltas(store, 3);
  const path = join(folder, "sections", `${poolsOf(largeRevision(3)).name}.delta`);
  for (const length of [90, 50, 20, 0]) {
    truncateSync(path, length);
    const after = new SnapshotStore(folder);
    assert.deepEqual(after.load().stored, revisions[1]);
    assert.equal(after.load().refused.length, 1);
    assert.equal(after.open().stored?.manifest.revision, 2);
  }
});

test("a change that is taken back is not made of what is made of it", async (context) => {
  const { store, folder } = makeStore(context);
  const revisions = await placeDeltas(store, 3);
  const [, second, third] = revisions;
  assert.ok(second !== undefined && third !== undefined);
  const [after, before] = [poolsOf(second), poolsOf(third)];
  const delta = encodeSectionDelta(before.section, after.section, 1_000_000);
  assert.ok(delta !== undefined);
  const source = { base: before.name, delta };
  const take = async (by: SnapshotStore, revision: number): Promise<void> => {
    if (!by.placeDelta(after.name, source))
      by.placeSection(after.name, new Uint8Array(after.buffer));
    by.place(makeManifest(revision, 7, second.sections.map(manifestSection), 2));
    await by.settle();
    const restarted = new SnapshotStore(folder).open();
    assert.deepEqual(restarted.refused, []);
    assert.equal(restarted.stored?.manifest.revision, revision);
    assert.deepEqual(new SnapshotStore(folder).loadOld(3), third);
  };
  await take(store, 4);
  // One that a loss of power cut off is of no use, nor may it hide what is whole.
  truncateSync(join(folder, "sections", `${after.name}.delta`), 50);
  await take(new SnapshotStore(folder), 5);
  await take(new SnapshotStore(folder), 6);
});

test("makeWhole() takes the place of what makes a section; another process reads it before and after", async (context) => {
  const { store, folder } = makeStore(context);
  store.save(largeRevision(1));
  const other = new SnapshotStore(folder);
  // From now on it knows what is there.
  assert.equal(other.has(poolsOf(largeRevision(2)).name), false);
  const revisions = await placeDeltas(store, 4);
  const newest = poolsOf(largeRevision(4));
  const read = async (): Promise<void> => {
    assert.deepEqual(other.readSection(newest.name), newest.buffer);
    assert.deepEqual(await other.readSectionAsync(newest.name), newest.buffer);
    for (const each of [other, new SnapshotStore(folder)]) {
      assert.deepEqual(each.load().stored, revisions[3]);
      assert.equal(each.open().stored?.manifest.revision, 4);
    }
  };
  await read();
  let isWhole = false;
  const making = store.makeWhole(newest.name, new Uint8Array(newest.buffer)).then(() => {
    isWhole = true;
  });
  // Another one would cut the file off that this one is about to put there.
  await store.makeWhole(newest.name, new Uint8Array(newest.buffer));
  assert.ok(store.hasDelta(newest.name));
  // What is removed meanwhile is not what is being written.
  while (!isWhole) {
    store.prune();
    await Promise.race([making, nextTurn()]);
  }
  assert.equal(store.has(newest.name), true);
  assert.ok(!readdirSync(join(folder, "sections")).includes(`${newest.name}.delta`));
  await read();
  // There is nothing to be made whole any more, nor what was removed meanwhile.
  rmSync(join(folder, "sections", newest.name));
  await store.makeWhole(newest.name, new Uint8Array(newest.buffer));
  assert.equal(typeof other.readSection(newest.name), "string");
});
