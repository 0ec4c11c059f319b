// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { DocumentSet } from "../documents/document-set.ts";
import { StateDocuments, type StateSource } from "../state/state-documents.ts";
import { openStore } from "../store/open-store.ts";
import type { Store } from "../store/store.ts";
import { Leadership } from "./leadership.ts";
import { PublicationAgreement, serialsIn, type Candidate } from "./publication-agreement.ts";

interface Replica {
  readonly agreement: PublicationAgreement;
  readonly leadership: Leadership;
  readonly state: StateDocuments;
  /** Sees what others wrote. */
  readonly look: () => Promise<void>;
  readonly lines: string[];
}

async function makeStore(t: TestContext): Promise<Store> {
  const folder = mkdtempSync(join(tmpdir(), "meridian-agreement-"));
  const path = join(folder, "store.sqlite");
  const store = await openStore({ kind: "sqlite", path, isReadOnly: false }, () => undefined);
  t.after(async () => {
    await store.close();
    rmSync(folder, { recursive: true, force: true });
  });
  return store;
}

function replicaOf(t: TestContext, store: Store, name: string): Replica {
  let documents = DocumentSet.empty;
  const source: StateSource = {
    store,
    get documents() {
      return documents;
    },
    refresh: async () => {
      documents = await documents.refreshed(store);
    },
  };
  const state = new StateDocuments(source);
  const lines: string[] = [];
  const log = (_fields: object, message: string): void => void lines.push(message);
  const logger = { info: log, warn: log, error: log };
  const leadership = new Leadership(
    () => store,
    name,
    logger,
    () => agreement.look(),
  );
  const agreement = new PublicationAgreement(state, leadership, logger, () => undefined);
  t.after(async () => {
    agreement.close();
    await leadership.close();
  });
  const look = async (): Promise<void> => {
    await source.refresh();
    agreement.look();
  };
  return { agreement, leadership, state, look, lines };
}

function candidate(revision: number, hash: string, more: Partial<Candidate> = {}): Candidate {
  return { epoch: 1, revision, hash, serials: [], ...more };
}

test("what the leader recorded is published by those alone who compiled the same", async (t) => {
  const store = await makeStore(t);
  const [leader, same, other] = ["a", "b", "c"].map((name) => replicaOf(t, store, name));
  assert.ok(leader !== undefined && same !== undefined && other !== undefined);
  let isSettled = false;
  const followed = same.agreement.agree(candidate(7, "x")).finally(() => {
    isSettled = true;
  });
  const refused = other.agreement.agree(candidate(7, "y"));
  // Nobody leads: nothing is published.
  await same.look();
  assert.equal(isSettled, false);
  leader.leadership.start();
  assert.equal(await leader.agreement.agree(candidate(7, "x")), true);
  await same.look();
  assert.equal(await followed, true);
  await other.look();
  assert.equal(other.agreement.standing, "differs");
  assert.match(other.lines.join(), /Publishes nothing/);
  // The next revision, of which it compiles the same, makes it one of them again.
  const next = other.agreement.agree(candidate(8, "z"));
  assert.equal(await refused, false);
  assert.equal(await leader.agreement.agree(candidate(8, "z")), true);
  await other.look();
  assert.equal(await next, true);
  assert.equal(other.agreement.standing, "agrees");
  // One that comes late with an earlier revision has to catch up.
  await same.look();
  assert.equal(await same.agreement.agree(candidate(7, "x")), false);
});

test("a restored store begins a later epoch, whose lower revisions are recorded anew", async (t) => {
  const store = await makeStore(t);
  const leader = replicaOf(t, store, "a");
  leader.leadership.start();
  assert.equal(await leader.agreement.agree(candidate(9, "x")), true);
  assert.equal(await leader.agreement.agree(candidate(3, "w", { epoch: 2 })), true);
});

test("serials that the store lacks are written before anything is recorded", async (t) => {
  const store = await makeStore(t);
  const leader = replicaOf(t, store, "a");
  leader.leadership.start();
  const serials = [{ key: "\u0004zone\u0000", contentHash: "ab", serial: 2026112200 }];
  const first = leader.agreement.agree(candidate(1, "x", { serials }));
  for (let tries = 0; serialsIn(leader.state).length === 0 && tries < 500; tries++) {
    await leader.look();
    await new Promise((done) => {
      setTimeout(done, 10);
    });
  }
  assert.deepEqual(serialsIn(leader.state), serials);
  // That is a revision of its own, which every replica compiles.
  assert.equal(await leader.agreement.agree(candidate(2, "x")), true);
  assert.equal(await first, false);
});
