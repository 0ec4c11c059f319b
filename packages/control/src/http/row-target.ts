// SPDX-License-Identifier: Apache-2.0

import type { AccessTarget } from "../access/caller.ts";
import { member } from "../documents/document-key.ts";

/** Fields of rows that name what they are about, with the place of the namespace in them. */
const fields: readonly (readonly [field: string, index: number])[] = [
  ["endpoint", 1],
  ["pool", 0],
  ["policy", 0],
  ["target", 1],
  ["name", 0],
];

/** Kinds whose rows are named by themselves: what else they name is what they act on. */
const ownNamed: ReadonlySet<string> = new Set(["Rollout", "Drill"]);

/** What a row of `get endpoints` and the like is about. */
export function rowTarget(kind: string, row: unknown): AccessTarget {
  const [text = "", index = 0] =
    fields
      .filter(([field]) => field === "name" || !ownNamed.has(kind))
      .map(([field, at]) => [member(row, field), at] as const)
      .find((each): each is readonly [string, number] => typeof each[0] === "string") ?? [];
  const named = member(row, "namespace");
  if (kind === "Approval" && typeof named === "string") return { kind, namespace: named };
  const parts = text.split("/");
  const namespace = parts.length > index + 1 ? (parts[index] ?? "") : "";
  const name = member(row, "name");
  const isNamed = kind === "Record" && typeof name === "string";
  return { kind, namespace, ...(isNamed ? { domain: name } : {}) };
}
