// SPDX-License-Identifier: Apache-2.0

// What a section must be besides intact. A checksum says that bytes are those that were written, not that they were written rightly:
// whatever a look-up follows without a bound of its own (an index, an offset, a count) is looked at once, when a snapshot is loaded.

import { SharedTable, type Section } from "./section.ts";

/** Bytes of an entry of each table. */
export type Strides = Readonly<Record<number, number>>;

const sharedStrides: Strides = { [SharedTable.heap]: 1, [SharedTable.links]: 8 };
const NAME_BYTES_MAX = 255;
const LABEL_BYTES_MAX = 63;

/** Why the tables of a section cannot be read by index, or undefined. An absent table is empty. */
export function strideError(section: Section, what: string, strides: Strides): string | undefined {
  for (const [id, stride] of Object.entries({ ...sharedStrides, ...strides })) {
    const found = section.table(Number(id));
    if (found.count > 0 && found.stride !== stride)
      return `${what} section has ${found.stride} bytes an entry in table ${id}, expected ${stride}`;
  }
  return undefined;
}

/** Whether `length` bytes at a heap offset lie in the heap. */
export function isInHeap(section: Section, offset: number, length: number): boolean {
  return offset + length <= section.count(SharedTable.heap);
}

/** Whether a whole uncompressed wire name lies at a heap offset. */
export function isNameInHeap(section: Section, offset: number): boolean {
  const heap = section.table(SharedTable.heap);
  const end = Math.min(offset + NAME_BYTES_MAX, heap.count);
  for (let at = offset; at < end;) {
    const length = section.bytes[heap.offset + at] ?? 0;
    if (length === 0) return true;
    if (length > LABEL_BYTES_MAX) return false;
    at += length + 1;
  }
  return false;
}
