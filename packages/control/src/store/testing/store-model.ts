// SPDX-License-Identifier: Apache-2.0

// The slow, obvious twin of a store: change sets in a list, and every question answered by replaying it.

import { auditHashOf } from "../change-set.ts";
import {
  genesisHash,
  type ChangeSet,
  type ChangeSetRequest,
  type DocumentKey,
  type Head,
  type StoredDocument,
} from "../store.ts";

export type Refusal = { readonly refused: string };

const sameKey = (a: DocumentKey, b: DocumentKey): boolean =>
  a.kind === b.kind && a.namespace === b.namespace && a.name === b.name;

const order = (a: DocumentKey, b: DocumentKey): number => {
  const [left, right] = [a, b].map(({ kind, namespace, name }) => [kind, namespace, name]);
  for (let part = 0; part < 3; part++) {
    const [one = "", other = ""] = [left?.[part], right?.[part]];
    if (one !== other) return one < other ? -1 : 1;
  }
  return 0;
};

export class StoreModel {
  readonly changeSets: ChangeSet[] = [];
  oldest = 0;

  get revision(): number {
    return this.changeSets.length;
  }

  /** `committed` is what the store made of it: time and hash are taken from there once the hash is found right. */
  commit(request: ChangeSetRequest, committed: Head | undefined): Head | Refusal {
    const known = this.changeSets.find(({ changeSetId }) => changeSetId === request.id);
    if (known !== undefined) return headOf(known);
    if (request.ifHead !== undefined && request.ifHead !== this.revision)
      return { refused: "STORE_CONFLICT" };
    for (const { key, ifRevision } of request.writes)
      if (ifRevision !== undefined && ifRevision !== (this.#at(key, this.revision)?.revision ?? 0))
        return { refused: "STORE_CONFLICT" };
    const next = {
      revision: this.revision + 1,
      changeSetId: request.id,
      atMs: committed?.atMs ?? 0,
      cause: request.cause,
      writes: request.writes.map(({ key, text }) => ({ key, text })),
    };
    const auditHash = auditHashOf(this.changeSets.at(-1)?.auditHash ?? genesisHash, next);
    this.changeSets.push({ ...next, auditHash });
    return headOf({ ...next, auditHash });
  }

  /** Whether a replica knows an id of before the last compaction is open. */
  hasForgotten(id: string): boolean {
    return this.changeSets.some(
      ({ changeSetId, revision }) => changeSetId === id && revision < this.oldest,
    );
  }

  get(key: DocumentKey, revision: number): StoredDocument | undefined | Refusal {
    return this.#refusal(revision) ?? this.#at(key, revision);
  }

  list(
    { kind, namespace }: { kind?: string | undefined; namespace?: string | undefined },
    revision: number,
  ): StoredDocument[] | Refusal {
    const refusal = this.#refusal(revision);
    if (refusal !== undefined) return refusal;
    const keys: DocumentKey[] = [];
    for (const { writes } of this.changeSets)
      for (const { key } of writes) if (!keys.some((known) => sameKey(known, key))) keys.push(key);
    return keys
      .toSorted(order)
      .filter((key) => kind === undefined || key.kind === kind)
      .filter((key) => namespace === undefined || key.namespace === namespace)
      .flatMap((key) => this.#at(key, revision) ?? []);
  }

  /** Undefined where history before it is gone. */
  changesAfter(revision: number): ChangeSet[] | undefined {
    return revision + 1 < this.oldest ? undefined : this.changeSets.slice(revision);
  }

  /** As `history` of one document, oldest first. */
  history(key: DocumentKey): ChangeSet[] {
    return this.changeSets
      .filter(({ revision }) => revision >= Math.max(1, this.oldest))
      .flatMap((changeSet) =>
        changeSet.writes
          .filter((write) => sameKey(write.key, key))
          .map((write) => {
            const before = this.#at(key, changeSet.revision - 1)?.text;
            const isKnown = changeSet.revision > this.oldest;
            return { ...changeSet, writes: [{ ...write, before: isKnown ? before : undefined }] };
          }),
      );
  }

  compact(revision: number): Refusal | undefined {
    const refusal = this.#refusal(revision);
    if (refusal === undefined) this.oldest = revision;
    return refusal;
  }

  #refusal(revision: number): Refusal | undefined {
    if (revision > this.revision) return { refused: "STORE_REVISION_UNKNOWN" };
    return revision < this.oldest ? { refused: "STORE_COMPACTED" } : undefined;
  }

  #at(key: DocumentKey, revision: number): StoredDocument | undefined {
    let found: StoredDocument | undefined;
    for (const { revision: at, writes } of this.changeSets.slice(0, revision))
      for (const write of writes) {
        if (!sameKey(write.key, key)) continue;
        found =
          write.text === undefined
            ? undefined
            : {
                key,
                text: write.text,
                revision: at,
                createdRevision: found?.createdRevision ?? at,
              };
      }
    return found;
  }
}

function headOf({ revision, changeSetId, auditHash, atMs }: Head): Head {
  return { revision, changeSetId, auditHash, atMs };
}
