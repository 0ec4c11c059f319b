// SPDX-License-Identifier: Apache-2.0

import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { DocumentSet } from "../documents/document-set.ts";
import { StateDocuments } from "../state/state-documents.ts";
import { openStore } from "../store/open-store.ts";
import { SharedRollOut, type RollOutWord } from "./shared-roll-out.ts";

const LOOKS_MAX = 500;

test("of what controls find of a revision, the first finding counts for all, and none of an earlier revision", async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "meridian-roll-out-"));
  const path = join(folder, "store.sqlite");
  const store = await openStore({ kind: "sqlite", path, isReadOnly: false }, () => undefined);
  const logger = { info: () => {}, warn: () => {}, error: () => {} };
  const makeControl = (): SharedRollOut & { look: () => Promise<void> } => {
    let documents = DocumentSet.empty;
    const source = {
      store,
      get documents() {
        return documents;
      },
      refresh: async () => {
        documents = await documents.refreshed(store);
      },
    };
    const rollOut = new SharedRollOut(new StateDocuments(source), logger);
    return Object.assign(rollOut, { look: source.refresh });
  };
  const [first, second] = [makeControl(), makeControl()];
  t.after(async () => {
    first.close();
    second.close();
    await store.close();
    rmSync(folder, { recursive: true, force: true });
  });
  const seen = async (control: typeof first, word: RollOutWord): Promise<void> => {
    for (let look = 0; look < LOOKS_MAX; look++) {
      await control.look();
      if (control.wordOn(word)?.state === word.state) break;
      await sleep(5);
    }
    assert.deepEqual(control.wordOn(word), word);
  };
  const staged = { epoch: 1, revision: 7 };
  first.tell({ ...staged, state: "checking" });
  await seen(second, { ...staged, state: "checking" });
  const halted = { ...staged, state: "halted", reason: "SERVFAIL for www" } as const;
  second.tell(halted);
  await seen(first, halted);
  // It has not seen that yet, as far as it knows.
  first.tell({ ...staged, state: "good" });
  first.tell({ epoch: 1, revision: 6, state: "good" });
  const next = { epoch: 1, revision: 8, state: "good" } as const;
  await sleep(20);
  await seen(first, halted);
  assert.equal(first.wordOn({ epoch: 1, revision: 6 }), undefined);
  first.tell(next);
  await seen(second, next);
  assert.equal(second.wordOn(staged), undefined);
});
