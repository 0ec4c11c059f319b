// SPDX-License-Identifier: Apache-2.0

import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { checkers, findingsOf } from "./checkers.ts";
import { fixtures } from "./fixtures.ts";
import { checkLinearizableRegister } from "./linearizable.ts";
import { HistoryFile, HistoryList, readHistory, Recorder } from "./recorder.ts";

for (const { model, about, right, wrong, text } of fixtures)
  test(`${model}: ${about}`, () => {
    const check = checkers[model]!;
    assert.equal(check(right).kind, "ok");
    const verdict = check(wrong);
    assert.deepEqual([verdict.kind, "text" in verdict && verdict.text], ["violation", text]);
  });

test("checkLinearizableRegister() takes operations on one key each, and no others", () => {
  const [register, , map] = fixtures;
  assert.equal(checkLinearizableRegister(register!.right).kind, "ok");
  assert.equal(checkLinearizableRegister(register!.wrong).kind, "violation");
  assert.throws(() => checkLinearizableRegister(map!.right), /is about several keys/);
});

test("a history comes back from its file as it was recorded, calls without an answer too", async () => {
  const folder = mkdtempSync(join(tmpdir(), "meridian-history-"));
  try {
    const path = join(folder, "history.jsonl");
    const [file, list] = [new HistoryFile(path, "a test"), new HistoryList()];
    for (const sink of [file, list]) {
      let time = 0;
      const recorder = new Recorder(() => ++time, sink);
      const process = recorder.newProcess();
      const write = { kind: "write", values: [["a", "1"]], expected: [], cell: "" } as const;
      const call = recorder.begin(process, write);
      recorder.end(call, { ...write, outcome: "ok", revision: 1 });
      const level = "strong";
      const got = recorder.begin(process);
      recorder.end(got, { kind: "read", cell: "", values: [["a", "1"]], versions: [1], level });
      recorder.end(recorder.begin(process), undefined);
      recorder.begin(process, { ...write, values: [["a", null]] });
      recorder.close();
    }
    assert.deepEqual(await readHistory(path), list.operations);
    assert.deepEqual(
      list.operations.map(({ kind, invoked, completed }) => [kind, invoked, completed]),
      [
        ["write", 1, 2],
        ["read", 3, 4],
        ["write", 6, Infinity],
      ],
    );
    assert.deepEqual(findingsOf(list.operations), []);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
