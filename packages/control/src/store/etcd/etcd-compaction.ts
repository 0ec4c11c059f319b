// SPDX-License-Identifier: Apache-2.0

// Compaction of the log: the documents of the new oldest revision are written as a base, head is made to name it, and what came before is deleted. One
// replica at a time, under a lease that the change of head demands; one that dies on the way leaves pieces that the next compaction deletes.

import type { HeldLease } from "../store-backend.ts";
import { pageDocumentsMax, type DocumentPage } from "../store.ts";
import { fenced, unavailable } from "../store-error.ts";
import { encodeDocuments, PART_BYTES, type EtcdHead } from "./etcd-layout.ts";
import type { EtcdLeases } from "./etcd-leases.ts";
import type { EtcdLog } from "./etcd-log.ts";
import type { EtcdMirror } from "./etcd-mirror.ts";

const LEASE_NAME = "store-compaction";
const LEASE_TTL_MS = 60_000;
/** Documents tried for one piece; where compressed they exceed it, half as many. */
const PIECE_DOCUMENTS = 4000;

export class EtcdCompaction {
  readonly #log: EtcdLog;
  readonly #leases: EtcdLeases;
  readonly #mirror: EtcdMirror;

  constructor(log: EtcdLog, leases: EtcdLeases, mirror: EtcdMirror) {
    this.#log = log;
    this.#leases = leases;
    this.#mirror = mirror;
  }

  async run(beforeRevision: number): Promise<void> {
    const { database } = this.#mirror;
    const head = await this.#mirror.catchUp();
    database.checkReadable(beforeRevision);
    if (beforeRevision === head.base.head.revision) return;
    const lease = await this.#leases.tryAcquire(LEASE_NAME, "compaction", LEASE_TTL_MS);
    if (lease === undefined)
      throw unavailable("Cannot compact the store: another replica is at it");
    try {
      const parts = await this.#writeBase(head.generation, beforeRevision, lease);
      const done = await this.#nameBase(beforeRevision, parts, lease);
      await this.#log.deleteBefore(done);
      await this.#mirror.catchUp();
    } finally {
      await this.#leases.release(lease);
    }
  }

  async #writeBase(generation: string, revision: number, lease: HeldLease): Promise<number> {
    let number = 0;
    let limit = Math.min(PIECE_DOCUMENTS, pageDocumentsMax);
    let after: DocumentPage["documents"][number]["key"] | undefined;
    for (;;) {
      const { documents, continue: more } = this.#mirror.database.reader.page({
        revision,
        isHead: false,
        limit,
        after,
      });
      const piece = encodeDocuments(documents);
      if (piece.length > PART_BYTES && documents.length > 1) {
        limit = Math.ceil(documents.length / 2);
        continue;
      }
      await this.#log.putBasePart(generation, revision, number, piece);
      number++;
      if (more === undefined) return number;
      after = documents.at(-1)?.key;
      if (!(await this.#leases.renew(lease))) throw fenced(lease.name, lease.term);
    }
  }

  /** Commits go on meanwhile, so head may move a few times before this succeeds. */
  async #nameBase(revision: number, parts: number, lease: HeldLease): Promise<EtcdHead> {
    for (;;) {
      const before = await this.#mirror.catchUp();
      const head = this.#mirror.database.reader.headOfRevision(revision);
      if (head === undefined) throw unavailable("Cannot compact the store: it was replaced");
      const next = { ...before, base: { head, parts } };
      if ((await this.#log.setHead(before, next, lease)) === "done") return next;
    }
  }
}
