// SPDX-License-Identifier: Apache-2.0

// The state folder of an edge in memory. It keeps what the real one keeps, and a crash leaves what it may leave: a section half written,
// a manifest that is not there yet, an overlay of half a second before. A loss of power takes what was not synced.

import assert from "node:assert/strict";
import type { Pcg32 } from "@meridian/core";
import type { OverlayMirror, ReplicaState } from "@meridian/edge";
import { KeyedSlots, SectionPack, type Manifest } from "@meridian/snapshot";
import { below } from "./random-model.ts";

const SAVE_MS = 500;
const MANIFESTS_MAX = 3;

/** What died. */
export type Crash = "process" | "power" | "disk";
const crashes: readonly Crash[] = [
  "process",
  "process",
  "process",
  "process",
  "power",
  "power",
  "power",
  "disk",
];

type Restored = ReturnType<ReplicaState["load"]>;
interface SavedOverlay {
  readonly sequence: number;
  readonly slots: KeyedSlots;
}

export class SimulatedDisk implements ReplicaState {
  readonly #nowMs: () => number;
  readonly #synced: () => Promise<void>;
  /** The newest manifest may be lost with the power. */
  #isSynced = true;
  /** A sync that began before a crash has no end. */
  #life = 0;
  readonly #sections = new Map<string, Uint8Array>();
  /** Newest first. */
  #manifests: Manifest[] = [];
  #overlay: SavedOverlay | undefined;
  #mirror: OverlayMirror | undefined;
  #savedAtMs = 0;

  /** `synced` resolves when the disk has what was written before it was called. */
  constructor(nowMs: () => number, synced: () => Promise<void> = () => Promise.resolve()) {
    this.#nowMs = nowMs;
    this.#synced = synced;
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
      return { revision: { manifest, pack }, sequence, slots, ageMs: undefined, isOld: false };
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

  restored(): Promise<void> {
    return this.#sync();
  }

  keep(manifest: Manifest): Promise<void> {
    assert.ok(this.#isSynced, "the revision before is synced");
    this.#isSynced = false;
    this.#manifests = [manifest, ...this.#manifests].slice(0, MANIFESTS_MAX);
    const kept = new Set(
      this.#manifests.flatMap(({ sections }) => sections.map(({ name }) => name)),
    );
    for (const name of this.#sections.keys()) if (!kept.has(name)) this.#sections.delete(name);
    return this.#sync();
  }

  async #sync(): Promise<void> {
    const life = this.#life;
    await this.#synced();
    if (life === this.#life) this.#isSynced = true;
  }

  changed(mirror: OverlayMirror): void {
    this.#mirror = mirror;
    if (this.#nowMs() - this.#savedAtMs < SAVE_MS) return;
    this.#savedAtMs = this.#nowMs();
    const slots = new KeyedSlots();
    for (const { low, high, value } of mirror.slots()) slots.set(low, high, value, 0);
    this.#overlay = { sequence: mirror.sequence, slots };
  }

  /** The process dies, alone or with the power, or with a disk that loses even what was synced. */
  crash(random: Pcg32): Crash {
    this.#mirror = undefined;
    this.#savedAtMs = 0;
    this.#life += 1;
    const kind = crashes[below(random, crashes.length)] ?? "process";
    if (kind === "process") return kind;
    const isLost = kind === "disk" || !this.#isSynced;
    const [newest, ...older] = this.#manifests;
    this.#isSynced = true;
    if (!isLost || newest === undefined) return kind;
    const torn = newest.sections[below(random, newest.sections.length)];
    const bytes = torn === undefined ? undefined : this.#sections.get(torn.name);
    const isOwn =
      torn !== undefined &&
      !older.some(({ sections }) => sections.some(({ name }) => name === torn.name));
    // Sections that were synced with an earlier revision stay, unless the disk is bad.
    if (torn !== undefined && bytes !== undefined && (isOwn || kind === "disk"))
      this.#sections.set(torn.name, bytes.slice(0, bytes.length - 8));
    else this.#manifests = older;
    return kind;
  }
}

function shared(bytes: Uint8Array): SharedArrayBuffer {
  const buffer = new SharedArrayBuffer(bytes.length);
  new Uint8Array(buffer).set(bytes);
  return buffer;
}
