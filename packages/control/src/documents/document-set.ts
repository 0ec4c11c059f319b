// SPDX-License-Identifier: Apache-2.0

// The documents of the store that the compiler reads beside the files, at one revision. They go to it as JSON lines, so that a problem's
// file and line lead back to the document.

import { MeridianError } from "@meridian/core";
import { isKind, type InputFile, type Kind } from "@meridian/model";
import { copyFile, copyKinds } from "../secondary/stored-copies.ts";
import type { StateKind } from "../state/state-documents.ts";
import type { DocumentKey, ReadOptions, Store } from "../store/store.ts";
import { formatKey } from "./document-key.ts";
import {
  DocumentShelf,
  SHELVES,
  shelfOf,
  shelfOfFile,
  type DocumentEntry,
} from "./document-shelf.ts";
import { plainDocument } from "./document-text.ts";

const PAGE_DOCUMENTS = 1000;

/** Documents with the texts that the compiler reads. */
export interface CompilerFiles {
  readonly files: readonly InputFile[];
  /** The document of a place in these files; undefined for a file on disk. */
  keyAt(file: string, line: number): DocumentKey | undefined;
}

/** Kinds of Meridian's own that say, or mark, what is compiled. */
const contentKinds: ReadonlySet<string> = new Set<StateKind>([
  "CompiledHosts",
  "CompiledMark",
  ...copyKinds,
]);

/** What one change set did. */
interface DocumentChange {
  readonly writes: readonly { readonly key: DocumentKey; readonly text: string | undefined }[];
  readonly revision: number;
}

export class DocumentSet {
  readonly revision: number;
  /** Newest revision that wrote what is compiled, or the mark that such a one leaves. */
  readonly contentRevision: number;
  /** What the compiler reads; a change makes those anew that it touches, and leaves a million documents alone. */
  readonly #shelves: readonly DocumentShelf[];
  /** Roles, tokens, and Meridian's own state: a change of those leaves the many documents alone. */
  readonly #others: ReadonlyMap<string, DocumentEntry>;

  private constructor(
    { revision, contentRevision }: Pick<DocumentSet, "revision" | "contentRevision">,
    shelves: readonly DocumentShelf[],
    others: ReadonlyMap<string, DocumentEntry>,
  ) {
    this.revision = revision;
    this.contentRevision = contentRevision;
    this.#shelves = shelves;
    this.#others = others;
  }

  /** None, as of before the first change set. */
  static readonly empty: DocumentSet = new DocumentSet(
    { revision: 0, contentRevision: 0 },
    Array.from({ length: SHELVES }, (_, index) => new DocumentShelf(index, new Map())),
    new Map(),
  );

  /** Everything that the store holds. */
  static async load(store: Store, options: ReadOptions = {}): Promise<DocumentSet> {
    const shelved = Array.from({ length: SHELVES }, () => new Map<string, DocumentEntry>());
    const others = new Map<string, DocumentEntry>();
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
        const name = formatKey(document.key);
        const entries = isKind(kind) ? shelved[shelfOf(name)] : others;
        entries?.set(name, entryOf(document));
        if (isContent(kind)) contentRevision = Math.max(contentRevision, document.revision);
      }
      from = page.continue;
    } while (from !== undefined);
    const shelves = shelved.map((entries, index) => new DocumentShelf(index, entries));
    return new DocumentSet({ revision, contentRevision }, shelves, others);
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

  get(key: DocumentKey): DocumentEntry["document"] | undefined {
    const name = formatKey(key);
    const entries = isKind(key.kind) ? this.#shelves[shelfOf(name)]?.entries : this.#others;
    return entries?.get(name)?.document;
  }

  /** Everything that is held. */
  *all(): Generator<DocumentEntry["document"]> {
    yield* this.compiled();
    for (const { document } of this.#others.values()) yield document;
  }

  /** All documents of a kind. */
  *ofKind(kind: string): Generator<DocumentEntry["document"]> {
    if (isKind(kind)) for (const shelf of this.#shelves) yield* shelf.ofKind(kind);
    else
      for (const { document } of this.#others.values())
        if (document.key.kind === kind) yield document;
  }

  /** The same in lists that stay the same objects as long as nothing near them is changed. */
  *listsOfKind(kind: Kind): Generator<readonly DocumentEntry["document"][]> {
    for (const shelf of this.#shelves) yield shelf.ofKind(kind);
  }

  /** Every document that the compiler reads. */
  *compiled(): Generator<DocumentEntry["document"]> {
    for (const { entries } of this.#shelves)
      for (const { document } of entries.values()) yield document;
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
    const content = written.findLast(({ key }) => isContent(key.kind));
    const documents = Map.groupBy(
      written.filter(({ key }) => isKind(key.kind)),
      ({ key }) => shelfOf(formatKey(key)),
    );
    return new DocumentSet(
      {
        revision: last.revision,
        contentRevision: content?.revision ?? this.contentRevision,
      },
      documents.size === 0
        ? this.#shelves
        : this.#shelves.map((shelf, index) => {
            const writes = documents.get(index);
            return writes === undefined
              ? shelf
              : new DocumentShelf(index, put(shelf.entries, writes));
          }),
      put(
        this.#others,
        written.filter(({ key }) => !isKind(key.kind)),
      ),
    );
  }

  /** Only files in which a document has changed are others than those of the set that this one was made of. */
  compilerFiles(): CompilerFiles {
    return {
      files: [
        ...this.#shelves.filter(({ entries }) => entries.size > 0).map(({ file }) => file),
        ...this.#copyFiles(),
      ],
      keyAt: (file, line) => {
        const index = shelfOfFile(file);
        return index === undefined
          ? undefined
          : this.#shelves[index]?.sorted[line - 1]?.document.key;
      },
    };
  }

  /** What primaries of secondary zones have sent. */
  *#copyFiles(): Generator<InputFile> {
    for (const { document } of this.#others.values()) {
      const file = copyFile(document);
      if (file !== undefined) yield file;
    }
  }
}

function put(
  before: ReadonlyMap<string, DocumentEntry>,
  writes: readonly {
    readonly key: DocumentKey;
    readonly text: string | undefined;
    readonly revision: number;
  }[],
): ReadonlyMap<string, DocumentEntry> {
  const entries = new Map(before);
  for (const { key, text, revision } of writes) {
    const name = formatKey(key);
    const createdRevision = entries.get(name)?.document.createdRevision ?? revision;
    if (text === undefined) entries.delete(name);
    else entries.set(name, entryOf({ key, text, revision, createdRevision }));
  }
  return entries;
}

/** Whether what is compiled is in documents of a kind. */
export function isContent(kind: string): boolean {
  return isKind(kind) || contentKinds.has(kind);
}

function entryOf(document: DocumentEntry["document"]): DocumentEntry {
  // State of Meridian's own is in the store, too; only documents are read by the compiler.
  const isDocument = isKind(document.key.kind);
  const line = isDocument ? JSON.stringify(plainDocument(JSON.parse(document.text))) : "";
  return { document, line };
}
