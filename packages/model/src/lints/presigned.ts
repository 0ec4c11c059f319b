// SPDX-License-Identifier: Apache-2.0
import { RRType, readRrsig } from "@meridian/dns";
import type { Model } from "../model.ts";
import type { Report } from "../report.ts";
import type { Zone } from "../zone-table.ts";

/** Whoever signs a zone elsewhere has to do it again before: seconds. */
export const SIGNED_SECONDS_MIN: number = 3 * 86_400;

/** Warns of zones that were signed elsewhere, and that validators will take for forged soon, or do already; `now` in Unix milliseconds. */
export function lintPresigned(model: Model, now: number, report: Report): void {
  const nowSeconds = Math.floor(now / 1000);
  for (const zone of model.zones.values()) {
    // Copies are looked at where they are kept.
    const until = zone.copy === undefined ? signedUntilOf(zone) : undefined;
    if (until === undefined || until - nowSeconds >= SIGNED_SECONDS_MIN) continue;
    const { spec } = zone.document;
    const isOver = until <= nowSeconds;
    report.warning(zone.document, {
      code: isOver ? "signature-expired" : "signature-expires",
      path: ["spec", spec.file === undefined ? "records" : "file"],
      found: `signed elsewhere, and a signature ${isOver ? "has ended" : "ends"} at ${new Date(until * 1000).toISOString()}`,
      said: true,
      wanted: "a zone that is signed anew days before",
    });
  }
}

/** When the first signature ends of a zone that has keys and signatures in its own data, in Unix seconds; undefined for any other. */
export function signedUntilOf({ records }: Pick<Zone, "records">): number | undefined {
  if (records.firstOf(RRType.DNSKEY) < 0) return undefined;
  let until: number | undefined;
  for (let at = 0; at < records.count; at += 1) {
    if (records.typeAt(at) !== RRType.RRSIG) continue;
    const { expiration } = readRrsig(records.rdataAt(at)) ?? {};
    if (expiration !== undefined && (until === undefined || expiration < until)) until = expiration;
  }
  return until;
}
