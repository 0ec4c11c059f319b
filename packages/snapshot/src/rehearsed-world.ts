// SPDX-License-Identifier: Apache-2.0

// What is served, loaded once more with the sections that changes make anew, so that the code of it has run when the first change comes.

import { openMade } from "./made-section.ts";
import { applySectionDelta, rehearsedDelta } from "./section-delta.ts";
import { sectionFlaw } from "./section-flaw.ts";
import { SectionPack, type NamedSection } from "./section-pack.ts";
import { SectionKind, openSealed, type Section } from "./section.ts";
import { World } from "./world.ts";

/** One of each kind is made anew. */
const REHEARSED_KINDS: readonly number[] = [
  SectionKind.pools,
  SectionKind.policies,
  SectionKind.zone,
  SectionKind.names,
];
/** A policy more moves all behind it, and one less moves it back. */
const POLICY_SHIFTS = [
  { added: 1, least: 1 },
  { added: 0xffff_ffff, least: 2 },
];

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
    const buffer = remadeBytes(section);
    return buffer === undefined ? { name } : { name: `${name} rehearsed`, buffer };
  });
}

/** Another copy of a section, made as changes make it; undefined where it came out as another one. */
function remadeBytes(section: Section): SharedArrayBuffer | undefined {
  const shifts = section.kind === SectionKind.policies ? POLICY_SHIFTS : [undefined];
  let [before, made] = [section, undefined as SharedArrayBuffer | undefined];
  for (const [index, shift] of shifts.entries()) {
    const delta = rehearsedDelta(before, shift);
    const buffer = applySectionDelta(delta, before);
    if (typeof buffer === "string") return undefined;
    const isLast = index === shifts.length - 1;
    const opened = isLast ? openMade(buffer, delta, before) : openSealed(buffer);
    if ("error" in opened) return undefined;
    [before, made] = [opened, buffer];
  }
  // As it differs in nothing from the one before, the load does not look at it.
  return sectionFlaw(before) === undefined ? made : undefined;
}
