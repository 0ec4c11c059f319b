// SPDX-License-Identifier: Apache-2.0

// How sections get from the compiler to who asked for them, and revisions to disk. Sections go through the state folder: they are written
// there before the answer and waited for after it, as whoever reads them has them from the kernel's memory. What a small change makes travels
// with the answer, as what makes it of the section that the asker has; so does of a large one what is written before the answer, and the
// section itself when nobody waits. A revision is kept when the disk has all of its sections.

import { setImmediate as nextTurn } from "node:timers/promises";
import { SectionKind, encodeSectionDelta, type ManifestSection } from "@meridian/snapshot";
import { SnapshotStore, manifestSection, type SectionSource } from "@meridian/snapshot/disk";
import type { WrittenSection } from "@meridian/snapshot/writer";
import type { CompiledState, ReplacedPart } from "./compiled-state.ts";
import type { KeptRevision } from "./compiler-process.ts";
import type { CompiledSection, LoadRequest } from "./file-load.ts";

/**
 * Most of what travels with an answer: of more, to read it back from the state folder takes less. What lies between the two processes holds
 * 200 KB, so that of a megabyte both go on by turns, 15 ms where others want the processor.
 */
const TRAVELLING_BYTES_MAX = 64 * 1024;
/** Of a smaller section all is written before the answer, of a larger one what makes it of the one before. */
const DELTA_BYTES_MIN = 512 * 1024;

/** How one section gets to who asked. */
interface SectionWay {
  readonly mayTravel: boolean;
  readonly source: SectionSource | undefined;
  readonly isTrial: boolean;
}

export class CompiledSections {
  readonly #store: SnapshotStore | undefined;
  /** Called between sections; may end the process. */
  readonly #onStep: () => void;
  /** Of the last load, which may not be part of a kept revision yet, by name. */
  #last: ReadonlyMap<string, WrittenSection> = new Map();
  #servedByEdges: ReadonlySet<number> = new Set();
  /** Sections of which the disk has what makes them alone. */
  readonly #deltas = new Map<string, Uint8Array>();
  #isMakingWhole = false;

  /** Without a folder all sections travel with the answers. */
  constructor(folder: string | undefined, onStep: () => void) {
    this.#store = folder === undefined ? undefined : new SnapshotStore(folder);
    this.#onStep = onStep;
  }

  /** These are what was compiled last. */
  remember(sections: readonly WrittenSection[]): void {
    this.#last = new Map(sections.map((section) => [section.name, section]));
  }

  /**
   * Puts sections where the asker finds them, but those that are published: it has them. `replaced` says what some were made of. Those of a
   * trial are pruned, and never made whole.
   */
  handAll(
    sections: readonly WrittenSection[],
    { published, isTrial }: Pick<LoadRequest, "published" | "isTrial">,
    replaced: readonly ReplacedPart[] = [],
  ): CompiledSection[] {
    const known = new Set(published.map(({ name }) => name));
    const pairs = new Map(
      replaced
        .filter(({ before }) => known.has(before.written.name))
        .map((pair) => [pair.after.written.name, pair]),
    );
    let travelling = 0;
    return sections.map((section) => {
      if (known.has(section.name)) return manifestSection(section);
      this.#onStep();
      const left = TRAVELLING_BYTES_MAX - travelling;
      const source = this.#store && sourceOf(pairs.get(section.name), left);
      const bytes = source?.delta.length ?? section.buffer.byteLength;
      if (bytes <= left) travelling += bytes;
      return this.#hand(section, { mayTravel: bytes <= left, source, isTrial });
    });
  }

  /** Does as `handAll()` does with what a change made, and hands nothing. */
  rehearse(replaced: readonly ReplacedPart[]): CompiledSection[] {
    for (const pair of replaced) sourceOf(pair, TRAVELLING_BYTES_MAX);
    return [];
  }

