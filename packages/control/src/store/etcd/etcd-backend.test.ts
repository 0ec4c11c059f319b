// SPDX-License-Identifier: Apache-2.0

import { after } from "node:test";
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
