// SPDX-License-Identifier: Apache-2.0

// What a store is made of, for suites that put something between its parts.

export { BackedStore } from "../store/backed-store.ts";
export { EtcdBackend } from "../store/etcd/etcd-backend.ts";
export { repeatOver, type EtcdStream, type EtcdWire } from "../store/etcd/etcd-connection.ts";
export {
  etcdMethods,
  type KeyValue,
  type RangeRequest,
  type RequestOp,
  type TxnRequest,
} from "../store/etcd/etcd-messages.ts";
export { SqliteBackend } from "../store/sqlite-backend.ts";
export type { StoreBackend } from "../store/store-backend.ts";
export { EtcdCluster, etcdMissing } from "../store/testing/etcd-cluster.ts";
