// SPDX-License-Identifier: Apache-2.0

// Copies of secondary zones in the store, beside its documents: one entry of facts for each zone and one for each part of its records.
// A copy and its facts change in one change set, which is tried like a change of documents before it is committed, so every control
// compiles the same, and what cannot be served is not kept.

import { encodeZoneCopyFacts, zoneCopyPath, type InputFile } from "@meridian/model";
import { fieldsOf } from "../documents/document-key.ts";
import type { DocumentSet } from "../documents/document-set.ts";
import type { StateKind, StateWrite } from "../state/state-documents.ts";
import type { StoredDocument } from "../store/store.ts";
import { ZoneCopy } from "./zone-copy.ts";

/** Kinds of state that are compiled. */
export const copyKinds: readonly StateKind[] = ["ZoneCopy", "ZoneCopyPart"];

/** What is known of a copy. */
export interface CopyFacts {
  readonly partCount: number;
  /** Of its SOA. */
  readonly serial: number;
  /** When it is too old, Unix seconds: with every answer of a primary it would be later, and is written anew now and then. */
  readonly expiresSeconds: number;
  /** `expire` of its SOA, seconds. */
  readonly expireSeconds: number;
  /** When the first signature at its apex ends, Unix seconds; 0 for none. */
  readonly signedUntilSeconds: number;
  /** When its records came, Unix milliseconds; and from whom. */
  readonly takenMs: number;
  readonly primary: string;
}

/** The facts of a zone's copy; undefined where there is none that this version wrote. */
export function storedFacts(documents: DocumentSet, origin: string): StoredFacts | undefined {
  const found = documents.get({ kind: "ZoneCopy", namespace: "", name: origin });
  const facts = found === undefined ? undefined : readFacts(found.text);
  return found && facts && { ...facts, revision: found.revision };
}

/** Origins of which the store has something. */
export function storedOrigins(documents: DocumentSet): string[] {
  const kinds = [...documents.ofKind("ZoneCopy"), ...documents.ofKind("ZoneNotified")];
  return [...new Set(kinds.map(({ key }) => key.name))];
}

/** The records of a copy. */
export function storedCopy(
  documents: DocumentSet,
  origin: string,
  apex: Uint8Array,
  { partCount }: Pick<CopyFacts, "partCount">,
): ZoneCopy {
  const texts = Array.from(
    { length: partCount },
    (_, part) => documents.get(partKey(origin, part))?.text ?? "",
  );
  return ZoneCopy.read(apex, texts);
}

/** Facts as the store has them. */
export interface StoredFacts extends CopyFacts {
  /** Of the store. */
  readonly revision: number;
}

/**
 * Writes what has changed of a copy with its facts; parts that it has no more of `before` go. Nothing is written where the copy is another one
 * by now: parts of two copies make none.
 */
export function copyWrites(
  origin: string,
  facts: Omit<CopyFacts, "partCount">,
  copy: ZoneCopy,
  before: Pick<StoredFacts, "partCount" | "revision"> | undefined,
): StateWrite[] {
  const { partCount } = copy;
  const surplus = Array.from(
    { length: Math.max(0, (before?.partCount ?? 0) - partCount) },
    (_, index): StateWrite => partWrite(origin, partCount + index, undefined),
  );
  const changed = [...copy.changedTexts()].map(([part, text]) => partWrite(origin, part, text));
  return [factsWrite(origin, { ...facts, partCount }, before), ...changed, ...surplus];
}

/** Writes the facts alone, where the copy is still `before`. */
export function factsWrite(
  origin: string,
  { partCount, serial, ...facts }: CopyFacts,
  before: Pick<StoredFacts, "revision"> | undefined,
): StateWrite {
  const { expiresSeconds, expireSeconds, signedUntilSeconds, takenMs, primary } = facts;
  const times = { expiresSeconds, expireSeconds, signedUntilSeconds, takenMs };
  const text = JSON.stringify({ partCount, serial, ...times, primary });
  return { kind: "ZoneCopy", name: origin, text, ifRevision: before?.revision };
}

/** Takes a copy away. */
export function forgetWrites(documents: DocumentSet, origin: string): StateWrite[] {
  const { partCount = 0 } = storedFacts(documents, origin) ?? {};
  return [
    { kind: "ZoneCopy", name: origin, text: undefined },
    { kind: "ZoneNotified", name: origin, text: undefined },
    ...Array.from({ length: partCount }, (_, part) => partWrite(origin, part, undefined)),
  ];
}

/** What the compiler reads of an entry; undefined for one of another kind. */
export function copyFile({
  key,
  text,
  revision,
}: Pick<StoredDocument, "key" | "text" | "revision">): InputFile | undefined {
  const version = String(revision);
  if (key.kind === "ZoneCopy") {
    const facts = readFacts(text);
    return facts === undefined
      ? undefined
      : { path: zoneCopyPath(key.name), version, bytes: () => encodeZoneCopyFacts(facts) };
  }
  if (key.kind !== "ZoneCopyPart") return undefined;
  const [, origin = "", part = ""] = /^(.*)\/([0-9]+)$/.exec(key.name) ?? [];
  const path = zoneCopyPath(origin, Number(part));
  return { path, version, bytes: () => Uint8Array.from(Buffer.from(text, "base64")) };
}

function partKey(origin: string, part: number): StoredDocument["key"] {
  return { kind: "ZoneCopyPart", namespace: "", name: `${origin}/${part}` };
}

function partWrite(origin: string, part: number, text: string | undefined): StateWrite {
  return { kind: "ZoneCopyPart", name: `${origin}/${part}`, text };
}

function readFacts(text: string): CopyFacts | undefined {
  const { partCount, serial, primary, ...times } = fieldsOf(JSON.parse(text));
  const { expiresSeconds, expireSeconds, signedUntilSeconds, takenMs } = times;
  return typeof partCount === "number" &&
    typeof serial === "number" &&
    typeof expiresSeconds === "number" &&
    typeof expireSeconds === "number" &&
    typeof signedUntilSeconds === "number" &&
    typeof takenMs === "number" &&
    typeof primary === "string"
    ? { partCount, serial, expiresSeconds, expireSeconds, signedUntilSeconds, takenMs, primary }
    : undefined;
}
