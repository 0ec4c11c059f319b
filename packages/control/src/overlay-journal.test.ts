// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import {
  appendFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  rmdirSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { setImmediate as nextTurn } from "node:timers/promises";
import type { ChangeSet } from "@meridian/health";
import { OverlayJournal } from "./overlay-journal.ts";
import { StateDir } from "@meridian/snapshot/disk";

const startMs = Date.parse("2026-01-31T12:00:00Z");

function makeFolder(context: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), "meridian-journal-"));
  const directory = new StateDir(folder);
  directory.lock();
  context.after(() => {
    directory.unlock();
    rmSync(folder, { recursive: true, force: true });
  });
  return folder;
}

/** One slot, whose value is the sequence. */
function changeSet(sequence: number, revision: number, key: bigint = 1n): ChangeSet {
  return {
    sequence,
    revision,
    atMs: startMs + sequence * 1000,
    cause: { kind: "health", text: `step ${sequence}` },
    keys: BigUint64Array.of(key),
    values: Uint32Array.of(sequence),
  };
}

test("at() gives the slots of a time, of a revision and of a sequence", (context) => {
  const folder = makeFolder(context);
  let nowMs = startMs;
  const journal = new OverlayJournal(folder, () => nowMs, assert.ifError);
  for (const [sequence, revision] of [
    [1, 1],
    [2, 1],
    [3, 2],
    [4, 2],
  ] as const) {
    nowMs = startMs + sequence * 1000;
    journal.record(changeSet(sequence, revision));
    // A checkpoint after the second: what follows is the checkpoint and the change sets since.
    if (sequence === 2) journal.save();
  }
  const value = (moment: Parameters<OverlayJournal["at"]>[0]): number | undefined => {
    const past = journal.at(moment);
    assert.ok(typeof past === "object", reasonIn(past));
    return past.slots.get(1n);
  };
  assert.equal(value({ atMs: startMs + 2500 }), 2);
  assert.equal(value({ revision: 1 }), 2);
  assert.equal(value({ revision: 1, sequence: 1 }), 1);
  assert.equal(value({ revision: 2, sequence: 3 }), 3);
  assert.equal(value({ atMs: startMs + 60_000 }), 4);
  assert.match(reasonIn(journal.at({ atMs: startMs - 1 })), /holds nothing/);
  journal.close();
});

test("entries() passes over what a crash tore or a hand changed", (context) => {
  const folder = makeFolder(context);
  const journal = new OverlayJournal(folder, () => startMs, assert.ifError);
  journal.record(changeSet(1, 1));
  journal.save();
  const names = readdirSync(join(folder, "history"));
  const name = names.find((file) => file.startsWith("journal-")) ?? "";
  const line = JSON.stringify({
    sequence: 2,
    revision: 1,
    atMs: startMs,
    cause: { kind: "health", text: "" },
    changes: [["-12", 5]],
  });
  appendFileSync(join(folder, "history", name), `${line}\n{"sequence":3,"revi`);
  assert.deepEqual(
    [...journal.entries()].map(({ sequence }) => sequence),
    [1],
  );
  assert.ok(typeof journal.at({ revision: 1 }) === "object");
  journal.close();
});

test("what cannot be written is reported, kept and written later", (context) => {
  const folder = makeFolder(context);
  const errors: unknown[] = [];
  const journal = new OverlayJournal(
    folder,
    () => startMs,
    (error) => errors.push(error),
  );
  // In the way of the file that would be renamed.
  const obstacle = join(folder, "overlay.bin.new");
  mkdirSync(obstacle);
  // The first change set of a process is written at once.
  journal.record(changeSet(1, 1));
  assert.equal(errors.length, 1);
  rmdirSync(obstacle);
  journal.save();
  journal.close();
  assert.equal(errors.length, 1);
  assert.equal([...journal.entries()].length, 1);
});

