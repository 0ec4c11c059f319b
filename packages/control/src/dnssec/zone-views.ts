// SPDX-License-Identifier: Apache-2.0

// Signed zones as people are shown them: where each key is, what comes next and what the parent has to hold.

import { DnssecAlgorithm, RRType, dsRdata, formatRdata } from "@meridian/dns";
import {
  isEntry,
  isNamed,
  readyMs,
  signedMs,
  signsAnswers,
  type KeyRole,
  type RolledKey,
} from "./rolled-key.ts";
import { dnskeyOf, type StoredKey, type StoredZone } from "./stored-keys.ts";
import { apexOf, keptZoneOf } from "./zone-apex.ts";

/** How far a key has come: signing answers ahead of DNSKEY, in DNSKEY, told the parent, in full use, or on its way out. */
export type KeyStage = "signing" | "published" | "submitted" | "active" | "retired";

export interface KeyView {
  readonly keyTag: number;
  readonly role: KeyRole;
  readonly algorithm: string;
  readonly stage: KeyStage;
  /** Since when it is used at all. */
  readonly publishedMs: number;
  /** What comes next; without a time it waits for the parent. */
  readonly next: "published" | "signs" | "submitted" | "seen" | "rolled" | "removed";
  readonly nextMs: number | undefined;
}

export interface SignedZoneView {
  /** `NAMESPACE/ORIGIN`. */
  readonly name: string;
  readonly zone: string;
  readonly denial: string;
  /** Whether it stays signed only until its parent has no DS any more. */
  readonly isLeaving: boolean;
  readonly keys: readonly KeyView[];
  /** What the parent is to hold, as master file lines; of a new zone that it may not hold yet, none. */
  readonly ds: readonly string[];
  readonly cdnskey: readonly string[];
  /** Whether the parent holds them; undefined while it is not known. */
  readonly isParentDone: boolean | undefined;
  /** When the signatures of its keys end. */
  readonly signaturesEndMs: number;
}

const algorithmNames: ReadonlyMap<number, string> = new Map([
  [DnssecAlgorithm.RSASHA256, "RSASHA256"],
  [DnssecAlgorithm.ECDSAP256SHA256, "ECDSAP256SHA256"],
  [DnssecAlgorithm.ED25519, "ED25519"],
]);

/** As the registry calls it. */
export function algorithmName(algorithm: number): string {
  return algorithmNames.get(algorithm) ?? String(algorithm);
}

/** `isHeard` is whether the parent was understood when it was last asked. */
export function signedZoneView(
  origin: string,
  zone: StoredZone,
  isHeard: boolean | undefined,
): SignedZoneView {
  const { keys, removalMs, signing, namespace, apexEndsMs } = zone;
  const isLeaving = removalMs !== undefined;
  const named = isLeaving ? [] : keys.filter(isNamed);
  const apex = apexOf(origin);
  const { owner } = keptZoneOf(origin);
  const line = (type: "DS" | "CDNSKEY", rdata: Uint8Array): string =>
    `${owner} ${signing.timing.dnskeyTtlMs / 1000} IN ${type} ${formatRdata(RRType[type], rdata)}`;
  return {
    ...{ name: `${namespace}/${origin}`, zone: origin, denial: signing.denial, isLeaving },
    keys: keys.map((key) => keyView(key, zone)),
    ds: named.map((key) => line("DS", dsRdata(apex, dnskeyOf(key)))),
    cdnskey: named.map((key) => line("CDNSKEY", dnskeyOf(key))),
    // The leader alone asks; that the parent has done it is in the store.
    isParentDone: isParentDone(zone) || (isHeard === undefined ? undefined : false),
    signaturesEndMs: apexEndsMs,
  };
}

function isParentDone({ keys, removalMs, goneMs }: StoredZone): boolean {
  if (removalMs !== undefined) return goneMs !== undefined;
  const named = keys.filter(isNamed);
  return named.length > 0 && named.every(({ dsSeenMs }) => dsSeenMs !== undefined);
}

function keyView(key: StoredKey, zone: StoredZone): KeyView {
  const { keyTag, role, algorithm, signsSinceMs = 0, publishedMs = signsSinceMs } = key;
  const stage = stageOf(key);
  const { next, nextMs } = nextOf(key, stage, zone);
  return {
    ...{ keyTag, role, algorithm: algorithmName(algorithm) },
    ...{ stage, publishedMs, next, nextMs },
  };
}

function stageOf(key: RolledKey): KeyStage {
  const { role, publishedMs, withdrawnMs, signsUntilMs, dsUnwantedMs, dsWantedMs, dsSeenMs } = key;
  if (publishedMs === undefined) return "signing";
  if (withdrawnMs !== undefined) return "retired";
  if (role === "zsk")
    return signsUntilMs !== undefined ? "retired" : signsAnswers(key) ? "active" : "published";
  if (dsUnwantedMs !== undefined) return "retired";
  if (dsSeenMs !== undefined) return "active";
  return dsWantedMs === undefined ? "published" : "submitted";
}

type NextStep = Pick<KeyView, "next" | "nextMs">;

function nextOf(key: StoredKey, stage: KeyStage, zone: StoredZone): NextStep {
  const { timing } = zone.signing;
  const { role, algorithm, withdrawnMs } = key;
  if (stage === "signing") return { next: "published", nextMs: signedMs(key, timing) };
  if (stage === "submitted") return { next: "seen", nextMs: undefined };
  if (withdrawnMs !== undefined)
    return { next: "removed", nextMs: withdrawnMs + timing.propagationMs + timing.dnskeyTtlMs };
  // Of an algorithm that goes: when depends on the one that comes.
  if (algorithm !== timing.algorithm) return { next: "removed", nextMs: undefined };
  return role === "zsk" ? nextOfZsk(key, stage, zone) : nextOfEntry(key, stage, zone);
}

function nextOfZsk(key: StoredKey, stage: KeyStage, { signing: { timing } }: StoredZone): NextStep {
  const { signsSinceMs = 0, signsUntilMs = 0 } = key;
  if (stage === "published") return { next: "signs", nextMs: readyMs(key, timing) };
  return stage === "active"
    ? { next: "rolled", nextMs: signsSinceMs + timing.zskLifetimeMs }
    : { next: "removed", nextMs: signsUntilMs + timing.propagationMs + timing.maxZoneTtlMs };
}

function nextOfEntry(
  key: StoredKey,
  stage: KeyStage,
  { keys, signing: { timing } }: StoredZone,
): NextStep {
  const { publishedMs = 0 } = key;
  if (stage === "published") {
    const isFirst = !keys.some(({ dsWantedMs }) => dsWantedMs !== undefined);
    const waitMs = isFirst ? Math.max(0, timing.maxZoneTtlMs - timing.dnskeyTtlMs) : 0;
    return { next: "submitted", nextMs: readyMs(key, timing) + waitMs };
  }
  if (stage === "active") return { next: "rolled", nextMs: publishedMs + timing.kskLifetimeMs };
  const { dsSeenMs } = keys.find((each) => isEntry(each) && isNamed(each)) ?? {};
  const heldMs = timing.parentPropagationMs + timing.parentDsTtlMs;
  return { next: "removed", nextMs: dsSeenMs === undefined ? undefined : dsSeenMs + heldMs };
}
