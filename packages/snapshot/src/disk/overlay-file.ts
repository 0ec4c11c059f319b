// SPDX-License-Identifier: Apache-2.0

// Slot values on disk:  "MOVL", u32 format, f64 saved at (ms), u32 sequence, u32 count, then count × { u64 key, u32 value, u32 changed at (s) },
// then a CRC-32 of all before. Written whole and renamed, so it is the old table or the new one.

import { crc32 } from "node:zlib";
import { KeyedSlots } from "../keyed-slots.ts";

const MAGIC = 0x4c564f4d;
const FORMAT = 1;
export const HEADER_BYTES = 24;
export const ENTRY_BYTES = 16;

/** Slots as they were. */
export interface StoredOverlay {
  readonly savedAtMs: number;
  readonly sequence: number;
  readonly slots: KeyedSlots;
}

export function encodeOverlay({ savedAtMs, sequence, slots }: StoredOverlay): Uint8Array {
  const bytes = new Uint8Array(HEADER_BYTES + slots.size * ENTRY_BYTES + 4);
  const view = new DataView(bytes.buffer);
  writeHeader(bytes, { savedAtMs, sequence, count: slots.size });
  let at = HEADER_BYTES;
  for (let row = 0; row < slots.size; row++, at += ENTRY_BYTES) {
    view.setUint32(at, slots.lowAt(row), true);
    view.setUint32(at + 4, slots.highAt(row), true);
    view.setUint32(at + 8, slots.valueAt(row), true);
    view.setUint32(at + 12, slots.secondsAt(row), true);
  }
  view.setUint32(at, crc32(bytes.subarray(0, at)), true);
  return bytes;
}

/** Writes what comes before the entries. */
export function writeHeader(
  bytes: Uint8Array,
  {
    savedAtMs,
    sequence,
    count,
  }: { readonly savedAtMs: number; readonly sequence: number; readonly count: number },
): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset, HEADER_BYTES);
  view.setUint32(0, MAGIC, true);
  view.setUint32(4, FORMAT, true);
  view.setFloat64(8, savedAtMs, true);
  view.setUint32(16, sequence, true);
  view.setUint32(20, count, true);
}

/** The table, or why the bytes are none. */
export function decodeOverlay(bytes: Uint8Array): StoredOverlay | string {
  if (bytes.length < HEADER_BYTES + 4)
    return `Overlay has ${bytes.length} bytes, expected at least ${HEADER_BYTES + 4}`;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  if (view.getUint32(0, true) !== MAGIC || view.getUint32(4, true) !== FORMAT)
    return "Overlay starts with another magic or format";
  const count = view.getUint32(20, true);
  const end = HEADER_BYTES + count * ENTRY_BYTES;
  if (end + 4 !== bytes.length)
    return `Overlay has ${bytes.length} bytes, its ${count} slots need ${end + 4}`;
  if (crc32(bytes.subarray(0, end)) !== view.getUint32(end, true))
    return "Overlay has another checksum than it says";
  const rows = new Uint32Array(count * 4);
  new Uint8Array(rows.buffer).set(bytes.subarray(HEADER_BYTES, end));
  const slots = KeyedSlots.ofRows(rows);
  return { savedAtMs: view.getFloat64(8, true), sequence: view.getUint32(16, true), slots };
}
