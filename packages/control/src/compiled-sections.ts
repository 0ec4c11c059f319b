// SPDX-License-Identifier: Apache-2.0

// How sections get from the compiler to who asked for them, and revisions to disk. Sections go through the state folder: they are written
// there before the answer and waited for after it, as whoever reads them has them from the kernel's memory. Few small ones travel with the
// answer. A revision is kept when the disk has all of its sections.

import { SectionKind, type ManifestSection } from "@meridian/snapshot";
import { SnapshotStore, manifestSection } from "@meridian/snapshot/disk";
import type { WrittenSection } from "@meridian/snapshot/writer";
import type { CompiledState } from "./compiled-state.ts";
import type { KeptRevision } from "./compiler-process.ts";
import type { CompiledSection, LoadRequest } from "./file-load.ts";

/** Most of what travels with an answer: to read it back from the state folder would take longer, of more that takes less. */
const TRAVELLING_BYTES_MAX = 1024 * 1024;

export class CompiledSections {
  readonly #store: SnapshotStore | undefined;
  /** Called between sections; may end the process. */
  readonly #onStep: () => void;
  /** Of the last load, which may not be part of a kept revision yet, by name. */
  #last: ReadonlyMap<string, WrittenSection> = new Map();
  #servedByEdges: ReadonlySet<number> = new Set();

  /** Without a folder all sections travel with the answers. */
  constructor(folder: string | undefined, onStep: () => void) {
    this.#store = folder === undefined ? undefined : new SnapshotStore(folder);
    this.#onStep = onStep;
  }

  /** These are what was compiled last. */
  remember(sections: readonly WrittenSection[]): void {
    this.#last = new Map(sections.map((section) => [section.name, section]));
  }

  /** Puts sections where the asker finds them, but those that are published: it has them. */
  handAll(
    sections: readonly WrittenSection[],
    { published }: Pick<LoadRequest, "published">,
  ): CompiledSection[] {
    const known = new Set(published.map(({ name }) => name));
    let travelling = 0;
    return sections.map((section) => {
      if (known.has(section.name)) return manifestSection(section);
      this.#onStep();
      const { byteLength } = section.buffer;
      const mayTravel = travelling + byteLength <= TRAVELLING_BYTES_MAX;
      if (mayTravel) travelling += byteLength;
      return this.#hand(section, mayTravel);
    });
  }

  #hand(section: WrittenSection, mayTravel: boolean): CompiledSection {
    const entry = manifestSection(section);
    const content = new Uint8Array(section.buffer);
    try {
      this.#store?.placeSection(section.name, content);
      if (this.#store !== undefined && !mayTravel) return entry;
    } catch {
      // A full disk is no reason to stop answering: that it cannot be kept shows when the revision is.
    }
    return { ...entry, content: content.slice() };
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
