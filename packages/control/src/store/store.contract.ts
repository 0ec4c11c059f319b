// SPDX-License-Identifier: Apache-2.0

// What every back end has to do. Run by the test of each with `storeContract(name, open)`.

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { MeridianError } from "@meridian/core";
import {
  changeSetBytesMax,
  genesisHash,
  type ChangeSet,
  type ChangeSetRequest,
  type DocumentKey,
  type Store,
  type Write,
} from "./store.ts";
import { commands, Interleaving } from "./testing/store-interleaving.ts";

/** An empty store and the means to end it. `replicas` are two views of one truth; the same object twice where there can be only one. */
export interface OpenedStore {
  readonly replicas: readonly [Store, Store];
  readonly close: () => Promise<void>;
}

export interface ContractOptions {
  readonly open: () => Promise<OpenedStore>;
  /** How many random interleavings are tried. */
  readonly runs: number;
  readonly skip?: string | false;
}

export const keyOf = (name: string, kind = "Pool", namespace = "default"): DocumentKey => ({
  kind,
  namespace,
  name,
});

let lastId = 0;

/** A request with an id of its own. */
export function requestOf(
  writes: readonly Write[],
  rest: Partial<ChangeSetRequest> = {},
): ChangeSetRequest {
  return { id: `request-${++lastId}`, cause: '{"actor":"test"}', writes, ...rest };
}

/** For `assert.rejects`: the code of a MeridianError. */
export const codeIs =
  (code: string) =>
  (error: unknown): boolean =>
    error instanceof MeridianError && error.code === code;

async function first(store: Store, from: number, count: number): Promise<ChangeSet[]> {
  const stop = new AbortController();
  const seen: ChangeSet[] = [];
  if (count === 0) return seen;
  for await (const changeSet of store.watch(from, stop.signal)) {
    seen.push(changeSet);
    if (seen.length === count) stop.abort();
  }
  return seen;
}