test("a snapshot that has all slots as they were is on disk later than a change, and with it", async (context) => {
  const folder = makeFolder(context);
  context.mock.timers.enable({ apis: ["setTimeout"] });
  let nowMs = startMs;
  const journal = new OverlayJournal(folder, () => nowMs, assert.ifError);
  const pass = (ms: number): void => {
    nowMs += ms;
    context.mock.timers.tick(ms);
  };
  const written = (): number[] => [...journal.entries()].map(({ sequence }) => sequence);
  // It is written while others go on.
  const writes = async (ms: number, sequences: readonly number[]): Promise<void> => {
    pass(ms);
    while (written().length < sequences.length) await nextTurn();
    assert.deepEqual(written(), sequences);
  };
  const carried = (sequence: number): ChangeSet => ({
    ...changeSet(sequence, sequence),
    ...{ keys: new BigUint64Array(0), values: new Uint32Array(0) },
  });
  journal.record(changeSet(1, 1));
  journal.record(carried(2));
  pass(5000);
  for (let turn = 0; turn < 10; turn++) await nextTurn();
  assert.deepEqual(written(), [1]);
  journal.record(carried(3));
  await writes(5000, [1, 2, 3]);
  pass(1000);
  journal.record(carried(4));
  journal.record(changeSet(5, 4));
  await writes(250, [1, 2, 3, 4, 5]);
  // Once a second where it goes on.
  journal.record(changeSet(6, 4));
  pass(250);
  for (let turn = 0; turn < 10; turn++) await nextTurn();
  assert.deepEqual(written(), [1, 2, 3, 4, 5]);
  await writes(500, [1, 2, 3, 4, 5, 6]);
  journal.record(carried(7));
  journal.close();
  assert.deepEqual(written(), [1, 2, 3, 4, 5, 6, 7]);
});

test("load() says why there is no table, and gives the one that was kept", (context) => {
  const folder = makeFolder(context);
  const first = new OverlayJournal(folder, () => startMs, assert.ifError);
  assert.match(reasonIn(first.load()), /there is no such file/);
  first.record(changeSet(7, 3));
  first.close();
  const stored = new OverlayJournal(folder, () => startMs, assert.ifError).load();
  assert.ok(typeof stored === "object");
  assert.deepEqual([...stored.slots.entries()], [[1n, 7]]);
  assert.equal(stored.sequence, 7);
  writeFileSync(join(folder, "overlay.bin"), "torn");
  assert.match(
    reasonIn(new OverlayJournal(folder, () => startMs, assert.ifError).load()),
    /Overlay has 4 bytes/,
  );
});

function reasonIn(result: object | string): string {
  return typeof result === "string" ? result : "";
}

test("sequences go on behind the last of the journal, however long its lines are and where it was cut off", (context) => {
  for (const [changes, end, expected] of [
    [1, "", 9],
    [20_000, "", 9],
    [20_000, '{"sequence":12,"revi', 12],
    [1, `${"x".repeat(100_000)}\n`, 9],
  ] as const) {
    const folder = makeFolder(context);
    const first = new OverlayJournal(folder, () => startMs, assert.ifError);
    const set = changeSet(9, 1);
    first.record(changeSet(8, 1));
    const [keys, values] = [new BigUint64Array(changes), new Uint32Array(changes)];
    first.record({ ...set, keys: keys.fill(1n), values: values.fill(9) });
    first.close();
    const name = readdirSync(join(folder, "history")).find((file) => file.startsWith("journal-"));
    assert.ok(name !== undefined);
    appendFileSync(join(folder, "history", name), end);
    // The table is another place that knows: without it the journal alone says.
    rmSync(join(folder, "overlay.bin"));
    const journal = new OverlayJournal(folder, () => startMs, assert.ifError);
    assert.match(reasonIn(journal.load()), /there is no such file/);
    assert.equal(journal.lastSequence, expected + 65_536);
  }
});
