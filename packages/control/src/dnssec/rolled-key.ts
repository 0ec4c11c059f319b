// SPDX-License-Identifier: Apache-2.0

// A key of a zone and how far it has come, with what follows from that alone.

import type { KeyTiming } from "./key-timing.ts";

/** What a key signs: keys, answers or both. */
export type KeyRole = "ksk" | "zsk" | "csk";

/** A key and how far it has come; Unix milliseconds. */
export interface RolledKey {
  /** Of no other key of the zone. */
  readonly keyTag: number;
  readonly role: KeyRole;
  readonly algorithm: number;
  /** In DNSKEY since. A key of an algorithm that is to come signs answers before. */
  readonly publishedMs?: number;
  /** Out of DNSKEY since: of an algorithm that goes, it signs answers a while longer. */
  readonly withdrawnMs?: number;
  /** Signs answers since; never of a KSK. */
  readonly signsSinceMs?: number;
  readonly signsUntilMs?: number;
  /** The parent is asked to name it since; never of a ZSK. */
  readonly dsWantedMs?: number;
  /** Every server of the parent that was asked names it since. */
  readonly dsSeenMs?: number;
  /** The parent is asked to name its successor instead, since. */
  readonly dsUnwantedMs?: number;
}

/** The keys that a zone is to have in the end. */
export type KeyTarget = Pick<KeyTiming, "algorithm" | "isCsk">;

/** A key that has to be made. */
export type NeededKey = Pick<RolledKey, "role" | "algorithm">;

/** Whether it is in DNSKEY. */
export function isShown({ publishedMs, withdrawnMs }: RolledKey): boolean {
  return publishedMs !== undefined && withdrawnMs === undefined;
}

/** When it is in every cache that holds DNSKEY at all; never, before it is published. */
export function readyMs({ publishedMs = Infinity }: RolledKey, timing: KeyTiming): number {
  return publishedMs + timing.propagationMs + timing.dnskeyTtlMs;
}

/** When every answer in a cache has a signature of a key that signs before it is published. */
export function signedMs({ signsSinceMs = Infinity }: RolledKey, timing: KeyTiming): number {
  return signsSinceMs + timing.propagationMs + timing.maxZoneTtlMs;
}

/** Whether answers are signed with it. */
export function signsAnswers({ signsSinceMs, signsUntilMs }: RolledKey): boolean {
  return signsSinceMs !== undefined && signsUntilMs === undefined;
}

/** Whether it is, or may come to be, a key that the parent names. */
export function isEntry({ role }: Pick<RolledKey, "role">): boolean {
  return role !== "zsk";
}

/** Whether the parent is asked to name it. */
export function isNamed({ dsWantedMs, dsUnwantedMs }: RolledKey): boolean {
  return dsWantedMs !== undefined && dsUnwantedMs === undefined;
}

/** Whether another key has taken a part of it. */
export function isRetired({ signsUntilMs, dsUnwantedMs, withdrawnMs }: RolledKey): boolean {
  return signsUntilMs !== undefined || dsUnwantedMs !== undefined || withdrawnMs !== undefined;
}

/** Roles of the keys that a zone has. */
export function rolesOf({ isCsk }: Pick<KeyTarget, "isCsk">): readonly KeyRole[] {
  return isCsk ? ["csk"] : ["ksk", "zsk"];
}

/** Whether it is one of those that the zone is to have in the end. */
export function isOfTarget({ role, algorithm }: RolledKey, target: KeyTarget): boolean {
  return algorithm === target.algorithm && rolesOf(target).includes(role);
}

/**
 * With a key that was just made. The first that signs answers does so at once; where it is the first of another algorithm than that of
 * the keys that are there, it is not published until every answer has a signature of it.
 */
export function published<Key extends RolledKey>(
  keys: readonly Key[],
  made: Key,
  nowMs: number,
): readonly Key[] {
  const shown = keys.filter(isShown);
  const isComing = shown.length > 0 && !shown.some(({ algorithm }) => algorithm === made.algorithm);
  if (isComing) return [...keys, { ...made, signsSinceMs: nowMs }];
  const isFirst = made.role !== "ksk" && !keys.some(signsAnswers);
  return [...keys, { ...made, publishedMs: nowMs, ...(isFirst ? { signsSinceMs: nowMs } : {}) }];
}
