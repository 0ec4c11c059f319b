// SPDX-License-Identifier: Apache-2.0

import { mix32 } from "@meridian/core";

const SLOTS = 2 ** 20;

/** Bytes of the memory that threads share. */
export const ASKED_BYTES: number = SLOTS * 4;

/**
 * When names of signed zones were asked last, in seconds, by their hashes in the snapshot (`QueryName.hashes`): two with one slot count as
 * one, which costs a signature too many.
 */
export class AskedNames {
  readonly #seconds: Uint32Array;

  constructor(buffer: SharedArrayBuffer) {
    this.#seconds = new Uint32Array(buffer);
  }

  note(hash: number, nowSeconds: number): void {
    this.#seconds[slotOf(hash)] = nowSeconds;
  }

  wasAsked(hash: number, sinceSeconds: number): boolean {
    return this.#seconds[slotOf(hash)]! >= sinceSeconds;
  }
}

function slotOf(hash: number): number {
  return mix32(hash) & (SLOTS - 1);
}
