// SPDX-License-Identifier: Apache-2.0
// A Zone document from records in wire form, each set of records one entry. Where the document is read, the same records come of it.
import {
  formatName,
  formatRdata,
  isSubdomain,
  labelCount,
  nameKey,
  RRType,
  typeToText,
  type ZoneRecord,
} from "@meridian/dns";
import { nameText } from "../checks/zones.ts";
import type { ImportReport } from "./imported.ts";

/** The longest that a duration in seconds can be written. */
const TTL_MAX = 999_999_999;

/** Records that a signer makes: signatures of another key are of no use here. */
const madeBySigners: ReadonlySet<number> = new Set([RRType.RRSIG, RRType.NSEC, RRType.NSEC3]);

interface RecordEntry {
  readonly name: string;
  readonly type: string;
  readonly ttl?: string;
  readonly values: string[];
}

/** Adds the zone to the report, and what of it cannot be taken over. */
export function addZone(
  origin: Uint8Array,
  records: readonly ZoneRecord[],
  report: ImportReport,
  view?: string,
): void {
  const soa = records.find(({ type }) => type === RRType.SOA);
  const ttl = Math.min(soa?.ttl ?? 300, TTL_MAX);
  const entries = new Map<string, { first: ZoneRecord; entry: RecordEntry }>();
  let signed = 0;
  for (const record of records) {
    const { owner, type, rdata, file = "", line = 1 } = record;
    const skip = (why: string): void => report.skip(file, line, recordText(record), why);
    if (madeBySigners.has(type)) {
      signed += 1;
      if (signed === 1)
        skip(
          "Signatures and proofs are made anew, by spec.dnssec of the zone; it and its like are left out",
        );
    } else if (!isSubdomain(owner, origin)) {
      skip(`It lies outside the zone ${formatName(origin)}`);
    } else if (type !== RRType.SOA) {
      const key = `${nameKey(owner)} ${type}`;
      const found = entries.get(key);
      if (found === undefined) {
        entries.set(key, { first: record, entry: entryOf(record, origin, ttl) });
        continue;
      }
      if (found.first.ttl !== record.ttl)
        skip(`Its TTL becomes ${found.first.ttl}, that of its set (RFC 2181 §5.2)`);
      const value = formatRdata(type, rdata);
      if (!found.entry.values.includes(value)) found.entry.values.push(value);
    }
  }
  const name = zoneName(origin);
  report.document("Zone", view === undefined ? name : `${name}-${view}`, {
    origin: nameText(origin),
    ...(view === undefined ? {} : { view }),
    ttl: `${ttl}s`,
    ...(soa === undefined ? {} : { soa: soaSpec(soa) }),
    records: entries
      .values()
      .map(({ entry }) => entry)
      .toArray(),
  });
}

function entryOf(
  { owner, type, ttl, rdata }: ZoneRecord,
  origin: Uint8Array,
  zoneTtl: number,
): RecordEntry {
  const seconds = Math.min(ttl, TTL_MAX);
  return {
    name: relativeName(owner, origin),
    type: typeText(type),
    ...(seconds === zoneTtl ? {} : { ttl: `${seconds}s` }),
    values: [formatRdata(type, rdata)],
  };
}

/** `@`, the labels before the origin's, or in the root zone the whole name. */
function relativeName(owner: Uint8Array, origin: Uint8Array): string {
  const labels = labelCount(owner) - labelCount(origin);
  if (labels === 0) return "@";
  if (origin.length === 1) return formatName(owner);
  const text = formatName(Uint8Array.of(...owner.subarray(0, owner.length - origin.length), 0));
  return text.slice(0, -1);
}

/** Words with other characters than letters and digits are no `type` of a Zone; each type has its number, too. */
function typeText(type: number): string {
  const text = typeToText(type);
  return /^[A-Z][A-Z0-9]*$/.test(text) ? text : `TYPE${type}`;
}

function soaSpec({ rdata }: ZoneRecord): Readonly<Record<string, unknown>> {
  const [mname = "", rname = "", serial, ...times] = formatRdata(RRType.SOA, rdata).split(" ");
  const [refresh, retry, expire, minimum] = times.map(
    (each) => `${Math.min(Number(each), TTL_MAX)}s`,
  );
  return { mname, rname, serial: Number(serial), refresh, retry, expire, minimum };
}

/** The origin as the name of a document. */
function zoneName(origin: Uint8Array): string {
  const name = nameText(origin)
    .replaceAll(/[^a-z0-9._*-]/g, "-")
    .replace(/^[^a-z0-9_*]+/, "");
  return name === "" ? "root" : name;
}

function recordText({ owner, type, rdata }: ZoneRecord): string {
  return `${formatName(owner)} ${typeToText(type)} ${formatRdata(type, rdata).slice(0, 60)}`;
}
