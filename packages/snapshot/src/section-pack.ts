// SPDX-License-Identifier: Apache-2.0

// Sections in memory: laid one after the other into a few large slabs instead of a buffer each. So a look-up in any of hundreds of
// sections reads through the same views, huge pages can back them, and a thread takes over a snapshot by a handful of buffers.
//
//   slab 0 [ section | section | section … ]      slab 1 [ section … ]
//
// A pack is made from the one before it: what was there stays where it is, what is new goes into a new slab, and with it what is left of
// slabs that are mostly unused or not much larger than the new one, so that there are never many. A section of a megabyte or more that
// comes later is a slab of its own, in the buffer that it came in. Nothing is ever written over: a slab's memory is freed by the collector once no world of any
// thread lies in it.

import type { ManifestSection } from "./manifest.ts";
import { Section, Slab, sectionError, type SectionError } from "./section.ts";

/** Sections begin at a cache line. */
const ALIGNMENT = 64;
/** A section of so many bytes stays in the buffer that it came in: another one would be 3 ms of page faults for six megabytes. */
const OWN_SLAB_BYTES_MIN = 1024 * 1024;
/**
 * The first slab, and one of so many bytes, is told of before anything is written to it. The kernel takes 7 ms longer to come by huge pages for
 * six megabytes than by small ones; asked for later, it does so when it has time.
 */
const EARLY_SLAB_BYTES_MIN = 32 * 1024 * 1024;

/** A section's bytes and the SHA-256 (hex) that names them. */
export interface NamedSection {
  readonly name: string;
  /** Needed where the pack before has no section of that name. */
  readonly buffer?: SharedArrayBuffer;
}

interface FreshSection {
  readonly name: string;
  readonly buffer: SharedArrayBuffer;
}

/** Told of each slab; of the first and of large ones before anything is written to them. */
export type OnSlab = (buffer: SharedArrayBuffer) => void;

/** The sections of one revision where they lie. */
export class SectionPack {
  /** In the order in which they were given. */
  readonly sections: readonly Section[];
  readonly #byName: ReadonlyMap<string, Section>;

  private constructor(byName: ReadonlyMap<string, Section>) {
    this.#byName = byName;
    this.sections = [...byName.values()];
  }

  section(name: string): Section | undefined {
    return this.#byName.get(name);
  }

  has(name: string): boolean {
    return this.#byName.has(name);
  }

