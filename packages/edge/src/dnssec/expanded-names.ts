// SPDX-License-Identifier: Apache-2.0

import type { SignedZone } from "./signed-zone.ts";

/** Names of a chain that wildcards may stand for. */
const NAMES_MAX = 8;
const STRIDE = 256;

/** Names of one answer that wildcards stood for, relative to their zones: to be proved not to exist. */
export class ExpandedNames {
  /** Name `index` is `bytes[startOf(index)..startOf(index) + lengthOf(index))`. */
  readonly bytes: Uint8Array = new Uint8Array(NAMES_MAX * STRIDE);
  count: number = 0;
  readonly #lengths = new Uint8Array(NAMES_MAX);
  readonly #zones: SignedZone[] = [];

  clear(): void {
    this.count = 0;
  }

  /** Notes `source[from..from + length)`, unless it was noted last or there is no room. */
  note(zone: SignedZone, source: Uint8Array, from: number, length: number): void {
    const { count } = this;
    if (count === NAMES_MAX || this.#isLast(zone, source, from, length)) return;
    this.#lengths[count] = length;
    this.bytes.set(source.subarray(from, from + length), count * STRIDE);
    this.#zones[count] = zone;
    this.count = count + 1;
  }

  zoneOf(index: number): SignedZone {
    return this.#zones[index]!;
  }

  startOf(index: number): number {
    return index * STRIDE;
  }

  lengthOf(index: number): number {
    return this.#lengths[index]!;
  }

  #isLast(zone: SignedZone, source: Uint8Array, from: number, length: number): boolean {
    const last = this.count - 1;
    if (last < 0 || this.#zones[last] !== zone || this.#lengths[last] !== length) return false;
    for (let at = 0; at < length; at++)
      if (this.bytes[last * STRIDE + at] !== source[from + at]) return false;
    return true;
  }
}
