// SPDX-License-Identifier: Apache-2.0

// Filling the store in etcd with the state of another: all of it is written as a generation of its own, to which head is then switched over.

import { auditHashOf, headOf } from "../change-set.ts";
import type { ChangeSet, Head, LoadStart, StoredDocument } from "../store.ts";
import { corrupt, headConflict, notEmpty } from "../store-error.ts";
import { encodeDocuments, PART_BYTES, type EtcdHead } from "./etcd-layout.ts";
import { newGeneration, type EtcdLog } from "./etcd-log.ts";
import type { EtcdMirror } from "./etcd-mirror.ts";

/** As many change sets may come in the moment of the switch. */
const SWITCHES_MAX = 100;

export class EtcdLoad {
  readonly #log: EtcdLog;
  /** What is there until it is finished. */
  #before: EtcdHead;
  readonly #replaces: boolean;
  readonly #target: EtcdHead;
  #parts = 0;
  #head: Head;

  private constructor(log: EtcdLog, before: EtcdHead, replaces: boolean, target: EtcdHead) {
    this.#log = log;
    this.#before = before;
    this.#replaces = replaces;
    this.#target = target;
    this.#head = target.head;
  }

  static async start(log: EtcdLog, mirror: EtcdMirror, start: LoadStart): Promise<EtcdLoad> {
    const before = await mirror.catchUp();
    const { revision } = before.head;
    if (revision > 0 && !start.replace) throw notEmpty(revision);
    const epoch = revision === 0 ? start.epoch : Math.max(start.epoch, before.epoch + 1);
    return new EtcdLoad(log, before, start.replace, {
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
    let tries = SWITCHES_MAX;
    while ((await this.#log.setHead(this.#before, next, undefined)) !== "done") {
      const now = await this.#log.readHead();
      // Controls that run write on: what takes the place of all else takes that of their last change set, too. Another load came first for good.
      const goesOn = this.#replaces && now.generation === this.#before.generation && --tries > 0;
      if (!goesOn) throw headConflict(this.#before.head.revision, now.head.revision);
      this.#before = now;
    }
    await this.#log.deleteOthers(next.generation);
  }

  /** Deletes what was written of it. */
  abort(): Promise<void> {
    return this.#log.deleteOthers(this.#before.generation);
  }
}
