// SPDX-License-Identifier: Apache-2.0

// What a store is made of, for suites that put something between its parts.

export { BackedStore } from "../store/backed-store.ts";
export { SqliteBackend } from "../store/sqlite-backend.ts";
export type { StoreBackend } from "../store/store-backend.ts";
export { EtcdCluster, etcdMissing } from "../store/testing/etcd-cluster.ts";
