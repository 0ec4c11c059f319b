// SPDX-License-Identifier: Apache-2.0

// The store's keys in etcd (etcd-layout.ts), read and written. Nothing here remembers anything.

import { randomBytes, randomUUID } from "node:crypto";
import { headOf } from "../change-set.ts";
import { genesisHash, type ChangeSet, type Head, type StoredDocument } from "../store.ts";
import { corrupt, fenced, foreign, tooLarge, unavailable } from "../store-error.ts";
import { isServiceError, type EtcdWire } from "./etcd-connection.ts";
import {
  checkFormat,
  decodeChangeSet,
  decodeDocuments,
  decodeEtcdHead,
  decodeLogEntry,
  encodeBody,
  encodeEtcdHead,
  encodeFormat,
  encodeLogEntry,
  endOf,
  PARTS_MAX,
  partsOf,
  type EtcdHead,
  type EtcdLayout,
  type LogEntry,
  type Staged,
} from "./etcd-layout.ts";
import {
  CompareTarget,
  etcdMethods,
  type Compare,
  type KeyValue,
  type RequestOp,
} from "./etcd-messages.ts";

const STAGE_TTL_S = 60;
/** Values in one answer: pieces of a base or change set, of up to 1 MiB. */
const PIECES_A_PAGE = 16;
/** Change sets in one answer, of up to 256 KiB. */
const ENTRIES_A_PAGE = 64;

/** What became of a compare-and-set of head. */
export type Outcome = "done" | "headMoved" | "stageGone";

/** A lease that the transaction demands. */
export interface Fence {
  readonly name: string;
  readonly term: number;
}

export class EtcdLog {
  readonly #connection: EtcdWire;
  readonly #layout: EtcdLayout;
  readonly #isReadOnly: boolean;

  constructor(connection: EtcdWire, layout: EtcdLayout, isReadOnly: boolean) {
    this.#connection = connection;
    this.#layout = layout;
    this.#isReadOnly = isReadOnly;
  }

