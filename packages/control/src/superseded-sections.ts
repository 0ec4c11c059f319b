// SPDX-License-Identifier: Apache-2.0

// Sections that were served a moment ago. An edge far away asks for those of a revision when the next one has taken its place: where they were
// gone at once, it would never get a whole revision for as long as changes follow one another faster than it fetches.

import type { Section, SectionPack } from "@meridian/snapshot";

/** For that long they can be had: an edge that is slower than this begins again with a later revision. */
const KEPT_MS = 10_000;
/** Most memory that they hold, the slabs in which they lie included; the oldest go first. */
const KEPT_BYTES_MAX = 128 * 1024 * 1024;

interface Superseded {
  readonly section: Section;
  readonly untilMs: number;
}

export class SupersededSections {
  readonly #monotonicMs: () => number;
  /** The oldest first. */
  readonly #byName = new Map<string, Superseded>();
  #timer: NodeJS.Timeout | undefined;

  constructor(monotonicMs: () => number) {
    this.#monotonicMs = monotonicMs;
  }

  section(name: string): Section | undefined {
    const found = this.#byName.get(name);
    return found !== undefined && found.untilMs > this.#monotonicMs() ? found.section : undefined;
  }

  /** `pack` takes the place of `before`. */
  replace(before: SectionPack | undefined, pack: SectionPack): void {
    const nowMs = this.#monotonicMs();
    for (const [name, section] of before?.entries() ?? []) {
      if (pack.has(name)) continue;
      this.#byName.delete(name);
      this.#byName.set(name, { section, untilMs: nowMs + KEPT_MS });
    }
    this.#forget(nowMs);
    const inUse = new Set(pack.sections.map(({ slab }) => slab));
    const held = new Set([...this.#byName.values()].map(({ section }) => section.slab));
    let bytes = 0;
    for (const slab of held.difference(inUse)) bytes += slab.buffer.byteLength;
    for (const [name, { section }] of this.#byName) {
      if (bytes <= KEPT_BYTES_MAX) break;
      this.#byName.delete(name);
      const isHeld = [...this.#byName.values()].some(
        (other) => other.section.slab === section.slab,
      );
      if (!isHeld && !inUse.has(section.slab)) bytes -= section.slab.buffer.byteLength;
    }
  }

  close(): void {
    clearTimeout(this.#timer);
    this.#byName.clear();
  }

  /** Those whose time is over. */
  #forget(nowMs: number): void {
    for (const [name, { untilMs }] of this.#byName) if (untilMs <= nowMs) this.#byName.delete(name);
    clearTimeout(this.#timer);
    if (this.#byName.size === 0) return;
    this.#timer = setTimeout(() => this.#forget(this.#monotonicMs()), KEPT_MS).unref();
  }
}
