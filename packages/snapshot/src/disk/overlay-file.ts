// SPDX-License-Identifier: Apache-2.0

// Slot values on disk:  "MOVL", u32 format, f64 saved at (ms), u32 sequence, u32 count, then count × { u64 key, u32 value, u32 changed at (s) },
// then a CRC-32 of all before. Written whole and renamed, so it is the old table or the new one.

import { crc32 } from "node:zlib";

const MAGIC = 0x4c564f4d;
const FORMAT = 1;
const HEADER_BYTES = 24;
const ENTRY_BYTES = 16;

/** One slot as it was: value, and when it last changed (wall seconds). */
export interface StoredSlot {
  readonly value: number;
  readonly changedAtSeconds: number;
}

export interface StoredOverlay {
  readonly savedAtMs: number;
  readonly sequence: number;
  readonly slots: ReadonlyMap<bigint, StoredSlot>;
}

export function encodeOverlay(overlay: StoredOverlay): Uint8Array {
  const bytes = new Uint8Array(HEADER_BYTES + overlay.slots.size * ENTRY_BYTES + 4);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, MAGIC, true);
  view.setUint32(4, FORMAT, true);
  view.setFloat64(8, overlay.savedAtMs, true);
  view.setUint32(16, overlay.sequence, true);
  view.setUint32(20, overlay.slots.size, true);
  let at = HEADER_BYTES;
  for (const [key, { value, changedAtSeconds }] of overlay.slots) {
    view.setBigUint64(at, key, true);
    view.setUint32(at + 8, value, true);
    view.setUint32(at + 12, changedAtSeconds, true);
    at += ENTRY_BYTES;
  }
  view.setUint32(at, crc32(bytes.subarray(0, at)), true);
  return bytes;
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
  const slots = new Map<bigint, StoredSlot>();
  for (let at = HEADER_BYTES; at < end; at += ENTRY_BYTES) {
    slots.set(view.getBigUint64(at, true), {
      value: view.getUint32(at + 8, true),
      changedAtSeconds: view.getUint32(at + 12, true),
    });
  }
  return { savedAtMs: view.getFloat64(8, true), sequence: view.getUint32(16, true), slots };
}
