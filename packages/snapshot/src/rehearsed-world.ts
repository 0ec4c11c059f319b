// SPDX-License-Identifier: Apache-2.0

// What is served, loaded once more with the sections that changes make anew, so that the code of it has run when the first change comes.

import { applySectionDelta, encodeSectionDelta } from "./section-delta.ts";
import { sectionFlaw } from "./section-flaw.ts";
import { SectionPack, type NamedSection } from "./section-pack.ts";
import { SectionKind, openSection } from "./section.ts";
import { World } from "./world.ts";

/** One of each kind is made anew. */
const REHEARSED_KINDS: readonly number[] = [
  SectionKind.pools,
  SectionKind.policies,
  SectionKind.zone,
  SectionKind.names,
];
/** What makes a section of itself is one piece. */
const DELTA_BYTES_MAX = 1024;

/** A snapshot as it is served. */
export interface LoadedSnapshot {
  readonly pack: SectionPack;
  readonly world: World;
  readonly seed: number;
}

/** Another world of the same; undefined where it came to none. `isVerified` as with `World.load()`. Blocks for some milliseconds. */
export function rehearsedWorld(
  { pack, world, seed }: LoadedSnapshot,
  isVerified: boolean = false,
): World | undefined {
  const next = SectionPack.make(remade(pack), pack, undefined, true);
  if ("error" in next) return undefined;
  const loaded = World.load(next.sections, seed, world, isVerified);
  if ("error" in loaded) return undefined;
  loaded.rehearseMoves();
  return loaded;
}

/** The sections of a pack; one of each kind is another copy, under a name that no section has. */
function remade(pack: SectionPack): NamedSection[] {
  const kinds = new Set(REHEARSED_KINDS);
  return [...pack.entries()].map(([name, section]) => {
    if (!kinds.delete(section.kind)) return { name };
    const delta = encodeSectionDelta(section, section, DELTA_BYTES_MAX);
    const buffer = delta && applySectionDelta(delta, section);
    const made = buffer instanceof SharedArrayBuffer ? openSection(buffer) : undefined;
    // As it differs in nothing from the one before, the load does not look at it.
    const isSound = made !== undefined && !("error" in made) && sectionFlaw(made) === undefined;
    return isSound && buffer instanceof SharedArrayBuffer
      ? { name: `${name} rehearsed`, buffer }
      : { name };
  });
}
