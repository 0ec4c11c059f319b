// SPDX-License-Identifier: Apache-2.0
// What another server's configuration becomes: documents as they would be written, and what has no counterpart here.
import { apiVersion } from "../kinds/metadata.ts";

/** A document as it would be written. */
export interface WrittenDocument {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: Readonly<Record<string, unknown>>;
  readonly spec: Readonly<Record<string, unknown>>;
}

/** Something of the source that no document says, with its place. */
export interface Unmapped {
  readonly file: string;
  /** From 1. */
  readonly line: number;
  /** What it is, in the source's own words. */
  readonly what: string;
  readonly why: string;
}

/** What was read of a configuration. */
export interface Imported {
  readonly documents: readonly WrittenDocument[];
  readonly unmapped: readonly Unmapped[];
  /** Sentences about what cannot be read, with their places; nothing should be used where there are some. */
  readonly mistakes: readonly string[];
}

/** Gathers what an importer makes of its source. */
export class ImportReport implements Imported {
  readonly documents: WrittenDocument[] = [];
  readonly unmapped: Unmapped[] = [];
  readonly mistakes: string[] = [];

  document(kind: string, name: string, spec: WrittenDocument["spec"]): void {
    this.documents.push({ apiVersion, kind, metadata: { name }, spec });
  }

  skip(file: string, line: number, what: string, why: string): void {
    this.unmapped.push({ file, line, what, why });
  }
}
/** A name that documents may have, made from any text. */
export function documentName(text: string): string {
  const name = text
    .toLowerCase()
    .replaceAll(/[^a-z0-9-]+/g, "-")
    .replaceAll(/^-+|-+$/g, "")
    .slice(0, 63);
  return name === "" ? "unnamed" : name;
}
