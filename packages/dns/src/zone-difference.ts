// SPDX-License-Identifier: Apache-2.0
//
// What differs between two copies of a zone. A copy's serial and what a signer makes (RRSIG, NSEC, NSEC3, NSEC3PARAM, ZONEMD) are its own:
// two servers that mean the same zone have their own, so they are not compared.

import { RRType } from "./constants.ts";
import { nameKey, nameLength } from "./name.ts";
import { receivedRdataNames } from "./rdata-layout.ts";
import { inMasterOrder } from "./master-write.ts";
import type { ZoneRecord } from "./zone-record.ts";

/** A record that only one of the two has; a TTL that differs makes two. */
export interface ZoneDifference {
  readonly side: "first" | "second";
  readonly record: ZoneRecord;
}

const madeByServers: ReadonlySet<number> = new Set([
  RRType.RRSIG,
  RRType.NSEC,
  RRType.NSEC3,
  RRType.NSEC3PARAM,
  RRType.ZONEMD,
]);

/** Records of one copy that the other lacks, in the order of a master file. Empty where the copies mean the same zone. */
export function diffZones(
  first: Iterable<ZoneRecord>,
  second: Iterable<ZoneRecord>,
): ZoneDifference[] {
  const [ours, theirs] = [byKey(first), byKey(second)];
  const onlyIn = (
    side: ZoneDifference["side"],
    records: ReadonlyMap<string, ZoneRecord>,
    others: ReadonlyMap<string, ZoneRecord>,
  ): (ZoneRecord & { side: ZoneDifference["side"] })[] =>
    [...records].flatMap(([key, record]) => (others.has(key) ? [] : [{ ...record, side }]));
  const found = [...onlyIn("first", ours, theirs), ...onlyIn("second", theirs, ours)];
  return inMasterOrder(found).map(({ side, ...record }) => ({ side, record }));
}

function byKey(records: Iterable<ZoneRecord>): Map<string, ZoneRecord> {
  const keys = new Map<string, ZoneRecord>();
  for (const record of records) {
    if (!madeByServers.has(record.type)) keys.set(keyOf(record), record);
  }
  return keys;
}

/** Equal for equal records: names compare without case, wherever they stand. */
function keyOf({ owner, type, ttl, rdata }: ZoneRecord): string {
  const data = Uint8Array.from(rdata);
  const names = receivedRdataNames(type);
  const { prefixBytes, nameCount } = names === "none" ? { prefixBytes: 0, nameCount: 0 } : names;
  let at = prefixBytes;
  for (let count = 0; count < nameCount; count += 1) {
    const length = nameLength(data, at);
    if (length < 0) break;
    for (let index = at; index < at + length; index += 1) {
      const byte = data[index] ?? 0;
      if (byte >= 0x41 && byte <= 0x5a) data[index] = byte | 0x20;
    }
    at += length;
  }
  // After MNAME and RNAME of an SOA comes the serial.
  if (type === RRType.SOA) data.fill(0, at, at + 4);
  return `${nameKey(owner)} ${type} ${ttl} ${Buffer.from(data).toString("latin1")}`;
}
