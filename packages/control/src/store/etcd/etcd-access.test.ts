// SPDX-License-Identifier: Apache-2.0

// Certificates, users and the way of a store into etcd and out of it.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { openStore } from "../open-store.ts";
import { codeIs, keyOf, requestOf } from "../store.contract.ts";
import { copyOf, loadCopy } from "../store-copy.ts";
import { EtcdCluster, etcdMissing, openEtcdStore } from "../testing/etcd-cluster.ts";

const skip = etcdMissing();

function folderFor(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), "meridian-access-"));
  t.after(() => rmSync(folder, { recursive: true }));
  return folder;
}

test(
  "etcd with users: the password is asked for where it stands, and tokens that are over are replaced",
  { skip, timeout: 120_000 },
  async (t) => {
    const folder = folderFor(t);
    const cluster = await EtcdCluster.start({
      members: 1,
      flags: ["--auth-token-ttl", "1"],
    });
    t.after(() => cluster.close());
    cluster.control("user", "add", "root:geheim");
    cluster.control("user", "grant-role", "root", "root");
    cluster.control("user", "add", "meridian:right");
    cluster.control("role", "add", "meridian");
    cluster.control("role", "grant-permission", "meridian", "--prefix=true", "readwrite", "/m/");
    cluster.control("user", "grant-role", "meridian", "meridian");
    cluster.control("auth", "enable");
    const password = join(folder, "password");
    writeFileSync(password, "right\n");
    const place = (prefix: string, query: string): string =>
      `etcd://${cluster.endpoints()}/${prefix}${query}`;
    const withPassword = `?user=meridian&password-file=${password}`;

    const store = await openEtcdStore(place("m", withPassword));
    t.after(() => store.close());
    const watched = (async (): Promise<number> => {
      for await (const { revision } of store.watch(0, new AbortController().signal))
        if (revision === 2) return revision;
      return 0;
    })();
    await store.commit(requestOf([{ key: keyOf("a"), text: "1" }]));
    // Tokens last a second where they are not used.
    cluster.pause(0);
    await sleep(1500);
    cluster.resume(0);
    await store.commit(requestOf([{ key: keyOf("a"), text: "2" }]));
    assert.equal(await watched, 2);
    const lease = await store.acquireLease("leader", "me", 2000, new AbortController().signal);
    await lease.release();

    await assert.rejects(
      openEtcdStore(place("other", withPassword)),
      codeIs("STORE_ACCESS_DENIED"),
    );
    await assert.rejects(openEtcdStore(place("m", "")), codeIs("STORE_ACCESS_DENIED"));
    const missing = `?user=meridian&password-file=${password}.none`;
    await assert.rejects(openEtcdStore(place("m", missing)), codeIs("STORE_ACCESS_DENIED"));
    process.env["MERIDIAN_TEST_ETCD"] = "wrong";
    const wrong = "?user=meridian&password-env=MERIDIAN_TEST_ETCD";
    await assert.rejects(openEtcdStore(place("m", wrong)), codeIs("STORE_ACCESS_DENIED"));
  },
);

function certificate(folder: string, name: string, issuer?: string): void {
  const signing =
    issuer === undefined
      ? ["-addext", "basicConstraints=critical,CA:TRUE"]
      : [
          ...["-CA", join(folder, `${issuer}.pem`), "-CAkey", join(folder, `${issuer}.key`)],
          ...["-addext", "basicConstraints=critical,CA:FALSE"],
          ...["-addext", "subjectAltName=IP:127.0.0.1"],
        ];
  execFileSync(
    "openssl",
    [
      ...["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"],
      ...["-days", "2", "-subj", `/CN=${name}`, ...signing],
      ...["-keyout", join(folder, `${name}.key`), "-out", join(folder, `${name}.pem`)],
    ],
    { stdio: "ignore" },
  );
}

