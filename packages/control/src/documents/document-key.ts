// SPDX-License-Identifier: Apache-2.0

import { isStoreKind, isKind } from "@meridian/model";
import type { DocumentKey } from "../store/store.ts";

/** Kinds that belong to no namespace. */
const clusterKinds: ReadonlySet<string> = new Set([
  "Site",
  "DataSet",
  "View",
  "Role",
  "Token",
  "Tenant",
  "Cell",
  "ChangePolicy",
]);

/** Whether documents of a kind belong to no namespace. */
export function isClusterKind(kind: string): boolean {
  return clusterKinds.has(kind);
}

/** Whether the API takes documents of this kind. Shifts have verbs of their own. */
export function isDocumentKind(kind: string): boolean {
  return (isKind(kind) && kind !== "Shift") || isStoreKind(kind);
}

/** `Pool/default/web`, or `Site/eu` of a kind that belongs to no namespace. */
export function formatKey({ kind, namespace, name }: DocumentKey): string {
  return namespace === "" ? `${kind}/${name}` : `${kind}/${namespace}/${name}`;
}

/** The key that a raw document names; undefined where kind or name is missing or no text. */
export function keyOf(raw: unknown): DocumentKey | undefined {
  const kind = member(raw, "kind");
  const metadata = member(raw, "metadata");
  const name = member(metadata, "name");
  const namespace = member(metadata, "namespace") ?? "default";
  if (typeof kind !== "string" || typeof name !== "string" || typeof namespace !== "string")
    return undefined;
  return { kind, namespace: isClusterKind(kind) ? "" : namespace, name };
}

/** The fields of something that may be no object; then none. */
export function fieldsOf(raw: unknown): Readonly<Record<string, unknown>> {
  if (typeof raw !== "object" || raw === null || Array.isArray(raw)) return {};
  return Object.fromEntries(Object.entries(raw));
}

/** A field of something that may be no object. */
export function member(raw: unknown, name: string): unknown {
  if (typeof raw !== "object" || raw === null || !Object.hasOwn(raw, name)) return undefined;
  return Reflect.get(raw, name);
}
