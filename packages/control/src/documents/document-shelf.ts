// SPDX-License-Identifier: Apache-2.0
import { createHash } from "node:crypto";
import { hash32 } from "@meridian/core";
import type { InputFile } from "@meridian/model";
import type { StoredDocument } from "../store/store.ts";

/** Files of lines that the documents are spread over by their keys; each may have 64 MiB. Of a million documents one has 2,000. */
export const SHELVES = 512;

/** A document, and as what line the compiler reads it. */
export interface DocumentEntry {
  readonly document: Pick<StoredDocument, "key" | "text" | "revision" | "createdRevision">;
  readonly line: string;
}

/** What the files of lines are called: no path on a disk is. */
const FILE_NAME = /^\0store-([0-9]+)\.jsonl$/;

/** Documents that are read together, as lines of one file; the compiler reads again only those of which one has changed. */
export class DocumentShelf {
  /** By formatted key. */
  readonly entries: ReadonlyMap<string, DocumentEntry>;
  readonly #index: number;
  #sorted: readonly DocumentEntry[] | undefined;
  #file: InputFile | undefined;
  #byKind: ReadonlyMap<string, readonly DocumentEntry["document"][]> | undefined;

  /** `index` is that of `shelfOf` for all of them. */
  constructor(index: number, entries: ReadonlyMap<string, DocumentEntry>) {
    this.#index = index;
    this.entries = entries;
  }

  /** In the order of keys, so that equal sets compile to equal bytes whatever their history. */
  get sorted(): readonly DocumentEntry[] {
    return (this.#sorted ??= [...this.entries]
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([, entry]) => entry));
  }

  /** Tenants and Grants among a million others are looked for with each change. */
  ofKind(kind: string): readonly DocumentEntry["document"][] {
    this.#byKind ??= Map.groupBy(
      [...this.entries.values()].map(({ document }) => document),
      ({ key }) => key.kind,
    );
    return this.#byKind.get(kind) ?? [];
  }

  /** What the compiler reads. */
  get file(): InputFile {
    return (this.#file ??= this.#write());
  }

  #write(): InputFile {
    const bytes = Buffer.from(this.sorted.map(({ line }) => line).join("\n"));
    const version = createHash("sha256").update(bytes).digest("hex");
    return { path: `\0store-${this.#index}.jsonl`, bytes, version };
  }
}

/** The shelf whose file this is; undefined for a file on disk. */
export function shelfOfFile(path: string): number | undefined {
  const index = FILE_NAME.exec(path)?.[1];
  return index === undefined ? undefined : Number(index);
}

/** Whether a path is one of these files, and no file on disk. */
export function isStoreFile(path: string): boolean {
  return shelfOfFile(path) !== undefined;
}

/** The shelf of a document by its formatted key, from 0. */
export function shelfOf(name: string): number {
  const bytes = Buffer.from(name);
  return hash32(bytes, 0, bytes.length, 0) % SHELVES;
}
