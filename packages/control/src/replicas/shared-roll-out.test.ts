// SPDX-License-Identifier: Apache-2.0

import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { DocumentSet } from "../documents/document-set.ts";
import { StateDocuments } from "../state/state-documents.ts";
import { openStore } from "../store/open-store.ts";
import type { PublishMode } from "../embedded-options.ts";
import { SharedRollOut, wishWrites, type RollOutWord } from "./shared-roll-out.ts";

const LOOKS_MAX = 500;

type Control = SharedRollOut & {
  readonly state: StateDocuments;
  readonly look: () => Promise<void>;
};

/** Two controls of one store. */
async function startControls(t: TestContext): Promise<[Control, Control]> {
  const folder = mkdtempSync(join(tmpdir(), "meridian-roll-out-"));
  const path = join(folder, "store.sqlite");
  const store = await openStore({ kind: "sqlite", path, isReadOnly: false }, () => undefined);
  const logger = { info: () => {}, warn: () => {}, error: () => {} };
  const makeControl = (): Control => {
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
    const state = new StateDocuments(source);
    return Object.assign(new SharedRollOut(state, logger), { state, look: source.refresh });
  };
  const controls: [Control, Control] = [makeControl(), makeControl()];
  t.after(async () => {
    for (const control of controls) control.close();
    await store.close();
    rmSync(folder, { recursive: true, force: true });
  });
  return controls;
}

test("of what controls find of a revision, the first finding counts for all, and none of an earlier revision", async (t) => {
  const [first, second] = await startControls(t);
  const seen = async (control: Control, word: RollOutWord): Promise<void> => {
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

test("how a change is to go to edges is known with the change, and until they have it", async (t) => {
  const [first, second] = await startControls(t);
  const wish = async (publish: PublishMode): Promise<number> => {
    assert.ok(await first.state.write(wishWrites(publish), "apply", {}));
    await second.look();
    return second.state.documents.revision;
  };
  assert.equal(second.wishOn({ revision: 1 }, 0), undefined);
  assert.deepEqual(wishWrites(undefined), []);
  const checked = await wish("progressive");
  assert.equal(second.wishOn({ revision: checked }, checked - 1), "progressive");
  assert.equal(second.wishOn({ revision: checked + 1 }, checked - 1), "progressive", "in it, too");
  assert.equal(second.wishOn({ revision: checked - 1 }, checked - 2), undefined, "not yet in it");
  assert.equal(second.wishOn({ revision: checked + 1 }, checked), undefined, "edges have it");
  const atOnce = await wish("immediate");
  assert.equal(second.wishOn({ revision: atOnce }, checked), "immediate");
  assert.equal(second.wishOn({ revision: atOnce + 1 }, checked), undefined, "with another change");
});
