// SPDX-License-Identifier: Apache-2.0

// A revision as it is sent to edges: its manifest, and its slots as they are now. While a later revision goes to some edges first, the
// others are sent this one still: verdicts go on, so its slots follow those of the later revision by their keys.

import {
  OverlayObserver,
  World,
  encodeChanges,
  encodeManifest,
  encodeManifestMessage,
  encodeTable,
  type Manifest,
  type SlotChanges,
} from "@meridian/snapshot";
import type { Publication } from "../embedded-options.ts";

export class RevisionLane {
  readonly manifest: Manifest;
  readonly manifestMessage: Uint8Array;
  readonly #publication: Publication;
  readonly #observer: OverlayObserver;
  #later: { readonly lane: RevisionLane; readonly moved: Int32Array } | undefined;
  /** As they were last, of those that a later revision has not. */
  #slots: Uint32Array | undefined;

  constructor(publication: Publication) {
    this.#publication = publication;
    this.manifest = publication.manifest;
    this.manifestMessage = encodeManifestMessage(encodeManifest(publication.manifest));
    this.#observer = new OverlayObserver(publication.overlay, publication.slotCount);
  }

  /** From now on its slots are those of a later revision, where that has them. */
  follow(later: RevisionLane): void {
    this.#slots = this.#moment().slots;
    const [own, other] = [this.#world(), later.#world()];
    const moved = new Int32Array(own.slotCount);
    for (let slot = 0; slot < own.slotCount; slot++)
      moved[slot] = other.slotOfHalves(own.slotKeyLow(slot), own.slotKeyHigh(slot));
    this.#later = { lane: later, moved };
  }

  table(): Uint8Array {
    const { epoch, revision } = this.manifest;
    return encodeTable({ epoch, revision, ...this.#moment() });
  }

  changes(set: Pick<SlotChanges, "sequence" | "changes">): Uint8Array {
    const { epoch, revision } = this.manifest;
    return encodeChanges({ epoch, revision, ...set });
  }

  #moment(): { readonly sequence: number; readonly slots: Uint32Array } {
    const later = this.#later;
    if (later === undefined || this.#slots === undefined) return this.#observer.moment();
    const { sequence, slots } = later.lane.#moment();
    for (const [slot, from] of later.moved.entries())
      if (from >= 0) this.#slots[slot] = slots[from] ?? 0;
    return { sequence, slots: this.#slots };
  }

  #world(): World {
    return World.open(this.#publication.world);
  }
}
