// SPDX-License-Identifier: Apache-2.0

// Real members of a real cluster killed, stopped and started again under the store.

import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test, type TestContext } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { codeIs, keyOf, requestOf } from "../store.contract.ts";
import type { ChangeSet, Head, Store } from "../store.ts";
import { EtcdCluster, etcdMissing, openEtcdStore } from "../testing/etcd-cluster.ts";

const skip = etcdMissing();
const starting = skip === false ? EtcdCluster.start({ members: 3 }) : undefined;
let lastPrefix = 0;

after(async () => (await starting)?.close());

const options = { skip, timeout: 150_000 };

async function running(): Promise<EtcdCluster> {
  return (await starting) ?? assert.fail("etcd is not running");
}

const prefixOf = (): string => `faults-${++lastPrefix}`;

async function openAt(
  t: TestContext,
  cluster: EtcdCluster,
  rest: string,
  ...members: readonly number[]
): Promise<Store> {
  const store = await openEtcdStore(`etcd://${cluster.endpoints(...members)}/${rest}`);
  t.after(() => store.close());
  return store;
}

/** Commits, and as every client should: again with the same id where the outcome is unknown. */
async function commitSurely(store: Store, text: string, id: string): Promise<Head> {
  for (;;) {
    try {
      return await store.commit(requestOf([{ key: keyOf("a"), text }], { id }));
    } catch (error) {
      if (!codeIs("STORE_UNAVAILABLE")(error)) throw error;
    }
  }
}

function follow(
  store: Store,
  from: number,
): { readonly seen: ChangeSet[]; readonly stop: () => Promise<void> } {
  const stopping = new AbortController();
  const seen: ChangeSet[] = [];
  const ended = (async (): Promise<void> => {
    for await (const changeSet of store.watch(from, stopping.signal)) seen.push(changeSet);
  })();
  return {
    seen,
    stop: () => {
      stopping.abort();
      return ended;
    },
  };
}

async function until(isSo: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await isSo())) await sleep(50);
}

const numbers = (count: number): number[] => Array.from({ length: count }, (_, index) => index + 1);

