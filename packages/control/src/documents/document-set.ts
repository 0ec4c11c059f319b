// SPDX-License-Identifier: Apache-2.0

// The documents of the store that the compiler reads beside the files, at one revision. They go to it as JSON lines, so that a problem's
// file and line lead back to the document.

import { createHash } from "node:crypto";
import { MeridianError, hash32 } from "@meridian/core";
import { isKind, type InputFile } from "@meridian/model";
import type { StateKind } from "../state/state-documents.ts";
import type { DocumentKey, ReadOptions, Store, StoredDocument } from "../store/store.ts";
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

/** Kinds of Meridian's own that say, or mark, what is compiled. */
const contentKinds: ReadonlySet<string> = new Set<StateKind>(["CompiledHosts", "CompiledMark"]);

/** What one change set did. */
interface DocumentChange {
  readonly writes: readonly { readonly key: DocumentKey; readonly text: string | undefined }[];
  readonly revision: number;
}

interface Entry {
  readonly document: Pick<StoredDocument, "key" | "text" | "revision" | "createdRevision">;
  readonly line: string;
}

export class DocumentSet {
  readonly revision: number;
  /** Newest revision that wrote what is compiled, or the mark that such a one leaves. */
  readonly contentRevision: number;
  /** What the compiler reads, by formatted key. */
  readonly #entries: ReadonlyMap<string, Entry>;
  /** Roles, tokens, and Meridian's own state: a change of those leaves the many documents alone. */
  readonly #others: ReadonlyMap<string, Entry>;
  #buckets: readonly Bucket[] | undefined;
  /** Files of the set that this one was made of, and the names that have changed since. */
  #before: { readonly made: readonly Bucket[]; readonly changed: readonly string[] } | undefined;

  private constructor(
    { revision, contentRevision }: Pick<DocumentSet, "revision" | "contentRevision">,
    entries: ReadonlyMap<string, Entry>,
    others: ReadonlyMap<string, Entry>,
  ) {
    this.revision = revision;
    this.contentRevision = contentRevision;
    this.#entries = entries;
    this.#others = others;
  }

  /** None, as of before the first change set. */
  static readonly empty: DocumentSet = new DocumentSet(
    { revision: 0, contentRevision: 0 },
    new Map(),
    new Map(),
  );

  /** Everything that the store holds. */
  static async load(store: Store, options: ReadOptions = {}): Promise<DocumentSet> {
    const entries = new Map<string, Entry>();
    const others = new Map<string, Entry>();
    let contentRevision = 0;
    let revision: number | undefined;
    let from: string | undefined;
    do {
      const page = await store.list({
        ...options,
        limit: PAGE_DOCUMENTS,
        ...(revision === undefined ? {} : { revision }),
        ...(from === undefined ? {} : { continue: from }),
      });
      revision = page.revision;
      for (const document of page.documents) {
        const { kind } = document.key;
        (isKind(kind) ? entries : others).set(formatKey(document.key), entryOf(document));
        if (isContent(kind)) contentRevision = Math.max(contentRevision, document.revision);
      }
      from = page.continue;
    } while (from !== undefined);
    return new DocumentSet({ revision, contentRevision }, entries, others);
  }

  /** The set that the store holds now; this one where nothing has changed. */
  async refreshed(store: Store, options: ReadOptions = {}): Promise<DocumentSet> {
    const head = await store.head(options);
    if (head.revision === this.revision) return this;
    if (this.revision < head.oldestRevision || this.revision > head.revision || this.revision === 0)
      return DocumentSet.load(store, options);
    try {
      return await this.#caughtUp(store, head.revision, options);
    } catch (error) {
      if (error instanceof MeridianError && error.code === "STORE_COMPACTED")
        return DocumentSet.load(store, options);
      throw error;
    }
  }

  async #caughtUp(store: Store, revision: number, options: ReadOptions): Promise<DocumentSet> {
    const missed: DocumentChange[] = [];
    let at = this.revision;
    while (at < revision) {
      const page = await store.history({ ...options, from: at + 1, to: revision });
      for (const { writes, revision: written } of page) {
        missed.push({ writes, revision: written });
        at = written;
      }
      if (page.length === 0) return DocumentSet.load(store, options);
    }
    return this.after(missed);
  }

  get(key: DocumentKey): Entry["document"] | undefined {
    return (isKind(key.kind) ? this.#entries : this.#others).get(formatKey(key))?.document;
  }

  /** Everything that is held. */
  *all(): Generator<Entry["document"]> {
    for (const entries of [this.#entries, this.#others])
      for (const { document } of entries.values()) yield document;
  }

  /** All documents of a kind. */
  *ofKind(kind: string): Generator<Entry["document"]> {
    const entries = isKind(kind) ? this.#entries : this.#others;
    for (const { document } of entries.values()) if (document.key.kind === kind) yield document;
  }

  /** Every document that the compiler reads. */
  *compiled(): Generator<Entry["document"]> {
    for (const { document } of this.#entries.values()) yield document;
  }

  /** The set after some writes, as they will stand at `revision`. */
  with(writes: DocumentChange["writes"], revision: number): DocumentSet {
    return this.after([{ writes, revision }]);
  }

  /** The set after some change sets, in their order. */
  after(changes: readonly DocumentChange[]): DocumentSet {
    const last = changes.at(-1);
    if (last === undefined) return this;
    const written = changes.flatMap(({ writes, revision }) =>
      writes.map(({ key, text }) => ({ key, text, revision })),
    );
    const documents = written.filter(({ key }) => isKind(key.kind));
    const content = written.findLast(({ key }) => isContent(key.kind));
    const made = new DocumentSet(
      {
        revision: last.revision,
        contentRevision: content?.revision ?? this.contentRevision,
      },
      documents.length === 0 ? this.#entries : put(this.#entries, documents),
      put(
        this.#others,
        written.filter(({ key }) => !isKind(key.kind)),
      ),
    );
    if (documents.length === 0) {
      made.#buckets = this.#buckets;
      made.#before = this.#before;
    } else if (this.#buckets !== undefined) {
      const changed = documents.map(({ key }) => formatKey(key));
      made.#before = { made: this.#buckets, changed };
    }
    return made;
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
    for (const name of this.#entries.keys()) {
      const bucket = bucketOf(name);
      if (made === undefined || stale.has(bucket)) names[bucket]?.push(name);
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
  before: ReadonlyMap<string, Entry>,
  writes: readonly {
    readonly key: DocumentKey;
    readonly text: string | undefined;
    readonly revision: number;
  }[],
): ReadonlyMap<string, Entry> {
  const entries = new Map(before);
  for (const { key, text, revision } of writes) {
    const name = formatKey(key);
    const createdRevision = entries.get(name)?.document.createdRevision ?? revision;
    if (text === undefined) entries.delete(name);
    else entries.set(name, entryOf({ key, text, revision, createdRevision }));
  }
  return entries;
}

function isContent(kind: string): boolean {
  return isKind(kind) || contentKinds.has(kind);
}

function entryOf(document: Entry["document"]): Entry {
  // State of Meridian's own is in the store, too; only documents are read by the compiler.
  const isDocument = isKind(document.key.kind);
  const line = isDocument ? JSON.stringify(plainDocument(JSON.parse(document.text))) : "";
  return { document, line };
}
