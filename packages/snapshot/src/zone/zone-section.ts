// SPDX-License-Identifier: Apache-2.0

import { createHash } from "node:crypto";
import { key64 } from "@meridian/core";
import { SectionWriter, type WrittenSection } from "../section-writer.ts";
import { SectionKind, SharedTable, type Section } from "../section.ts";
import { secondaryBytes } from "./secondary-settings.ts";
import { queryAccessBytes } from "./query-access.ts";
import { transferBytes } from "./transfer-settings.ts";
import { variantBitsOf } from "./variant-settings.ts";
import { TRUST_WORDS, ZONE_FACT_WORDS, ZoneFact, zoneKeyText, ZoneTableId } from "./zone-format.ts";

/** What a zone section says. */
export interface ZoneFacts {
  /** Lower case, in wire form; and as `zoneKeyText` wants it. */
  readonly origin: Uint8Array;
  readonly originText: string;
  readonly seed: number;
  readonly chunkBits: number;
  readonly clientLocation: number;
  /** `TRUST_WORDS` for each prefix whose ECS is believed; undefined for everyone's. */
  readonly trust: Uint32Array | undefined;
  readonly ownerCount: number;
  /** The encoded RR of the SOA, and its TTL in seconds. */
  readonly soa: { readonly bytes: Uint8Array; readonly ttl: number } | undefined;
  /** Its names sections, in order. */
  readonly names: readonly { readonly key: bigint }[];
  /** Hex. */
  readonly contentHash: string;
  /** As a power of two; 0: answers do not fall into variants. */
  readonly variantBits: number;
  /** `encodeTransferSettings()`. */
  readonly transfers: Uint8Array | undefined;
  /** `encodeSecondarySettings()`. */
  readonly secondary: Uint8Array | undefined;
  /** `encodeQueryAccess()`. */
  readonly queryAccess: Uint8Array | undefined;
  /** Name of the view that it belongs to. */
  readonly view: string | undefined;
  /** Of a zone of a view, whether it is signed with keys of its own. */
  readonly hasOwnKeys: boolean;
  /** Whether it has keys and signatures in its own data. */
  readonly isPresigned: boolean;
}

/** Hex SHA-256 of what the names sections of a zone hold, their SOA without a serial of ours, and of what else the serial follows. */
export function contentHashOf(names: readonly { readonly name: string }[], salt = ""): string {
  const hash = createHash("sha256");
  hash.update(salt);
  for (const { name } of names) hash.update(name);
  return hash.digest("hex");
}

export function writeZoneSection(zone: ZoneFacts): WrittenSection {
  const writer = new SectionWriter(
    SectionKind.zone,
    key64(zoneKeyText(zone.originText)),
    zone.seed,
  );
  const facts = new Uint32Array(ZONE_FACT_WORDS);
  facts[ZoneFact.originOffset] = writer.heap(zone.origin);
  facts[ZoneFact.originBytes] = zone.origin.length;
  facts[ZoneFact.chunkBits] = zone.chunkBits;
  facts[ZoneFact.clientLocation] = zone.clientLocation;
  facts[ZoneFact.trustsEveryone] = zone.trust === undefined ? 1 : 0;
  facts[ZoneFact.ownerCount] = zone.ownerCount;
  if (zone.soa !== undefined) {
    const { bytes, ttl } = zone.soa;
    facts[ZoneFact.hasSoa] = 1;
    facts[ZoneFact.soaOffset] = writer.heap(bytes);
    facts[ZoneFact.soaBytes] = bytes.length;
    // The last rdata field is MINIMUM; a negative answer lives no longer than it or the SOA itself (RFC 2308 §3).
    const minimum = new DataView(bytes.buffer, bytes.byteOffset + bytes.length - 4, 4).getUint32(0);
    facts[ZoneFact.negativeTtl] = Math.min(minimum, ttl);
  }
  writer.table(ZoneTableId.facts, 4, facts);
  writer.table(ZoneTableId.trust, TRUST_WORDS * 4, zone.trust ?? new Uint32Array(0));
  writer.table(
    ZoneTableId.chunks,
    8,
    BigUint64Array.from(zone.names, ({ key }) => key),
  );
  writer.table(ZoneTableId.content, 1, new Uint8Array(Buffer.from(zone.contentHash, "hex")));
  if (zone.variantBits > 0) writer.table(ZoneTableId.variants, 4, Uint32Array.of(zone.variantBits));
  if (zone.transfers !== undefined) writer.table(ZoneTableId.transfers, 1, zone.transfers);
  if (zone.secondary !== undefined) writer.table(ZoneTableId.secondary, 1, zone.secondary);
  if (zone.queryAccess !== undefined) writer.table(ZoneTableId.queryAccess, 1, zone.queryAccess);
  if (zone.view !== undefined)
    writer.table(ZoneTableId.view, 1, new TextEncoder().encode(zone.view));
  if (zone.hasOwnKeys) writer.table(ZoneTableId.ownKeys, 1, Uint8Array.of(1));
  if (zone.isPresigned) writer.table(ZoneTableId.presigned, 1, Uint8Array.of(1));
  return writer.finish();
}

/** Name of the view that a zone section belongs to. */
export function readView(section: Section): string | undefined {
  const { offset, count } = section.table(ZoneTableId.view);
  return count === 0
    ? undefined
    : Buffer.from(section.bytes.subarray(offset, offset + count)).toString();
}

/** What a zone section says by itself. */
export function readZoneFacts(
  section: Section,
): Omit<ZoneFacts, "names" | "contentHash" | "originText" | "soa"> {
  const base = section.wordBase(ZoneTableId.facts);
  const fact = (id: number): number => section.words[base + id]!;
  const origin = section.table(SharedTable.heap).offset + fact(ZoneFact.originOffset);
  const trust = section.table(ZoneTableId.trust);
  return {
    origin: section.bytes.slice(origin, origin + fact(ZoneFact.originBytes)),
    seed: section.seed,
    chunkBits: fact(ZoneFact.chunkBits),
    clientLocation: fact(ZoneFact.clientLocation),
    trust:
      fact(ZoneFact.trustsEveryone) === 1
        ? undefined
        : section.words.slice(trust.offset >>> 2, (trust.offset >>> 2) + trust.count * TRUST_WORDS),
    ownerCount: fact(ZoneFact.ownerCount),
    variantBits: variantBitsOf(section),
    transfers: transferBytes(section),
    secondary: secondaryBytes(section),
    queryAccess: queryAccessBytes(section),
    view: readView(section),
    hasOwnKeys: section.count(ZoneTableId.ownKeys) > 0,
    isPresigned: section.count(ZoneTableId.presigned) > 0,
  };
}