describe("etcd under faults", { concurrency: false }, () => {
  test(
    "leaders are killed during commits: each id is committed once, watches see each change set once",
    options,
    async (t) => {
      const cluster = await running();
      const prefix = prefixOf();
      const store = await openAt(t, cluster, prefix);
      const other = await openAt(t, cluster, prefix, 2, 1, 0);
      const watch = follow(other, 0);
      let isDone = false;
      const killing = (async (): Promise<void> => {
        for (let kill = 0; kill < 3 && !isDone; kill++) {
          await sleep(150);
          const leader = cluster.leader();
          await cluster.kill(leader);
          await sleep(200);
          cluster.startMember(leader);
          await cluster.ready();
        }
      })();
      let committed = 0;
      while (
        committed < 60 ||
        (committed < 2000 && !(await Promise.race([killing.then(() => true), sleep(5, false)])))
      ) {
        committed++;
        await commitSurely(
          committed % 2 === 0 ? store : other,
          String(committed),
          `faults-${committed}`,
        );
      }
      isDone = true;
      await killing;
      assert.equal((await store.head()).revision, committed);
      const ids: string[] = [];
      for (let from = 1; from <= committed; from += 500)
        ids.push(
          ...(await store.history({ from, limit: 500 })).map(({ changeSetId }) => changeSetId),
        );
      assert.deepEqual(
        ids,
        numbers(committed).map((number) => `faults-${number}`),
      );
      await until(() => watch.seen.length >= committed);
      assert.deepEqual(
        watch.seen.map(({ revision }) => revision),
        numbers(committed),
      );
      await watch.stop();
      assert.deepEqual(await other.verify(), []);
    },
  );

  test(
    "without a quorum strong reads and writes are refused, stale reads say their age, and all comes back by itself",
    options,
    async (t) => {
      const cluster = await running();
      const store = await openAt(t, cluster, prefixOf());
      await store.commit(requestOf([{ key: keyOf("a"), text: "a1" }]));
      await cluster.kill(0);
      await store.commit(requestOf([{ key: keyOf("a"), text: "a2" }]));
      await cluster.kill(1);
      const lost = requestOf([{ key: keyOf("a"), text: "a3" }]);
      await Promise.all(
        [
          store.head(),
          store.get(keyOf("a")),
          store.list({}),
          store.history({}),
          store.commit(lost),
        ].map((refused) => assert.rejects(refused, codeIs("STORE_UNAVAILABLE"))),
      );
      const one = await store.head({ stale: true });
      assert.equal((await store.get(keyOf("a"), { stale: true }))?.text, "a2");
      await sleep(1100);
      const two = await store.head({ stale: true });
      assert.ok(two.ageMs >= one.ageMs + 1000 && one.ageMs > 0);
      cluster.startMember(0);
      await until(async () => (await store.head({ stale: true })).ageMs < 1000);
      assert.equal((await commitSurely(store, "a3", lost.id)).revision, 3);
      assert.equal((await store.get(keyOf("a")))?.text, "a3");
      cluster.startMember(1);
      await cluster.ready();
    },
  );

  test("a member that hangs is left for another", options, async (t) => {
    const cluster = await running();
    const store = await openAt(t, cluster, prefixOf(), 1, 2, 0);
    cluster.pause(1);
    try {
      await commitSurely(store, "1", "hangs");
      assert.equal((await store.head()).revision, 1);
    } finally {
      cluster.resume(1);
    }
  });

  test("a watch goes on across a compaction of etcd that it slept through", options, async (t) => {
    const cluster = await running();
    const prefix = prefixOf();
    const writer = await openAt(t, cluster, prefix, 0, 1);
    const store = await openAt(t, cluster, prefix, 2);
    const watch = follow(store, 0);
    await commitSurely(writer, "1", "compact-1");
    await until(() => watch.seen.length === 1);
    await cluster.kill(2);
    for (const number of numbers(40).slice(1))
      await commitSurely(writer, String(number), `compact-${number}`);
    const status: unknown = JSON.parse(cluster.control("get", "x", "--write-out", "json"));
    const header = status as { readonly header: { readonly revision: number } };
    cluster.control("compact", "--physical", String(header.header.revision));
    cluster.startMember(2);
    await commitSurely(writer, "41", "compact-41");
    await until(() => watch.seen.length >= 41);
    // Each change set once, whole and in order; so does a replica that begins now, whose watch etcd cannot serve from its own history.
    const texts = numbers(41).map((number) => [number, [String(number)]]);
    const shown = (seen: readonly ChangeSet[]): unknown =>
      seen.map(({ revision, writes }) => [revision, writes.map(({ text }) => text)]);
    assert.deepEqual(shown(watch.seen), texts);
    const late = await openAt(t, cluster, prefix, 0, 1, 2);
    const whole = follow(late, 0);
    await until(() => whole.seen.length >= 41);
    assert.deepEqual(shown(whole.seen), texts);
    for (const each of [store, late]) assert.equal((await each.get(keyOf("a")))?.text, "41");
    await Promise.all([watch.stop(), whole.stop()]);
  });

  test(
    "a replica with a mirror file starts without a quorum and serves what it knew",
    options,
    async (t) => {
      const cluster = await running();
      const folder = mkdtempSync(join(tmpdir(), "meridian-mirror-"));
      t.after(() => rmSync(folder, { recursive: true }));
      const place = `${prefixOf()}?mirror=${join(folder, "mirror.sqlite")}`;
      const early = await openEtcdStore(`etcd://${cluster.endpoints()}/${place}`);
      await commitSurely(early, "1", "mirror-1");
      await early.close();
      await Promise.all([cluster.kill(0), cluster.kill(1)]);
      const [store] = await Promise.all([
        openAt(t, cluster, place),
        assert.rejects(
          openEtcdStore(`etcd://${cluster.endpoints()}/${prefixOf()}`),
          codeIs("STORE_UNAVAILABLE"),
        ),
      ]);
      assert.equal((await store.get(keyOf("a"), { stale: true }))?.text, "1");
      await assert.rejects(store.get(keyOf("a")), codeIs("STORE_UNAVAILABLE"));
      cluster.startMember(0);
      cluster.startMember(1);
      await cluster.ready();
      await commitSurely(store, "2", "mirror-2");
      assert.deepEqual(await store.verify(), []);
    },
  );

  test(
    "a lease whose holder is gone is free after its time, and its term is fenced",
    options,
    async (t) => {
      const cluster = await running();
      const prefix = prefixOf();
      const never = new AbortController().signal;
      const one = await openEtcdStore(`etcd://${cluster.endpoints()}/${prefix}`);
      const lease = await one.acquireLease("leader", "one", 2000, never);
      await one.close();
      const store = await openAt(t, cluster, prefix);
      const next = await store.acquireLease("leader", "two", 2000, never);
      assert.ok(next.term > lease.term);
      await assert.rejects(
        store.commit(requestOf([], { lease: { name: "leader", term: lease.term } })),
        codeIs("STORE_FENCED"),
      );
      await store.commit(requestOf([], { lease: { name: "leader", term: next.term } }));
      await until(() => lease.lost.aborted);
      await next.release();
    },
  );

  test(
    "a change set of many pieces is seen whole; a compaction deletes its pieces",
    options,
    async (t) => {
      const cluster = await running();
      const prefix = prefixOf();
      const store = await openAt(t, cluster, prefix);
      const other = await openAt(t, cluster, prefix);
      const writes = numbers(40).map((number) => ({
        key: keyOf(`p${number}`),
        text: randomBytes(100_000).toString("base64"),
      }));
      const { revision } = await store.commit(requestOf(writes));
      const [seen] = await other.history({ from: revision });
      assert.deepEqual(
        seen?.writes.map(({ key, text }) => ({ key, text })),
        writes,
      );
      const pieces = (): number =>
        cluster
          .control("get", "--prefix", `/${prefix}/part/`, "--keys-only")
          .split("\n")
          .filter(Boolean).length;
      assert.ok(pieces() >= 3);
      // The lease of the staging must not take them along.
      cluster
        .control("lease", "list")
        .split("\n")
        .filter((line) => /^[0-9a-f]+$/.test(line))
        .forEach((id) => cluster.control("lease", "revoke", id));
      assert.ok(pieces() >= 3);
      assert.deepEqual(await other.verify(), []);
      await store.commit(requestOf([{ key: keyOf("last"), text: "1" }]));
      await store.compact(revision + 1);
      assert.equal(pieces(), 0);
      assert.equal((await other.list({})).documents.length, 41);
      const late = await openAt(t, cluster, prefix);
      assert.equal((await late.list({})).documents.length, 41);
      assert.deepEqual(await late.verify(), []);
    },
  );

  test("a cluster that was set back is noticed", options, async (t) => {
    const cluster = await running();
    const prefix = prefixOf();
    const store = await openAt(t, cluster, prefix);
    await commitSurely(store, "1", "back-1");
    const early = cluster.control("get", `/${prefix}/head`, "--print-value-only").trim();
    await commitSurely(store, "2", "back-2");
    cluster.control("put", `/${prefix}/head`, early);
    await assert.rejects(store.head(), codeIs("STORE_CORRUPT"));
    await assert.rejects(
      store.commit(requestOf([{ key: keyOf("a"), text: "3" }])),
      codeIs("STORE_CORRUPT"),
    );
  });

  test(
    "keys of another program, or of a newer version, are refused and left as they are",
    options,
    async () => {
      const cluster = await running();
      for (const [key, value] of [
        ["theirs", "1"],
        ["format", '{"meridianStore":2}'],
      ]) {
        const prefix = prefixOf();
        cluster.control("put", `/${prefix}/${key}`, value ?? "");
        await assert.rejects(
          openEtcdStore(`etcd://${cluster.endpoints()}/${prefix}`),
          codeIs("STORE_FOREIGN"),
        );
        assert.equal(cluster.control("get", "--prefix", `/${prefix}/`).split("\n").length, 3);
      }
    },
  );
});
