// SPDX-License-Identifier: Apache-2.0

// A document has three forms: as it is applied (`resourceVersion` and `owner` of its metadata are wishes), as it is stored (metadata with
// owner, uid and generation), and as the compiler reads it (none of these, since no schema knows them).

import type { StoredDocument } from "../store/store.ts";
import { canonicalJson } from "./canonical.ts";
import { fieldsOf, member } from "./document-key.ts";

/** Metadata that the server writes. */
export interface ServerMetadata {
  readonly owner: string;
  readonly uid: string;
  /** Grows with each change of `spec`, from 1. */
  readonly generation: number;
}

const serverFields: ReadonlySet<string> = new Set([
  "owner",
  "uid",
  "generation",
  "resourceVersion",
  "creationRevision",
]);

/** The text that is stored. */
export function storedText(raw: unknown, server: ServerMetadata): string {
  return canonicalJson({
    ...fieldsOf(raw),
    metadata: { ...fieldsOf(plainMetadata(raw)), ...server },
  });
}

/** The document without what the server adds, as the schemas read it. */
export function plainDocument(raw: unknown): object {
  return { ...fieldsOf(raw), metadata: plainMetadata(raw) };
}

/** What the server added to a stored text. */
export function serverMetadataOf(text: string): ServerMetadata {
  const metadata = member(JSON.parse(text), "metadata");
  return {
    owner: textOf(metadata, "owner", "api"),
    uid: textOf(metadata, "uid", ""),
    generation: Number(member(metadata, "generation") ?? 1),
  };
}

/** A stored document as the API shows it. */
export function shownDocument({ text, revision, createdRevision }: StoredDocument): object {
  const raw: unknown = JSON.parse(text);
  const metadata = {
    ...fieldsOf(member(raw, "metadata")),
    resourceVersion: String(revision),
    creationRevision: String(createdRevision),
  };
  return { ...fieldsOf(raw), metadata };
}

function textOf(metadata: unknown, name: string, unless: string): string {
  const value = member(metadata, name);
  return typeof value === "string" ? value : unless;
}

function plainMetadata(raw: unknown): unknown {
  const metadata = member(raw, "metadata");
  if (typeof metadata !== "object" || metadata === null || Array.isArray(metadata)) return metadata;
  return Object.fromEntries(Object.entries(metadata).filter(([name]) => !serverFields.has(name)));
}