  /** Makes the prefix a store where it is empty. Throws STORE_FOREIGN where something else is there. */
  async found(): Promise<void> {
    const { format, all, head } = this.#layout;
    const { version } = await this.#connection.repeat(etcdMethods.status, {});
    if (!isNewEnough(version))
      throw foreign(`Cannot use etcd: it is version ${version}, expected 3.4 or later`);
    const [found] = await this.#range(format);
    if (found === undefined) {
      if (this.#isReadOnly)
        throw unavailable(`Cannot open the store at ${all.toString()} in etcd: there is none`);
      const range = { key: all, rangeEnd: endOf(all), countOnly: true };
      const { count } = await this.#connection.repeat(etcdMethods.range, range);
      if (count !== "0") checkFormat((await this.#range(format))[0]?.value, all.toString());
      const genesis: Head = { revision: 0, changeSetId: "", auditHash: genesisHash, atMs: 0 };
      const value = encodeEtcdHead({
        storeId: randomUUID(),
        epoch: 1,
        generation: newGeneration(1),
        head: genesis,
        base: { head: genesis, parts: 0 },
      });
      await this.#connection.repeat(etcdMethods.txn, {
        compare: [absent(format), absent(head)],
        success: [
          { requestPut: { key: format, value: encodeFormat() } },
          { requestPut: { key: head, value } },
        ],
        failure: [],
      });
    }
    checkFormat((await this.#range(format))[0]?.value, all.toString());
  }

  /** Goes to the quorum. */
  async readHead(): Promise<EtcdHead> {
    const [found] = await this.#range(this.#layout.head);
    if (found === undefined) throw corrupt("Cannot read head from etcd: it is gone");
    return decodeEtcdHead(found.value);
  }

  /** Change sets `from` to that of `head`, as far as one page of them goes. */
  async readEntries({ generation, head }: EtcdHead, from: number): Promise<LogEntry[]> {
    const { kvs } = await this.#connection.repeat(etcdMethods.range, {
      key: this.#layout.log(generation, from),
      rangeEnd: this.#layout.log(generation, head.revision + 1),
      limit: ENTRIES_A_PAGE,
    });
    return kvs.map(({ value }) => decodeLogEntry(value));
  }

  async readChangeSet(
    generation: string,
    { head, stage, parts, body }: LogEntry,
  ): Promise<ChangeSet> {
    if (parts === 0) return decodeChangeSet(head, body);
    const pieces = await this.#pieces(this.#layout.partsOf(generation, stage));
    if (pieces.length !== parts)
      throw corrupt(
        `Cannot read change set ${head.revision} from etcd: it has ${pieces.length} of ${parts} parts`,
      );
    return decodeChangeSet(head, Buffer.concat(pieces));
  }

  async readBase({ generation, base }: EtcdHead): Promise<StoredDocument[][]> {
    const pieces = await this.#pieces(this.#layout.baseOf(generation, base.head.revision));
    if (pieces.length !== base.parts)
      throw corrupt(
        `Cannot read the documents of revision ${base.head.revision} from etcd: ${pieces.length} of ${base.parts} parts are there`,
      );
    return pieces.map(decodeDocuments);
  }

  /** Writes what is too long for one transaction; it goes by itself in a minute unless `commit` takes it. */
  async stage(generation: string, change: Pick<ChangeSet, "cause" | "writes">): Promise<Staged> {
    const body = encodeBody(change);
    if (partsOf(body).length === 0) return { stage: "", parts: 0, body };
    const { id } = await this.#connection.repeat(etcdMethods.leaseGrant, { ttl: STAGE_TTL_S });
    return this.#putBody(generation, body, id);
  }

  async #putBody(generation: string, body: Buffer, lease?: string): Promise<Staged> {
    const pieces = partsOf(body);
    if (pieces.length > PARTS_MAX)
      throw tooLarge(`${pieces.length} MiB where compressed`, `${PARTS_MAX} MiB`);
    const stage = pieces.length === 0 ? "" : randomBytes(8).toString("hex");
    for (const [number, value] of pieces.entries()) {
      const put = { key: this.#layout.part(generation, stage, number), value };
      await this.#connection.repeat(etcdMethods.put, lease === undefined ? put : { ...put, lease });
    }
    return { stage, parts: pieces.length, body };
  }

  /**
   * Replaces head by the next one together with its change set, if it is still what it was. Throws STORE_FENCED; STORE_UNAVAILABLE leaves open whether
   * it happened.
   */
  async commit(
    before: EtcdHead,
    next: Head,
    staged: Staged,
    fence: Fence | undefined,
  ): Promise<Outcome> {
    const { generation } = before;
    const layout = this.#layout;
    const entry = encodeLogEntry({ head: next, ...staged });
    const parts = Array.from({ length: staged.parts }, (_, number) => ({
      requestPut: { key: layout.part(generation, staged.stage, number), ignoreValue: true },
    }));
    return this.#replaceHead(
      before,
      { ...before, head: next },
      [{ requestPut: { key: layout.log(generation, next.revision), value: entry } }, ...parts],
      fence,
    );
  }

  /** As `commit`, for a head that names another base or another generation. */
  setHead(before: EtcdHead, next: EtcdHead, fence: Fence | undefined): Promise<Outcome> {
    return this.#replaceHead(before, next, [], fence);
  }

  async putBasePart(
    generation: string,
    revision: number,
    number: number,
    value: Buffer,
  ): Promise<void> {
    const key = this.#layout.base(generation, revision, number);
    await this.#connection.repeat(etcdMethods.put, { key, value });
  }

