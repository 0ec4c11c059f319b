// SPDX-License-Identifier: Apache-2.0
import { formatDuration, parseDuration } from "@meridian/core";
import type { Model } from "../model.ts";
import type { Report } from "../report.ts";
import type { Zone } from "../zone-table.ts";

/** Warns of signed zones whose answers a cache could hold for longer than they validate. */
export function lintZones(model: Model, report: Report): void {
  for (const zone of model.zones.values()) lintSigning(zone, report);
}

function lintSigning({ document, records }: Zone, report: Report): void {
  const { dnssec } = document.spec;
  if (dnssec === undefined) return;
  const ms = (duration: string): number => parseDuration(duration) ?? 0;
  const maxTtlMs = ms(dnssec.maxZoneTtl);
  const cachedMs = ms(dnssec.propagationDelay) + Math.max(maxTtlMs, ms(dnssec.dnskeyTtl));
  if (ms(dnssec.refresh) < cachedMs)
    report.warning(document, {
      code: "signature-short",
      path: ["spec", "dnssec", "refresh"],
      found: dnssec.refresh,
      wanted: `${formatDuration(cachedMs)} or more, as answers may be cached for so long`,
    });
  let longestSeconds = 0;
  for (let at = 0; at < records.count; at += 1)
    longestSeconds = Math.max(longestSeconds, records.ttlAt(at));
  if (longestSeconds * 1000 > maxTtlMs)
    report.warning(document, {
      code: "signature-short",
      path: ["spec", "dnssec", "maxZoneTtl"],
      found: dnssec.maxZoneTtl,
      wanted: `${longestSeconds}s or more, the longest TTL of its records, as an old key is kept for so long`,
    });
}
