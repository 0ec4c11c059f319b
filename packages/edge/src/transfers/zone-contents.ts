// SPDX-License-Identifier: Apache-2.0

import { RRType } from "@meridian/dns";
import {
  NameLookup,
  QueryName,
  shiftedSerial,
  walkChunk,
  walkNode,
  type LoadedZone,
  type TransferAs,
  type WalkedRecord,
  type World,
} from "@meridian/snapshot";
import { RoutedRecords } from "./routed-records.ts";

/** The SOA of a zone, and its serial. */
export interface ZoneStart {
  readonly record: WalkedRecord;
  readonly serial: number;
}

/** Bytes from an SOA's serial to the end of its rdata (RFC 1035 §3.3.13). */
export const SERIAL_BYTES_BEFORE_END = 20;

/** Bytes of an RRSIG's rdata before the TTL of what it covers (RFC 4034 §3.1). */
const ORIGINAL_TTL_AT = 4;

/** The SOA of a zone, with `shift` added to its serial; undefined where it has none. */
export function startOf(zone: LoadedZone, shift: number = 0): ZoneStart | undefined {
  if (!zone.hasSoa) return undefined;
  const lookup = new NameLookup();
  const name = new QueryName(zone.section.seed);
  name.set(zone.origin, 0, zone.origin.length, 0);
  if (!lookup.findExact(zone, name) || lookup.chunk === undefined) return undefined;
  const soa = walkNode(zone, lookup.chunk, lookup.node)?.records.find(
    ({ type }) => type === RRType.SOA,
  );
  if (soa === undefined) return undefined;
  const serial = shiftedSerial(serialOf(soa.rdata), shift);
  if (shift === 0) return { record: soa, serial };
  const rdata = soa.rdata.slice();
  new DataView(rdata.buffer).setUint32(rdata.length - SERIAL_BYTES_BEFORE_END, serial);
  return { record: { ...soa, rdata }, serial };
}

/** The serial in the rdata of an SOA. */
export function serialOf(rdata: Uint8Array): number {
  const view = new DataView(rdata.buffer, rdata.byteOffset, rdata.length);
  return view.getUint32(rdata.length - SERIAL_BYTES_BEFORE_END);
}

/** Every record of a zone but its SOA, those of routed names as the settings want them. */
export function* contentsOf(
  world: World,
  zone: LoadedZone,
  as: TransferAs,
): Generator<WalkedRecord, undefined> {
  const routed = new RoutedRecords(world, as, { zone });
  for (let chunk = 0; chunk < zone.chunkCount; chunk++) yield* contentsOfChunk(zone, chunk, routed);
  return undefined;
}

/** The same of one of its names sections. */
export function* contentsOfChunk(
  zone: LoadedZone,
  chunk: number,
  routed: RoutedRecords,
): Generator<WalkedRecord> {
  for (const { records, bindings } of walkChunk(zone, zone.chunkAt(chunk))) {
    for (const record of records)
      if (record.type !== RRType.SOA) yield record.type === RRType.RRSIG ? ofSet(record) : record;
    if (bindings.length > 0) yield* routed.of(bindings);
  }
}

/** In a zone that was signed elsewhere a signature has the TTL of the set that it covers (RFC 4034 §3), and names it; an owner's have none in common. */
function ofSet(signature: WalkedRecord): WalkedRecord {
  const { rdata } = signature;
  const view = new DataView(rdata.buffer, rdata.byteOffset, rdata.length);
  return rdata.length < ORIGINAL_TTL_AT + 4
    ? signature
    : { ...signature, ttl: view.getUint32(ORIGINAL_TTL_AT) };
}
