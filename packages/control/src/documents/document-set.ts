// SPDX-License-Identifier: Apache-2.0

// The documents of the store that the compiler reads beside the files, at one revision. They go to it as JSON lines, so that a problem's
// file and line lead back to the document.

import { createHash } from "node:crypto";
import { MeridianError, hash32 } from "@meridian/core";
import { isKind, type InputFile } from "@meridian/model";
import type { DocumentKey, Store, StoredDocument } from "../store/store.ts";
import { formatKey } from "./document-key.ts";
import { plainDocument } from "./document-text.ts";

/** Files of lines that the documents are spread over by their keys; each may have 64 MiB. */
const BUCKETS = 64;
const PAGE_DOCUMENTS = 1000;
/** What the files of lines are called: no path on a disk is. */
const FILE_NAME = /^\0store-([0-9]+)\.jsonl$/;

/** Documents with the texts that the compiler reads. */
export interface CompilerFiles {
  readonly files: readonly InputFile[];
  /** The document of a place in these files; undefined for a file on disk. */
  keyAt(file: string, line: number): DocumentKey | undefined;
}

interface Entry {
  readonly document: Pick<StoredDocument, "key" | "text" | "revision" | "createdRevision">;
  readonly line: string;
}

export class DocumentSet {
  readonly revision: number;
  readonly #entries: ReadonlyMap<string, Entry>;
  #buckets: readonly Bucket[] | undefined;
  /** Files of the set that this one was made of, and the names that have changed since. */
  #before: { readonly made: readonly Bucket[]; readonly changed: readonly string[] } | undefined;

  private constructor(
    revision: number,
    entries: ReadonlyMap<string, Entry>,
    before?: DocumentSet,
    changed: readonly string[] = [],
  ) {
    this.revision = revision;
    this.#entries = entries;
    const made = before === undefined ? undefined : before.#buckets;
    if (made !== undefined) this.#before = { made, changed };
  }

  /** None, as of before the first change set. */
  static readonly empty: DocumentSet = new DocumentSet(0, new Map());

  /** Everything that the store holds now. */
  static async load(store: Store): Promise<DocumentSet> {
    const entries = new Map<string, Entry>();
    let revision: number | undefined;
    let from: string | undefined;
    do {
      const page = await store.list({
        limit: PAGE_DOCUMENTS,
        ...(revision === undefined ? {} : { revision }),
        ...(from === undefined ? {} : { continue: from }),
      });
      revision = page.revision;
      for (const document of page.documents)
        entries.set(formatKey(document.key), entryOf(document));
      from = page.continue;
    } while (from !== undefined);
    return new DocumentSet(revision, entries);
  }

  /** The set that the store holds now; this one where nothing has changed. */
  async refreshed(store: Store): Promise<DocumentSet> {
    const head = await store.head();
    if (head.revision === this.revision) return this;
    if (this.revision < head.oldestRevision || this.revision > head.revision || this.revision === 0)
      return DocumentSet.load(store);
    try {
      return await this.#caughtUp(store, head.revision);
    } catch (error) {
      if (error instanceof MeridianError && error.code === "STORE_COMPACTED")
        return DocumentSet.load(store);
      throw error;
    }
  }

  async #caughtUp(store: Store, revision: number): Promise<DocumentSet> {
    const entries = new Map(this.#entries);
    const changed: string[] = [];
    let at = this.revision;
    while (at < revision) {
      const page = await store.history({ from: at + 1, to: revision });
      for (const { writes, revision: written } of page) {
        put(entries, writes, written);
        for (const { key } of writes) changed.push(formatKey(key));
        at = written;
      }
      if (page.length === 0) return DocumentSet.load(store);
    }
    return new DocumentSet(revision, entries, this, changed);
  }

  get(key: DocumentKey): Entry["document"] | undefined {
    return this.#entries.get(formatKey(key))?.document;
  }

  /** All documents of a kind. */
  *ofKind(kind: string): Generator<Entry["document"]> {
    for (const { document } of this.#entries.values())
      if (document.key.kind === kind) yield document;
  }

  /** Every document that the compiler reads. */
  *compiled(): Generator<Entry["document"]> {
    for (const { document } of this.#entries.values())
      if (isKind(document.key.kind)) yield document;
  }

  /** The set after some writes, as they will stand at `revision`. */
  with(
    writes: readonly { readonly key: DocumentKey; readonly text: string | undefined }[],
    revision: number,
  ): DocumentSet {
    const entries = new Map(this.#entries);
    put(entries, writes, revision);
    const changed = writes.map(({ key }) => formatKey(key));
    return new DocumentSet(revision, entries, this, changed);
  }

  /** Only files in which a document has changed are others than those of the set that this one was made of. */
  compilerFiles(): CompilerFiles {
    const buckets = (this.#buckets ??= this.#makeBuckets());
    return {
      files: buckets.filter(({ keys }) => keys.length > 0).map(({ file }) => file),
      keyAt: (file, line) => {
        const index = FILE_NAME.exec(file)?.[1];
        return index === undefined ? undefined : buckets[Number(index)]?.keys[line - 1];
      },
    };
  }

  #makeBuckets(): readonly Bucket[] {
    const names: string[][] = Array.from({ length: BUCKETS }, () => []);
    const { made, changed } = this.#before ?? { made: undefined, changed: undefined };
    const stale = new Set([...(changed ?? [])].map(bucketOf));
    for (const [name, { document }] of this.#entries) {
      const bucket = bucketOf(name);
      const isNeeded = made === undefined || stale.has(bucket);
      if (isNeeded && isKind(document.key.kind)) names[bucket]?.push(name);
    }
    this.#before = undefined;
    return names.map((each, index) => {
      const known = made?.[index];
      if (known !== undefined && !stale.has(index)) return known;
      // In the order of keys, so that equal sets compile to equal bytes whatever their history.
      const entries = each.toSorted().flatMap((name) => this.#entries.get(name) ?? []);
      const bytes = Buffer.from(entries.map(({ line }) => line).join("\n"));
      const version = createHash("sha256").update(bytes).digest("hex");
      const file = { path: `\0store-${index}.jsonl`, bytes, version };
      return { keys: entries.map(({ document }) => document.key), file };
    });
  }
}

/** Documents that are read together; the compiler reads again only those of which one has changed. */
interface Bucket {
  readonly keys: readonly DocumentKey[];
  readonly file: InputFile;
}

function bucketOf(name: string): number {
  const bytes = Buffer.from(name);
  return hash32(bytes, 0, bytes.length, 0) % BUCKETS;
}

function put(
  entries: Map<string, Entry>,
  writes: readonly { readonly key: DocumentKey; readonly text: string | undefined }[],
  revision: number,
): void {
  for (const { key, text } of writes) {
    const name = formatKey(key);
    const createdRevision = entries.get(name)?.document.createdRevision ?? revision;
    if (text === undefined) entries.delete(name);
    else entries.set(name, entryOf({ key, text, revision, createdRevision }));
  }
}

function entryOf(document: Entry["document"]): Entry {
  // State of Meridian's own is in the store, too; only documents are read by the compiler.
  const isDocument = isKind(document.key.kind);
  const line = isDocument ? JSON.stringify(plainDocument(JSON.parse(document.text))) : "";
  return { document, line };
}
