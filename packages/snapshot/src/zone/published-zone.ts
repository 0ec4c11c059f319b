// SPDX-License-Identifier: Apache-2.0
import { SharedTable, type Section } from "../section.ts";
import { readView } from "./zone-section.ts";
import { SERIAL_BYTES_BEFORE_END, ZoneFact, ZoneTableId } from "./zone-format.ts";

/** What the compiler wants to know of a zone that was published before. */
export interface PublishedZone {
  /** Lower case, in wire form. */
  readonly origin: Uint8Array;
  /** Name of the view that it belongs to. */
  readonly view: string | undefined;
  /** Hex; equal for equal content. */
  readonly contentHash: string;
  /** Serial of its SOA; undefined where it has none. */
  readonly serial: number | undefined;
  /** Keys of its names sections, in order. */
  readonly chunkKeys: readonly bigint[];
}

/** Reads the facts of a `zone` section. */
export function readPublishedZone(section: Section): PublishedZone {
  const facts = section.wordBase(ZoneTableId.facts);
  const heap = section.table(SharedTable.heap).offset;
  const fact = (id: number): number => section.words[facts + id]!;
  const originStart = heap + fact(ZoneFact.originOffset);
  const content = section.table(ZoneTableId.content);
  const hash = section.bytes.subarray(content.offset, content.offset + content.count);
  const soaEnd = heap + fact(ZoneFact.soaOffset) + fact(ZoneFact.soaBytes);
  const view = new DataView(section.bytes.buffer);
  return {
    origin: section.bytes.slice(originStart, originStart + fact(ZoneFact.originBytes)),
    view: readView(section),
    contentHash: Buffer.from(hash).toString("hex"),
    serial:
      fact(ZoneFact.hasSoa) === 1 ? view.getUint32(soaEnd - SERIAL_BYTES_BEFORE_END) : undefined,
    chunkKeys: Array.from({ length: section.count(ZoneTableId.chunks) }, (_, index) =>
      section.keyAt(ZoneTableId.chunks, index),
    ),
  };
}
