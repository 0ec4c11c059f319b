// SPDX-License-Identifier: Apache-2.0

import { createHash } from "node:crypto";
import { key64 } from "@meridian/core";
import { SectionWriter, type WrittenSection } from "../section-writer.ts";
import { SectionKind, SharedTable, type Section } from "../section.ts";
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
}

/** Hex SHA-256 of what the names sections of a zone hold, their SOA without a serial of ours. */
export function contentHashOf(names: readonly { readonly name: string }[]): string {
  const hash = createHash("sha256");
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
  return writer.finish();
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
  };
}