  #hand(section: WrittenSection, way: SectionWay): CompiledSection {
    const { mayTravel, source } = way;
    const entry = manifestSection(section);
    const content = new Uint8Array(section.buffer);
    try {
      this.#place(section.name, content, way);
      if (this.#store !== undefined && !mayTravel) return entry;
    } catch {
      // A full disk is no reason to stop answering: that it cannot be kept shows when the revision is.
    }
    return source === undefined ? { ...entry, content: content.slice() } : { ...entry, source };
  }

  #place(name: string, content: Uint8Array, { source, isTrial }: SectionWay): void {
    const isLarge = content.length >= DELTA_BYTES_MIN;
    if (source === undefined || !isLarge || this.#store?.placeDelta(name, source) !== true)
      this.#store?.placeSection(name, content);
    else if (!isTrial) this.#deltas.set(name, content);
  }

  /** Whether there is something to be made whole. */
  get hasDeltas(): boolean {
    return this.#deltas.size > 0;
  }

  /** Writes whole what the disk has as a delta alone, a few milliseconds a turn: a change may be asked for meanwhile. */
  async makeWhole(): Promise<void> {
    if (this.#isMakingWhole) return;
    this.#isMakingWhole = true;
    for (const [name, content] of [...this.#deltas]) {
      await nextTurn();
      try {
        // What was replaced since stays as it is: it is kept for the history alone.
        if (this.#last.has(name)) await this.#store?.makeWhole(name, content);
        this.#deltas.delete(name);
      } catch {
        // What makes it is there, and what the next change makes of it goes on from there. It is tried again.
      }
    }
    this.#isMakingWhole = false;
  }

  /** Waits for the disk to have what was handed. */
  settle(): void {
    try {
      this.#store?.settleSections();
    } catch {
      // Tried again, and told, when a revision is kept.
    }
  }

  /** Of a published revision those of zones, from memory or from disk, as far as they can be had. */
  zonesOf(published: readonly ManifestSection[]): WrittenSection[] {
    return published.flatMap(({ name, kind, key }) => {
      if (kind !== SectionKind.zone && kind !== SectionKind.names) return [];
      const buffer = this.#last.get(name)?.buffer ?? this.#store?.readSection(name);
      return buffer === undefined || typeof buffer === "string"
        ? []
        : [{ kind, key: BigInt(`0x${key}`), name, buffer }];
    });
  }

  /** Puts a revision on disk: its sections are there but those that come with it. */
  keep({ manifest, written, served }: KeptRevision): void {
    this.#servedByEdges = new Set(served);
    const store = this.#store;
    if (store === undefined) return;
    for (const { name, content } of written) store.write(name, content);
    for (const { name } of manifest.sections) {
      const section = this.#last.get(name);
      if (section !== undefined && !store.mayHave(name))
        store.write(name, new Uint8Array(section.buffer));
    }
    store.keep(manifest);
  }

  /** What the first `prune()` needs to know, in turns; called once. */
  async learn(): Promise<void> {
    try {
      await this.#store?.learn(() => true);
    } catch {
      // What cannot be read now prune() tries.
    }
  }

  /** Removes from the state folder what no kept revision needs, nor the one that was compiled last. */
  prune(): void {
    try {
      this.#store?.prune(this.#last.keys(), this.#servedByEdges);
    } catch {
      // What cannot be removed now is looked at again with the next revision.
    }
  }
}

/** Whether the zones that were compiled last are those that are published: their serials go on from there. */
export function isPublished(
  { zones }: CompiledState,
  published: readonly ManifestSection[],
): boolean {
  const own = new Set([...zones.values()].flat().map(({ written }) => written.name));
  const others = published.filter(
    ({ kind }) => kind === SectionKind.zone || kind === SectionKind.names,
  );
  return others.length === own.size && others.every(({ name }) => own.has(name));
}

/** What makes a section of the one in whose place it is; undefined where that takes more than `bytesMax`. */
function sourceOf(pair: ReplacedPart | undefined, bytesMax: number): SectionSource | undefined {
  if (pair === undefined) return undefined;
  const { before, after } = pair;
  const delta = encodeSectionDelta(before.section, after.section, bytesMax);
  return delta && { base: before.written.name, delta };
}
