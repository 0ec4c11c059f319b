// SPDX-License-Identifier: Apache-2.0
import { patchedCrc } from "./crc-patch.ts";
import { ownRanges } from "./section-delta.ts";
import {
  CHECKSUM_OFFSET,
  SECTION_HEADER_BYTES,
  openSealed,
  openSection,
  type Section,
  type SectionError,
} from "./section.ts";

/** Of more ranges, or more bytes in them, a checksum is not worked out from the one before. */
const RANGES_MAX = 256;
const RANGE_BYTES_MAX = 64 * 1024;
/** Bytes of a section that its checksum is not of: itself. */
const UNCHECKED_BYTES = SECTION_HEADER_BYTES - CHECKSUM_OFFSET;

/**
 * Opens the section that a delta has made of `before`, whose checksum was looked at. Where few bytes are other ones in their places, the checksum
 * that it has to have is worked out from that one: of six megabytes it takes a millisecond to go through all.
 */
export function openMade(
  made: SharedArrayBuffer,
  delta: Uint8Array,
  before: Section | undefined,
): Section | SectionError {
  const wanted = before === undefined ? undefined : carriedChecksum(made, delta, before);
  if (wanted === undefined) return openSection(made);
  const section = openSealed(made);
  if ("error" in section || section.checksum === wanted) return section;
  return { error: `Section checksum is ${wanted}, its header says ${section.checksum}` };
}

/** Undefined where the delta does more than to replace some bytes. */
function carriedChecksum(
  made: SharedArrayBuffer,
  delta: Uint8Array,
  before: Section,
): number | undefined {
  const ranges = made.byteLength === before.length ? ownRanges(delta) : undefined;
  const bytes = ranges?.reduce((sum, [start, end]) => sum + end - start, 0) ?? 0;
  if (ranges === undefined || ranges.length > RANGES_MAX || bytes > RANGE_BYTES_MAX)
    return undefined;
  const was = before.bytes.subarray(before.start, before.start + before.length);
  const is = new Uint8Array(made);
  let crc = before.checksum;
  const patch = (start: number, end: number, gap: number): void => {
    if (start >= end) return;
    const length = before.length - UNCHECKED_BYTES;
    crc = patchedCrc(crc, length, start - gap, was.subarray(start, end), is.subarray(start, end));
  };
  for (const [start, end] of ranges) {
    patch(start, Math.min(end, CHECKSUM_OFFSET), 0);
    patch(Math.max(start, SECTION_HEADER_BYTES), end, UNCHECKED_BYTES);
  }
  return crc;
}
