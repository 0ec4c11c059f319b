// SPDX-License-Identifier: Apache-2.0

import { MeridianError } from "@meridian/core";
import { auditHashOf } from "../change-set.ts";
import type { Head } from "../store.ts";
import type { EtcdHead } from "./etcd-layout.ts";
import type { EtcdLog } from "./etcd-log.ts";

/** What is wrong with the log in etcd: reads all of it, parts and base included. Ends at the first thing that cannot be read. */
export async function verifyEtcd(log: EtcdLog, head: EtcdHead): Promise<string[]> {
  try {
    await log.readBase(head);
    let before: Head = head.base.head;
    while (before.revision < head.head.revision) {
      const entries = await log.readEntries(head, before.revision + 1);
      if (entries.length === 0) return [`Change set ${before.revision + 1} is missing in etcd`];
      for (const entry of entries) {
        const changeSet = await log.readChangeSet(head.generation, entry);
        const { revision, auditHash } = changeSet;
        if (revision !== before.revision + 1)
          return [`Change set ${before.revision + 1} is missing in etcd`];
        if (auditHashOf(before.auditHash, changeSet) !== auditHash)
          return [`Change set ${revision} in etcd does not continue the audit chain`];
        before = changeSet;
      }
    }
    return [];
  } catch (error) {
    if (error instanceof MeridianError && error.code === "STORE_CORRUPT") return [error.message];
    throw error;
  }
}
