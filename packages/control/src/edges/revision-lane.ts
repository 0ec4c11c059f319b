// SPDX-License-Identifier: Apache-2.0

// A revision as it is sent to edges: its manifest, and its slots as they are now. While a later revision goes to some edges first, the
// others are sent this one still: verdicts go on, so its slots follow those of the later revision by their keys.

import {
  OverlayObserver,
  World,
  cutManifest,
  encodeCarried,
  encodeChangeColumns,
  encodeManifest,
  encodeManifestMessage,
  encodeSentSection,
  encodeTable,
  isShifted,
  type Manifest,
} from "@meridian/snapshot";
import type { ChangeSet } from "@meridian/health";
import type { Publication } from "../embedded-options.ts";

/** Origins of the zones that an edge does not get. */
export type Withheld = (edge: string) => readonly string[];

/** What an edge is sent of a revision. */
export interface Cut {
  /** Of its manifest. */
  readonly hash: string;
  readonly message: Uint8Array;
  /** The sections that the revision brings, one message each. */
  readonly brought: readonly Uint8Array[];
}

/** Slots for edges that serve a revision, or are about to. */
export interface CarriedMessage {
  /** The earliest that they may have acknowledged. */
  readonly least: number;
  readonly message: Uint8Array;
}

export class RevisionLane {
  readonly manifest: Manifest;
  /** Hash of the revision that lacks nothing of this one but what is brought; undefined where nothing is. */
  readonly follows: string | undefined;
  /** Whether what is brought shifts rows, which not all edges take. */
  readonly shifts: boolean;
  /** By edge. */
  readonly #cuts = new Map<string, Cut>();
  /** By hash: edges with the same zones share one. */
  readonly #messages = new Map<string, Cut>();
  readonly #publication: Publication;
  readonly #observer: OverlayObserver;
  /** The sequence with which it was published. */
  readonly #begun: number;
  #later: { readonly lane: RevisionLane; readonly moved: Int32Array } | undefined;
  /** As they were last, of those that a later revision has not. */
  #slots: Uint32Array | undefined;

  constructor(publication: Publication) {
    this.#publication = publication;
    this.manifest = publication.manifest;
    this.follows = publication.brought?.after;
    this.shifts = publication.brought?.sections.some(({ delta }) => isShifted(delta)) === true;
    this.#observer = new OverlayObserver(publication.overlay, publication.slotCount);
    this.#begun = this.#observer.sequence;
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

  /** The revision without the zones that are withheld from an edge. */
  cut(edge: string, withheld: Withheld): Cut {
    const known = this.#cuts.get(edge);
    if (known !== undefined) return known;
    const manifest = cutManifest(this.manifest, withheld(edge));
    const cut = this.#messages.get(manifest.hash) ?? {
      hash: manifest.hash,
      message: encodeManifestMessage(encodeManifest(manifest)),
      brought: this.#broughtTo(manifest),
    };
    this.#cuts.set(edge, cut);
    this.#messages.set(cut.hash, cut);
    return cut;
  }

  #broughtTo({ sections }: Manifest): Uint8Array[] {
    const { brought } = this.#publication;
    if (brought === undefined) return [];
    const names = new Set(sections.map(({ name }) => name));
    return brought.sections.filter(({ name }) => names.has(name)).map(encodeSentSection);
  }

  /** Other zones are withheld from now on. */
  forgetCuts(): void {
    this.#cuts.clear();
    this.#messages.clear();
  }

  get slotCount(): number {
    return this.#publication.slotCount;
  }

  table(): Uint8Array {
    const { epoch, revision } = this.manifest;
    return encodeTable({ epoch, revision, ...this.#moment() });
  }

  /** What makes its slots of those of the revision before, for edges that serve that; undefined where the table alone says it. */
  carried(before: RevisionLane | undefined): CarriedMessage | undefined {
    const { carried } = this.#publication;
    const { epoch, revision } = this.manifest;
    const isNext =
      before?.manifest.epoch === epoch && before.manifest.revision === carried?.from.revision;
    // Change sets may have come since.
    if (carried === undefined || !isNext || this.#observer.sequence !== carried.sequence)
      return undefined;
    const { revision: from, sequence } = carried.from;
    // An edge that takes the one before just now passes change sets of it over: without any, it is where it has to be once it serves it.
    const least = before.#begun === sequence ? from - 1 : from;
    return { least, message: encodeCarried({ epoch, revision, ...carried }) };
  }

  changes({ sequence, keys, values }: Pick<ChangeSet, "sequence" | "keys" | "values">): Uint8Array {
    const { epoch, revision } = this.manifest;
    return encodeChangeColumns({ epoch, revision, sequence }, keys, values);
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
