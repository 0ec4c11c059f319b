// SPDX-License-Identifier: Apache-2.0

import assert from "node:assert/strict";
import {
  appendFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { SILENT_LOGGER } from "../edge-logger.ts";
import { SlotJournal } from "./slot-journal.ts";

test("at() gives the slots of a revision and sequence, of a time, and every state of one name", (context) => {
  const folder = stateFolder(context);
  let nowMs = 1000;
  const journal = new SlotJournal(folder, SILENT_LOGGER, undefined, () => nowMs++);
  const table = (): Uint32Array => assert.fail("no other file begins");
  journal.begin(1, 4, Uint32Array.of(7, 8, 9));
  journal.change(1, 5, [{ slot: 1, value: 80 }], table);
  // Cut off: the edge changes slots under the sequence of control.
  journal.change(1, 5, [{ slot: 2, value: 90 }], table);
  journal.begin(2, 5, Uint32Array.of(1));
  const states = (found: ReturnType<SlotJournal["at"]>): number[][] =>
    found.map(({ slots }) => [...slots]);
  assert.deepEqual(states(journal.at({ revision: 1, sequence: 4 }, true)), [[7, 8, 9]]);
  assert.deepEqual(states(journal.at({ revision: 1, sequence: 5 }, true)), [
    [7, 80, 90],
    [7, 80, 9],
  ]);
  assert.deepEqual(states(journal.at({ revision: 1, sequence: 9 })), [[7, 80, 90]]);
  assert.deepEqual(states(journal.at({ revision: 1, sequence: 9 }, true)), []);
  assert.deepEqual(states(journal.at({ revision: 2 })), [[1]]);
  assert.deepEqual(states(journal.at({ atMs: 1001 })), [[7, 80, 9]]);
  assert.deepEqual(journal.at({ atMs: 999 }), []);
  journal.close();
});

test("another process goes on in a file of its own, whatever a crash or a bad disk left", (context) => {
  const folder = stateFolder(context);
  const first = new SlotJournal(folder, SILENT_LOGGER, undefined, () => 1000);
  first.begin(1, 1, Uint32Array.of(7));
  first.close();
  const [file = ""] = readdirSync(join(folder, "history"));
  appendFileSync(join(folder, "history", file), Uint8Array.of(1, 2, 3));
  writeFileSync(join(folder, "history", "slots-9.bin"), new Uint8Array(40).fill(255));
  // The clock was set back meanwhile.
  const second = new SlotJournal(folder, SILENT_LOGGER, undefined, () => 500);
  second.begin(1, 1, Uint32Array.of(8));
  second.close();
  const found = second.at({ revision: 1, sequence: 1 }, true).map(({ slots }) => slots[0]);
  assert.deepEqual(found, [8, 7]);
  assert.equal(readdirSync(join(folder, "history")).length, 3);
});

test("a file that is full is followed by one that begins with a table", (context) => {
  const folder = stateFolder(context);
  const journal = new SlotJournal(folder, SILENT_LOGGER);
  const slots = new Uint32Array(1_500_000);
  for (const sequence of [1, 2, 3, 4]) {
    journal.begin(1, sequence, slots);
    journal.save();
  }
  journal.change(1, 5, [{ slot: 2, value: 3 }], () => {
    slots[2] = 3;
    return slots;
  });
  journal.close();
  assert.equal(readdirSync(join(folder, "history")).length, 2);
  const [newest] = journal.at({ revision: 1 });
  assert.deepEqual([newest?.sequence, newest?.slots[2]], [5, 3]);
});

test("a disk that cannot be written ends nothing", (context) => {
  const folder = stateFolder(context);
  const journal = new SlotJournal(folder, SILENT_LOGGER);
  rmSync(join(folder, "history"), { recursive: true });
  journal.begin(1, 1, Uint32Array.of(1));
  journal.save();
  mkdirSync(join(folder, "history"));
  journal.change(1, 2, [{ slot: 0, value: 5 }], () => Uint32Array.of(5));
  journal.close();
  assert.deepEqual([...(journal.at({ revision: 1, sequence: 2 })[0]?.slots ?? [])], [5]);
});

function stateFolder(context: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), "meridian-journal-"));
  mkdirSync(join(folder, "history"));
  context.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}
