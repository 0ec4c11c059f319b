// SPDX-License-Identifier: Apache-2.0

// Metrics of the keys of signed zones; of the first zones alone where there are very many.

import type { Metric, Sample } from "@meridian/snapshot/surface";
import type { ZoneKeeper } from "./zone-keeper.ts";
import { signedZoneView, type KeyView, type SignedZoneView } from "./zone-views.ts";

const ZONES_MAX = 1000;

/** What is read. */
export interface KeyReading {
  readonly options: { readonly zoneKeys: ZoneKeeper };
}

export const keyMetrics: readonly Metric<KeyReading>[] = [
  {
    name: "meridian_dnssec_key_age_seconds",
    type: "gauge",
    help: "Seconds since a key of a signed zone was published.",
    labels: ["zone", "role", "key", "stage"],
    read: (reading) =>
      keysOf(reading, ({ stage, publishedMs }) => [stage, (Date.now() - publishedMs) / 1000]),
  },
  {
    name: "meridian_dnssec_key_next_seconds",
    type: "gauge",
    help: "Seconds until the next step of a key; absent where that waits for the parent.",
    labels: ["zone", "role", "key", "step"],
    read: (reading) =>
      keysOf(reading, ({ next, nextMs }) =>
        nextMs === undefined ? undefined : [next, (nextMs - Date.now()) / 1000],
      ),
  },
  {
    name: "meridian_dnssec_signature_expires_seconds",
    type: "gauge",
    help: "Seconds until the signatures of a zone's keys expire, which are made anew at refresh; of a zone that is signed elsewhere, until the first signature does.",
    labels: ["zone"],
    read: (reading) => [...signatureEnds(reading)],
  },
  {
    name: "meridian_dnssec_parent_waits",
    type: "gauge",
    help: "1 while the parent of a zone has still to change its DS records.",
    labels: ["zone"],
    read: (reading) =>
      viewsOf(reading).map(({ zone, ds, isLeaving, isParentDone }) => [
        [zone],
        isParentDone === true || (ds.length === 0 && !isLeaving) ? 0 : 1,
      ]),
  },
];

function* signatureEnds(reading: KeyReading): Generator<Sample> {
  const leftOf = (endMs: number): number => Math.floor((endMs - Date.now()) / 1000);
  for (const { zone, signaturesEndMs } of viewsOf(reading)) yield [[zone], leftOf(signaturesEndMs)];
  const { zones, presigned } = reading.options.zoneKeys;
  let left = ZONES_MAX;
  for (const [zone, { signedUntilSeconds }] of presigned) {
    if (zones.has(zone)) continue;
    if (left === 0) return;
    left -= 1;
    yield [[zone], leftOf(signedUntilSeconds * 1000)];
  }
}

function keysOf(
  reading: KeyReading,
  valueOf: (key: KeyView) => readonly [word: string, seconds: number] | undefined,
): Sample[] {
  return viewsOf(reading).flatMap(({ zone, keys }) =>
    keys.flatMap((key): Sample[] => {
      const value = valueOf(key);
      if (value === undefined) return [];
      return [[[zone, key.role, String(key.keyTag), value[0]], Math.floor(value[1])]];
    }),
  );
}

function viewsOf({ options: { zoneKeys } }: KeyReading): SignedZoneView[] {
  return [...zoneKeys.zones]
    .filter(([, { zone }]) => zone.keys.length > 0)
    .slice(0, ZONES_MAX)
    .map(([origin, { zone }]) => signedZoneView(origin, zone, zoneKeys.isParentHeard(origin)));
}