  /** Without a compare: for a generation that no head leads to yet. */
  async putChangeSet(generation: string, changeSet: ChangeSet): Promise<void> {
    const staged = await this.#putBody(generation, encodeBody(changeSet));
    const head = headOf(changeSet);
    const key = this.#layout.log(generation, head.revision);
    await this.#connection.repeat(etcdMethods.put, {
      key,
      value: encodeLogEntry({ head, ...staged }),
    });
  }

  /** Deletes what lies before the base, and bases that are none any more. */
  async deleteBefore({ generation, base }: EtcdHead): Promise<void> {
    const { revision } = base.head;
    const range = {
      key: this.#layout.logOf(generation),
      rangeEnd: this.#layout.log(generation, revision),
    };
    for (;;) {
      const request = { ...range, limit: ENTRIES_A_PAGE };
      const { kvs } = await this.#connection.repeat(etcdMethods.range, request);
      const last = kvs.at(-1);
      if (last === undefined) break;
      for (const { value } of kvs) {
        const { stage, parts } = decodeLogEntry(value);
        if (parts > 0) await this.#deleteAll(this.#layout.partsOf(generation, stage));
      }
      await this.#connection.repeat(etcdMethods.deleteRange, {
        key: range.key,
        rangeEnd: Buffer.concat([last.key, Buffer.of(0)]),
      });
    }
    const bases = this.#layout.basesOf(generation);
    const present = this.#layout.baseOf(generation, revision);
    await this.#connection.repeat(etcdMethods.deleteRange, { key: bases, rangeEnd: present });
    await this.#connection.repeat(etcdMethods.deleteRange, {
      key: endOf(present),
      rangeEnd: endOf(bases),
    });
  }

  /** Deletes every generation but this one. */
  async deleteOthers(generation: string): Promise<void> {
    for (const folder of this.#layout.generationFolders) {
      const present = Buffer.concat([folder, Buffer.from(`${generation}/`)]);
      await this.#connection.repeat(etcdMethods.deleteRange, { key: folder, rangeEnd: present });
      await this.#connection.repeat(etcdMethods.deleteRange, {
        key: endOf(present),
        rangeEnd: endOf(folder),
      });
    }
  }

  async #replaceHead(
    before: EtcdHead,
    next: EtcdHead,
    others: readonly RequestOp[],
    fence: Fence | undefined,
  ): Promise<Outcome> {
    const { head } = this.#layout;
    const isBefore = { key: head, target: CompareTarget.value, value: encodeEtcdHead(before) };
    const fences: Compare[] =
      fence === undefined
        ? []
        : [
            {
              key: this.#layout.lease(fence.name),
              target: CompareTarget.createRevision,
              createRevision: String(fence.term),
            },
          ];
    try {
      const { succeeded, responses } = await this.#connection.once(etcdMethods.txn, {
        compare: [isBefore, ...fences],
        success: [{ requestPut: { key: head, value: encodeEtcdHead(next) } }, ...others],
        failure: [{ requestRange: { key: head } }],
      });
      if (succeeded) return "done";
      const found = responses[0]?.responseRange?.kvs[0];
      if (fence !== undefined && found?.value.equals(isBefore.value) === true)
        throw fenced(fence.name, fence.term);
      return "headMoved";
    } catch (error) {
      if (isServiceError(error) && /key not found/.test(error.details)) return "stageGone";
      throw error;
    }
  }

  async #pieces(prefix: Buffer): Promise<Buffer[]> {
    const pieces: Buffer[] = [];
    let from = prefix;
    for (;;) {
      const { kvs, more } = await this.#connection.repeat(etcdMethods.range, {
        key: from,
        rangeEnd: endOf(prefix),
        limit: PIECES_A_PAGE,
      });
      pieces.push(...kvs.map(({ value }) => value));
      const last = kvs.at(-1);
      if (!more || last === undefined) return pieces;
      from = Buffer.concat([last.key, Buffer.of(0)]);
    }
  }

  async #range(key: Buffer): Promise<readonly KeyValue[]> {
    return (await this.#connection.repeat(etcdMethods.range, { key })).kvs;
  }

  async #deleteAll(prefix: Buffer): Promise<void> {
    await this.#connection.repeat(etcdMethods.deleteRange, {
      key: prefix,
      rangeEnd: endOf(prefix),
    });
  }
}

function isNewEnough(version: string): boolean {
  const [major = 0, minor = 0] = version.split(".").map(Number);
  return major > 3 || (major === 3 && minor >= 4);
}

/** Ones that are written at the same time do not mix. */
export function newGeneration(epoch: number): string {
  return `${epoch}-${randomBytes(4).toString("hex")}`;
}

function absent(key: Buffer): Compare {
  return { key, target: CompareTarget.createRevision, createRevision: "0" };
}
