// SPDX-License-Identifier: Apache-2.0

import assert from "node:assert/strict";
import { after, test } from "node:test";
import { storeContract, type OpenedStore } from "../store.contract.ts";
import { EtcdCluster, etcdMissing, openEtcdStore } from "../testing/etcd-cluster.ts";

const skip = etcdMissing();
let starting: Promise<EtcdCluster> | undefined;
let lastPrefix = 0;

const running = (): Promise<EtcdCluster> => (starting ??= EtcdCluster.start({ members: 3 }));
after(async () => (await starting)?.close());

async function open(): Promise<OpenedStore> {
  const cluster = await running();
  const prefix = `contract-${++lastPrefix}`;
  const one = await openEtcdStore(`etcd://${cluster.endpoints()}/${prefix}`);
  const other = await openEtcdStore(`etcd://${cluster.endpoints(2, 1, 0)}/${prefix}`);
  return {
    replicas: [one, other],
    close: async () => {
      await Promise.all([one.close(), other.close()]);
    },
  };
}

storeContract("etcd", { open, runs: 20, skip });

test("what is loaded takes the place of what is written meanwhile", { skip }, async (t) => {
  const { replicas, close } = await open();
  t.after(close);
  const [one, other] = replicas;
  const write = (name: string): Promise<unknown> =>
    other.commit({
      id: name,
      cause: "{}",
      writes: [{ key: { kind: "Pool", namespace: "default", name }, text: name }],
    });
  await write("before");
  const base = { revision: 7, changeSetId: "base", auditHash: "ab".repeat(32), atMs: 5 };
  const load = await one.startLoad({ storeId: "elsewhere", epoch: 1, base, replace: true });
  await write("meanwhile");
  assert.equal((await load.finish()).revision, 7);
  assert.deepEqual((await other.list({})).documents, []);
});