test(
  "etcd over TLS: its certificate is checked, and ours is shown",
  { skip, timeout: 120_000 },
  async (t) => {
    const folder = folderFor(t);
    for (const [name, issuer] of [["ca"], ["other"], ["server", "ca"], ["client", "ca"]] as const)
      certificate(folder, name, issuer);
    const path = (name: string): string => join(folder, name);
    const cluster = await EtcdCluster.start({
      members: 1,
      scheme: "https",
      flags: [
        ...["--cert-file", path("server.pem"), "--key-file", path("server.key")],
        ...["--client-cert-auth", "--trusted-ca-file", path("ca.pem")],
      ],
    });
    t.after(() => cluster.close());
    const open = (query: string): ReturnType<typeof openEtcdStore> =>
      openEtcdStore(`etcd://${cluster.endpoints()}/tls?${query}`);
    const ours = `cert=${path("client.pem")}&key=${path("client.key")}`;
    const trying = async (): ReturnType<typeof openEtcdStore> => {
      try {
        return await open(`ca=${path("ca.pem")}&${ours}`);
      } catch (error) {
        if (!codeIs("STORE_UNAVAILABLE")(error)) throw error;
        return trying();
      }
    };
    const store = await trying();
    t.after(() => store.close());
    await store.commit(requestOf([{ key: keyOf("a"), text: "1" }]));
    assert.equal((await store.head()).revision, 1);
    await Promise.all([
      assert.rejects(open(`ca=${path("other.pem")}&${ours}`), codeIs("STORE_UNAVAILABLE")),
      assert.rejects(open(`ca=${path("ca.pem")}`), codeIs("STORE_UNAVAILABLE")),
      // The certificate names the address, not this name of it.
      assert.rejects(
        openEtcdStore(
          `etcd://${cluster.endpoints().replace("127.0.0.1", "localhost")}/tls?ca=${path("ca.pem")}&${ours}`,
        ),
        codeIs("STORE_UNAVAILABLE"),
      ),
      assert.rejects(open("user=a&password-env=NONE"), codeIs("STORE_ACCESS_DENIED")),
      assert.rejects(open(`ca=${path("none.pem")}`), codeIs("STORE_ACCESS_DENIED")),
    ]);
  },
);

test(
  "a store goes into etcd and out again with its revisions and audit chain; who watches is told",
  { skip, timeout: 120_000 },
  async (t) => {
    const folder = folderFor(t);
    const cluster = await EtcdCluster.start({ members: 1 });
    t.after(() => cluster.close());
    const openAt = async (name: string): ReturnType<typeof openEtcdStore> => {
      const path = join(folder, name);
      const store = await openStore({ kind: "sqlite", path, isReadOnly: false }, assert.fail);
      t.after(() => store.close());
      return store;
    };
    const source = await openAt("source.sqlite");
    for (let number = 1; number <= 200; number++)
      await source.commit(
        requestOf([
          { key: keyOf(`p${number % 17}`), text: number % 5 === 0 ? undefined : `${number}` },
        ]),
      );
    await source.compact(20);
    const middle = await openEtcdStore(`etcd://${cluster.endpoints()}/copy`);
    t.after(() => middle.close());
    const replica = await openEtcdStore(`etcd://${cluster.endpoints()}/copy`);
    t.after(() => replica.close());
    await replica.commit(requestOf([{ key: keyOf("old"), text: "old" }]));
    const watch = replica.watch(0, new AbortController().signal)[Symbol.asyncIterator]();
    await watch.next();

    const load = { replace: true, wallMs: 0, onProgress: (): void => undefined };
    const { epoch } = await loadCopy(middle, await copyOf(source), load);
    await assert.rejects(watch.next(), codeIs("STORE_COMPACTED"));
    const target = await openAt("target.sqlite");
    await loadCopy(target, await copyOf(replica), load);
    const [before, after] = [await source.head(), await target.head()];
    assert.deepEqual(after, { ...before, epoch: epoch + 1 });
    assert.deepEqual(await target.history({}), await source.history({}));
    for (const revision of [20, 111, 200])
      assert.deepEqual(await replica.list({ revision }), await source.list({ revision }));
    assert.deepEqual([...(await replica.verify()), ...(await target.verify())], []);
  },
);