  /** All others. */
  without(names: ReadonlySet<string>): SectionPack {
    if (names.size === 0) return this;
    return new SectionPack(new Map([...this.#byName].filter(([name]) => !names.has(name))));
  }

  /** By name, in the order in which they were given. */
  entries(): Iterable<readonly [string, Section]> {
    return this.#byName;
  }

  /**
   * Sections as a manifest names them, each read to where it stays: `read` fills the bytes that it is given, or says why it cannot. What
   * is there is checked as by `make`, and must be of the kind and key that the manifest says.
   */
  static read(
    sections: readonly ManifestSection[],
    read: (name: string, target: Uint8Array) => string | undefined,
    onSlab?: OnSlab,
  ): SectionPack | SectionError {
    const size = sections.reduce((sum, { bytes }) => sum + aligned(bytes), 0);
    const buffer = new SharedArrayBuffer(size);
    onSlab?.(buffer);
    const slab = new Slab(buffer);
    const byName = new Map<string, Section>();
    let start = 0;
    for (const { kind, key, name, bytes } of sections) {
      const error =
        read(name, slab.bytes.subarray(start, start + bytes)) ?? sectionError(buffer, start, bytes);
      if (error !== undefined) return { error: `Section ${name}: ${error}` };
      const section = new Section(slab, start);
      if (section.kind !== kind || section.key !== BigInt(`0x${key}`))
        return { error: `Section ${name} is of kind ${section.kind}, expected ${kind}` };
      byName.set(name, section);
      start += aligned(bytes);
    }
    return new SectionPack(byName);
  }

  /**
   * Checks and lays out sections; those that `previous` has are neither checked nor copied, and keep their `Section`. Their names must
   * differ. The buffers given are the pack's afterwards: nobody writes to them. `isVerified` says that all were found good as they are now,
   * here or by a process that is trusted: a million names are checked in a quarter of a second.
   */
  static make(
    given: readonly NamedSection[],
    previous?: SectionPack,
    onSlab?: OnSlab,
    isVerified = false,
  ): SectionPack | SectionError {
    const before = previous === undefined ? new Map<string, Section>() : previous.#byName;
    const kept = new Map<string, Section>();
    const fresh: FreshSection[] = [];
    for (const { name, buffer } of given) {
      const section = before.get(name);
      if (section !== undefined) {
        kept.set(name, section);
        continue;
      }
      if (buffer === undefined) return { error: `Section ${name} has no bytes` };
      const error = isVerified ? undefined : sectionError(buffer);
      if (error !== undefined) return { error };
      fresh.push({ name, buffer });
    }
    const isOwn = ({ buffer }: FreshSection): boolean =>
      previous !== undefined && buffer.byteLength >= OWN_SLAB_BYTES_MIN;
    const others = fresh.filter((section) => !isOwn(section));
    const written = lay(others, movable(others, kept), { onSlab, isFirst: previous === undefined });
    for (const { name, buffer } of fresh.filter(isOwn)) {
      onSlab?.(buffer);
      written.set(name, new Section(new Slab(buffer), 0));
    }
    const byName = new Map<string, Section>();
    for (const { name } of given) {
      const section = written.get(name) ?? kept.get(name);
      if (section !== undefined) byName.set(name, section);
    }
    return new SectionPack(byName);
  }
}

/** Kept sections that are better copied than left: so slabs at least double in size from one to the next, and none is mostly unused. */
function movable(
  fresh: readonly FreshSection[],
  kept: ReadonlyMap<string, Section>,
): ReadonlyMap<string, Section> {
  const used = new Map<Slab, number>();
  for (const { slab, length } of kept.values()) used.set(slab, (used.get(slab) ?? 0) + length);
  let total = fresh.reduce((sum, { buffer }) => sum + buffer.byteLength, 0);
  const moved = new Set<Slab>();
  const slabs = [...used].sort(([, a], [, b]) => a - b);
  for (const [slab, bytes] of slabs) {
    const isMostlyUnused = bytes * 2 < slab.buffer.byteLength;
    if (!isMostlyUnused && (total === 0 || bytes > total)) continue;
    moved.add(slab);
    total += bytes;
  }
  return new Map([...kept].filter(([, { slab }]) => moved.has(slab)));
}

/** Writes sections into one new slab. */
function lay(
  fresh: readonly FreshSection[],
  moved: ReadonlyMap<string, Section>,
  { onSlab, isFirst }: { readonly onSlab: OnSlab | undefined; readonly isFirst: boolean },
): Map<string, Section> {
  const sources = [
    ...[...moved].map(([name, { bytes, start, length }]): [string, Uint8Array] => [
      name,
      bytes.subarray(start, start + length),
    ]),
    ...fresh.map(({ name, buffer }): [string, Uint8Array] => [name, new Uint8Array(buffer)]),
  ];
  const laid = new Map<string, Section>();
  if (sources.length === 0) return laid;
  const size = sources.reduce((sum, [, bytes]) => sum + aligned(bytes.length), 0);
  const buffer = new SharedArrayBuffer(size);
  const isEarly = isFirst || size >= EARLY_SLAB_BYTES_MIN;
  if (isEarly) onSlab?.(buffer);
  const slab = new Slab(buffer);
  let start = 0;
  for (const [name, bytes] of sources) {
    slab.bytes.set(bytes, start);
    laid.set(name, new Section(slab, start));
    start += aligned(bytes.length);
  }
  if (!isEarly) onSlab?.(buffer);
  return laid;
}

function aligned(length: number): number {
  return Math.ceil(length / ALIGNMENT) * ALIGNMENT;
}
