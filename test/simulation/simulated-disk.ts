// SPDX-License-Identifier: Apache-2.0

// The state folder of an edge in memory. It keeps what the real one keeps, and a crash leaves what it may leave: a section half written,
// a manifest that is not there yet, an overlay of half a second before.

import type { Pcg32 } from "@meridian/core";
import type { OverlayMirror, ReplicaState } from "@meridian/edge";
import { KeyedSlots, SectionPack, type Manifest } from "@meridian/snapshot";
import { below } from "./random-model.ts";

const SAVE_MS = 500;
const MANIFESTS_MAX = 3;

type Restored = ReturnType<ReplicaState["load"]>;
interface SavedOverlay {
  readonly sequence: number;
  readonly slots: KeyedSlots;
}

export class SimulatedDisk implements ReplicaState {
  readonly #nowMs: () => number;
  readonly #sections = new Map<string, Uint8Array>();
  /** Newest first. */
  #manifests: Manifest[] = [];
  #overlay: SavedOverlay | undefined;
  #mirror: OverlayMirror | undefined;
  #savedAtMs = 0;

  constructor(nowMs: () => number) {
    this.#nowMs = nowMs;
  }

  /** What is answered from now. */
  get mirror(): OverlayMirror | undefined {
    return this.#mirror;
  }

  load(): Restored {
    for (const manifest of this.#manifests) {
      const sections = manifest.sections.map(({ name }) => {
        const buffer = this.readSection(name);
        return buffer === undefined ? { name } : { name, buffer };
      });
      const pack = SectionPack.make(sections);
      if ("error" in pack) continue;
      const { sequence, slots } = this.#overlay ?? { sequence: 0, slots: new KeyedSlots() };
      return { revision: { manifest, pack }, sequence, slots, ageMs: undefined };
    }
    return undefined;
  }

  readSection(name: string): SharedArrayBuffer | undefined {
    const bytes = this.#sections.get(name);
    return bytes === undefined ? undefined : shared(bytes);
  }

  writeSection(name: string, bytes: Uint8Array): void {
    this.#sections.set(name, bytes.slice());
  }

  keep(manifest: Manifest): void {
    this.#manifests = [manifest, ...this.#manifests].slice(0, MANIFESTS_MAX);
    const kept = new Set(
      this.#manifests.flatMap(({ sections }) => sections.map(({ name }) => name)),
    );
    for (const name of this.#sections.keys()) if (!kept.has(name)) this.#sections.delete(name);
  }

  changed(mirror: OverlayMirror): void {
    this.#mirror = mirror;
    if (this.#nowMs() - this.#savedAtMs < SAVE_MS) return;
    this.#savedAtMs = this.#nowMs();
    const slots = new KeyedSlots();
    for (const { low, high, value } of mirror.slots()) slots.set(low, high, value, 0);
    this.#overlay = { sequence: mirror.sequence, slots };
  }

  /** The process dies. True where the newest revision was lost with it: a bad disk, as what is served was written and synced. */
  crash(random: Pcg32): boolean {
    this.#mirror = undefined;
    this.#savedAtMs = 0;
    if (below(random, 8) !== 0) return false;
    const [newest] = this.#manifests;
    const torn = newest?.sections[below(random, newest.sections.length)];
    const bytes = torn === undefined ? undefined : this.#sections.get(torn.name);
    if (torn === undefined || bytes === undefined) return false;
    this.#sections.set(torn.name, bytes.slice(0, bytes.length - 8));
    return true;
  }
}

function shared(bytes: Uint8Array): SharedArrayBuffer {
  const buffer = new SharedArrayBuffer(bytes.length);
  new Uint8Array(buffer).set(bytes);
  return buffer;
}