export function storeContract(name: string, { open, runs, skip = false }: ContractOptions): void {
  const withStore =
    (body: (store: Store, other: Store) => Promise<void>) => async (): Promise<void> => {
      const { replicas, close } = await open();
      try {
        await body(...replicas);
      } finally {
        await close();
      }
    };

  describe(name, { skip }, () => {
    test(
      "an empty store is at revision 0 of its first epoch",
      withStore(async (store, other) => {
        const head = await store.head();
        assert.deepEqual(
          { ...head, storeId: "", ageMs: 0 },
          {
            revision: 0,
            changeSetId: "",
            auditHash: genesisHash,
            atMs: 0,
            epoch: 1,
            oldestRevision: 0,
            storeId: "",
            ageMs: 0,
          },
        );
        assert.equal((await other.head()).storeId, head.storeId);
        assert.deepEqual(await store.list({}), { documents: [], revision: 0 });
        assert.deepEqual(await store.verify(), []);
      }),
    );

    test(
      "a change set is seen whole, by every replica, at its revision and later",
      withStore(async (store, other) => {
        const [a, b] = [keyOf("a"), keyOf("b")];
        const one = await store.commit(
          requestOf([
            { key: a, text: "a1" },
            { key: b, text: "b1" },
          ]),
        );
        const two = await other.commit(
          requestOf([
            { key: a, text: "a2", ifRevision: one.revision },
            { key: b, text: undefined },
          ]),
        );
        assert.deepEqual([one.revision, two.revision], [1, 2]);
        assert.deepEqual(await store.get(a), {
          key: a,
          text: "a2",
          revision: 2,
          createdRevision: 1,
        });
        assert.equal(await store.get(b), undefined);
        assert.equal((await store.get(b, { revision: 1 }))?.text, "b1");
        const three = await store.commit(requestOf([{ key: b, text: "b3", ifRevision: 0 }]));
        assert.deepEqual(await other.get(b), {
          key: b,
          text: "b3",
          revision: three.revision,
          createdRevision: 3,
        });
        assert.equal((await other.head()).auditHash, three.auditHash);
      }),
    );

    test(
      "a precondition that does not hold refuses the whole change set and names the document",
      withStore(async (store, other) => {
        await store.commit(requestOf([{ key: keyOf("a"), text: "a1" }]));
        await assert.rejects(
          other.commit(
            requestOf([
              { key: keyOf("b"), text: "b1" },
              { key: keyOf("a"), text: "a2", ifRevision: 0 },
            ]),
          ),
          {
            code: "STORE_CONFLICT",
            message: "Cannot write Pool/default/a: it is at revision 1, expected absent",
          },
        );
        await assert.rejects(
          store.commit(requestOf([{ key: keyOf("b"), text: "b1" }], { ifHead: 0 })),
          {
            code: "STORE_CONFLICT",
            message: "Cannot commit a change set: head is revision 1, expected 0",
          },
        );
        assert.equal(await store.get(keyOf("b")), undefined);
        assert.equal((await store.head()).revision, 1);
      }),
    );

    test(
      "a repeated request is taken once, on whichever replica",
      withStore(async (store, other) => {
        const request = requestOf([{ key: keyOf("a"), text: "a1", ifRevision: 0 }]);
        const heads = await Promise.all([
          store.commit(request),
          other.commit(request),
          store.commit(request),
        ]);
        assert.deepEqual(new Set(heads.map(({ revision }) => revision)), new Set([1]));
        await store.commit(requestOf([{ key: keyOf("a"), text: "a2" }]));
        assert.deepEqual(await other.commit(request), heads[0]);
        assert.equal((await store.head()).revision, 2);
      }),
    );

    test(
      "commits at once lose nothing: a counter counts each success",
      withStore(async (store, other) => {
        const key = keyOf("counter");
        let successes = 0;
        const count = async (replica: Store): Promise<void> => {
          for (let round = 0; round < 8; round++) {
            const found = await replica.get(key);
            const text = String(Number(found?.text ?? 0) + 1);
            const ifRevision = found?.revision ?? 0;
            try {
              await replica.commit(requestOf([{ key, text, ifRevision }]));
              successes++;
            } catch (error) {
              if (!codeIs("STORE_CONFLICT")(error)) throw error;
            }
          }
        };
        await Promise.all([count(store), count(other), count(store), count(other)]);
        assert.ok(successes >= 8);
        assert.equal((await other.get(key))?.text, String(successes));
      }),
    );

    test(
      "requests that can never be taken are refused",
      withStore(async (store) => {
        const write = { key: keyOf("a"), text: "a" };
        await assert.rejects(
          store.commit(requestOf([write, write])),
          codeIs("STORE_REQUEST_INVALID"),
        );
        await assert.rejects(
          store.commit(requestOf([write], { id: "no id" })),
          codeIs("STORE_REQUEST_INVALID"),
        );
        await assert.rejects(
          store.commit(requestOf([{ key: keyOf("ä"), text: "a" }])),
          codeIs("STORE_REQUEST_INVALID"),
        );
        await assert.rejects(
          store.commit(requestOf([{ key: keyOf("a"), text: "half a pair: \ud800" }])),
          codeIs("STORE_REQUEST_INVALID"),
        );
        const many = Array.from({ length: 10_001 }, (_, index) => ({
          key: keyOf(`n${index}`),
          text: "",
        }));
        await assert.rejects(store.commit(requestOf(many)), codeIs("STORE_TOO_LARGE"));
        const long = { key: keyOf("a"), text: "a".repeat(changeSetBytesMax) };
        await assert.rejects(store.commit(requestOf([long])), codeIs("STORE_TOO_LARGE"));
        await assert.rejects(store.list({ continue: "x" }), codeIs("STORE_REQUEST_INVALID"));
        await assert.rejects(
          store.get(keyOf("a"), { revision: 1 }),
          codeIs("STORE_REVISION_UNKNOWN"),
        );
        assert.equal((await store.head()).revision, 0);
      }),
    );

    test(
      "10,000 documents are one change set, listed in pages of one revision while commits go on",
      withStore(async (store, other) => {
        const text = JSON.stringify({ filler: "x".repeat(400) });
        const writes = Array.from({ length: 10_000 }, (_, index) => ({
          key: keyOf(`pool-${String(index).padStart(5, "0")}`),
          text,
        }));
        const { revision } = await store.commit(requestOf(writes));
        const names: string[] = [];
        let page = await other.list({ kind: "Pool", limit: 3000 });
        for (;;) {
          assert.equal(page.revision, revision);
          names.push(...page.documents.map(({ key }) => key.name));
          if (page.continue === undefined) break;
          await store.commit(requestOf([{ key: keyOf(`zzz-${names.length}`), text: "later" }]));
          page = await other.list({ kind: "Pool", limit: 3000, continue: page.continue });
        }
        assert.deepEqual(
          names,
          writes.map(({ key }) => key.name),
        );
        const [watched] = await first(other, revision - 1, 1);
        assert.deepEqual(watched?.writes, writes);
        assert.deepEqual(await other.verify(), []);
      }),
    );

    test(
      "history has what each write replaced, of one document where asked for",
      withStore(async (store, other) => {
        const [a, b] = [keyOf("a"), keyOf("b")];
        await store.commit(
          requestOf([
            { key: a, text: "a1" },
            { key: b, text: "b1" },
          ]),
        );
        await store.commit(requestOf([{ key: a, text: "a2" }]));
        await store.commit(requestOf([{ key: a, text: undefined }], { cause: '{"actor":"eve"}' }));
        const history = await other.history({ key: a });
        assert.deepEqual(
          history.map(({ revision, writes }) => [revision, writes]),
          [
            [1, [{ key: a, text: "a1", before: undefined }]],
            [2, [{ key: a, text: "a2", before: "a1" }]],
            [3, [{ key: a, text: undefined, before: "a2" }]],
          ],
        );
        assert.equal(history[2]?.cause, '{"actor":"eve"}');
        const newest = await other.history({ newestFirst: true, limit: 2 });
        assert.deepEqual(
          newest.map(({ revision }) => revision),
          [3, 2],
        );
        const middle = await other.history({ from: 1, to: 1 });
        assert.equal(middle[0]?.writes.length, 2);
      }),
    );

    test(
      "after a compaction what came before is refused, and the rest is as it was",
      withStore(async (store, other) => {
        const [a, b] = [keyOf("a"), keyOf("b")];
        for (const text of ["1", "2", "3", "4"]) await store.commit(requestOf([{ key: a, text }]));
        await store.commit(requestOf([{ key: b, text: undefined }]));
        await store.commit(requestOf([{ key: b, text: "b" }]));
        await assert.rejects(store.compact(9), codeIs("STORE_REVISION_UNKNOWN"));
        await store.compact(3);
        await assert.rejects(other.get(a, { revision: 2 }), codeIs("STORE_COMPACTED"));
        await assert.rejects(other.list({ revision: 0 }), codeIs("STORE_COMPACTED"));
        await assert.rejects(first(other, 1, 1), codeIs("STORE_COMPACTED"));
        await assert.rejects(other.history({ from: 2 }), codeIs("STORE_COMPACTED"));
        assert.equal((await other.get(a, { revision: 3 }))?.text, "3");
        assert.equal((await other.get(a))?.createdRevision, 1);
        assert.equal((await other.head()).oldestRevision, 3);
        assert.deepEqual(
          (await first(other, 2, 4)).map(({ revision }) => revision),
          [3, 4, 5, 6],
        );
        assert.deepEqual(await store.verify(), []);
        assert.deepEqual(await other.verify(), []);
      }),
    );

    test(
      "a watch waits for what comes, and ends with its signal",
      withStore(async (store, other) => {
        const watched = first(other, 0, 3);
        for (const text of ["1", "2", "3"])
          await store.commit(requestOf([{ key: keyOf("a"), text }]));
        assert.deepEqual(
          (await watched).map(({ revision }) => revision),
          [1, 2, 3],
        );
        await assert.rejects(first(other, 4, 1), codeIs("STORE_REVISION_UNKNOWN"));
        const idle = new AbortController();
        const ended = (async (): Promise<number> => {
          let seen = 0;
          for await (const _ of other.watch(3, idle.signal)) seen++;
          return seen;
        })();
        idle.abort();
        assert.equal(await ended, 0);
      }),
    );

    test(
      "a lease has one holder, whose term fences the writes of those before",
      withStore(async (store, other) => {
        const never = new AbortController().signal;
        const one = await store.acquireLease("leader", "one", 5000, never);
        const writeAs = (term: number): ChangeSetRequest =>
          requestOf([{ key: keyOf("a"), text: String(term) }], { lease: { name: "leader", term } });
        await store.commit(writeAs(one.term));
        const waiting = new AbortController();
        const refused = other.acquireLease("leader", "two", 5000, waiting.signal);
        waiting.abort(new Error("enough"));
        await assert.rejects(refused, /enough|aborted/);
        const second = other.acquireLease("leader", "two", 5000, never);
        await one.release();
        assert.equal(one.lost.aborted, true);
        const two = await second;
        assert.ok(two.term > one.term);
        await assert.rejects(store.commit(writeAs(one.term)), codeIs("STORE_FENCED"));
        await other.commit(writeAs(two.term));
        assert.equal((await store.get(keyOf("a")))?.text, String(two.term));
        assert.equal(two.lost.aborted, false);
        await two.release();
        await assert.rejects(other.commit(writeAs(two.term)), codeIs("STORE_FENCED"));
      }),
    );

    test(
      "what is loaded takes the place of what was there at once, in a new epoch",
      withStore(async (store, other) => {
        await store.commit(requestOf([{ key: keyOf("old"), text: "old" }]));
        const base = { revision: 7, changeSetId: "base", auditHash: "ab".repeat(32), atMs: 5 };
        const start = { storeId: "elsewhere", epoch: 1, base, replace: true };
        await assert.rejects(
          store.startLoad({ ...start, replace: false }),
          codeIs("STORE_NOT_EMPTY"),
        );
        const dropped = await store.startLoad(start);
        await dropped.documents([{ key: keyOf("x"), text: "x", revision: 3, createdRevision: 2 }]);
        await dropped.abort();
        assert.equal((await store.get(keyOf("old")))?.text, "old");

        const load = await store.startLoad(start);
        await load.documents([{ key: keyOf("x"), text: "x", revision: 3, createdRevision: 2 }]);
        const finished = await load.finish();
        assert.deepEqual(
          [finished.epoch, finished.revision, finished.storeId, finished.oldestRevision],
          [2, 7, "elsewhere", 7],
        );
        assert.deepEqual(
          (await other.list({})).documents.map(({ key }) => key.name),
          ["x"],
        );
        const next = await other.commit(requestOf([{ key: keyOf("x"), text: undefined }]));
        assert.equal(next.revision, 8);
        assert.deepEqual(await store.verify(), []);
      }),
    );

    test("random interleavings agree with the twin", { timeout: 170_000 }, async () => {
      await fc.assert(
        fc.asyncProperty(commands, async (steps) => {
          const { replicas, close } = await open();
          try {
            await new Interleaving(replicas).run(steps);
          } finally {
            await close();
          }
        }),
        { numRuns: runs, interruptAfterTimeLimit: 150_000, markInterruptAsFailure: false },
      );
    });
  });
}
