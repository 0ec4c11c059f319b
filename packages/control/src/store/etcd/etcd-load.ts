// SPDX-License-Identifier: Apache-2.0

// Filling the store in etcd with the state of another: all of it is written as a generation of its own, to which head is then switched over.

import { auditHashOf, headOf } from "../change-set.ts";
import type { ChangeSet, Head, LoadStart, StoredDocument } from "../store.ts";
import { corrupt, headConflict, notEmpty } from "../store-error.ts";
import { encodeDocuments, PART_BYTES, type EtcdHead } from "./etcd-layout.ts";
import { newGeneration, type EtcdLog } from "./etcd-log.ts";
import type { EtcdMirror } from "./etcd-mirror.ts";

export class EtcdLoad {
  readonly #log: EtcdLog;
  readonly #before: EtcdHead;
  readonly #target: EtcdHead;
  #parts = 0;
  #head: Head;

  private constructor(log: EtcdLog, before: EtcdHead, target: EtcdHead) {
    this.#log = log;
    this.#before = before;
    this.#target = target;
    this.#head = target.head;
  }

  static async start(log: EtcdLog, mirror: EtcdMirror, start: LoadStart): Promise<EtcdLoad> {
    const before = await mirror.catchUp();
    const { revision } = before.head;
    if (revision > 0 && !start.replace) throw notEmpty(revision);
    const epoch = revision === 0 ? start.epoch : Math.max(start.epoch, before.epoch + 1);
    return new EtcdLoad(log, before, {
      storeId: start.storeId,
      epoch,
      generation: newGeneration(epoch),
      head: start.base,
      base: { head: start.base, parts: 0 },
    });
  }

  async documents(batch: readonly StoredDocument[]): Promise<void> {
    const piece = encodeDocuments(batch);
    if (piece.length > PART_BYTES && batch.length > 1) {
      const half = Math.ceil(batch.length / 2);
      await this.documents(batch.slice(0, half));
      await this.documents(batch.slice(half));
      return;
    }
    const { generation, base } = this.#target;
    await this.#log.putBasePart(generation, base.head.revision, this.#parts, piece);
    this.#parts++;
  }

  async changeSets(batch: readonly ChangeSet[]): Promise<void> {
    const { generation, base } = this.#target;
    for (const changeSet of batch) {
      const { revision, auditHash } = changeSet;
      const isNext =
        revision === this.#head.revision + 1 &&
        auditHashOf(this.#head.auditHash, changeSet) === auditHash;
      if (!isNext && revision !== base.head.revision)
        throw corrupt(`Cannot load change set ${revision}: it does not continue the audit chain`);
      await this.#log.putChangeSet(generation, changeSet);
      this.#head = headOf(changeSet);
    }
  }

  async finish(): Promise<void> {
    const { base } = this.#target;
    const next = { ...this.#target, head: this.#head, base: { ...base, parts: this.#parts } };
    if ((await this.#log.setHead(this.#before, next, undefined)) !== "done") {
      const { head } = await this.#log.readHead();
      throw headConflict(this.#before.head.revision, head.revision);
    }
    await this.#log.deleteOthers(next.generation);
  }

  /** Deletes what was written of it. */
  abort(): Promise<void> {
    return this.#log.deleteOthers(this.#before.generation);
  }
}
