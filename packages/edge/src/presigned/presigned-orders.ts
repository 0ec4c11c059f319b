// SPDX-License-Identifier: Apache-2.0
import type { LoadedZone } from "@meridian/snapshot";
import { presignedOrder } from "./presigned-zone.ts";

interface KnownOrder {
  /** What it was made from, by identity. */
  readonly sections: readonly object[];
  /** Undefined for a zone that is not signed. */
  readonly words: Uint32Array | undefined;
}

/** Orders of zones that were signed elsewhere, worked out once for all workers, and kept for zones that did not change. */
export class PresignedOrders {
  #known = new Map<bigint, KnownOrder>();
  #next = new Map<bigint, KnownOrder>();

  /** Of a zone whose names sections are `sections`; undefined for one that is not signed in its own data. */
  of(zone: LoadedZone, sections: readonly object[]): Uint32Array | undefined {
    const before = this.#known.get(zone.key);
    const isSame =
      before?.sections.length === sections.length &&
      before.sections.every((section, index) => section === sections[index]);
    const order = isSame ? before : { sections, words: presignedOrder(zone) };
    this.#next.set(zone.key, order);
    return order.words;
  }

  /** All zones of a snapshot were asked for. */
  settle(): void {
    this.#known = this.#next;
    this.#next = new Map();
  }
}
