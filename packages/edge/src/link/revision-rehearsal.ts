// SPDX-License-Identifier: Apache-2.0

// What a revision asks of an edge's main thread is code that runs for the first time when the first change comes, and is compiled by V8
// while it is waited for: 20 to 30 ms of processor time instead of 5, of a million names, at each edge. So an edge that has begun to
// answer rehearses: it takes what it serves once more, with the sections that changes make anew, and drops what came of it.

import { reasonOf } from "@meridian/core";
import { GarbageCollections } from "@meridian/health";
import {
  SectionKind,
  SectionPack,
  World,
  applySectionDelta,
  encodeSectionDelta,
  openSection,
  sectionFlaw,
  type NamedSection,
} from "@meridian/snapshot";
import type { EdgeLogger } from "../edge-logger.ts";
import { OverlayMirror } from "./overlay-mirror.ts";

/** After so many times nothing gets faster any more. */
const PASSES = 12;
/** What a start leaves to be done comes first. */
const FIRST_MS = 1000;
/** In turns, as a revision may come meanwhile. */
const PAUSE_MS = 100;
/**
 * Revisions, up to twice as many, after which the whole heap is looked through as soon as it is calm. Otherwise V8 does so after some
 * tens, at all edges within two seconds, as they have the same garbage.
 */
const WHOLE_EVERY = 20;
/** One of each kind is made anew. */
const REHEARSED_KINDS: readonly number[] = [
  SectionKind.pools,
  SectionKind.policies,
  SectionKind.zone,
  SectionKind.names,
];
/** What makes a section of itself is one piece. */
const DELTA_BYTES_MAX = 1024;

/** What is served. */
export interface RehearsedRevision {
  readonly pack: SectionPack;
  readonly world: World;
  readonly seed: number;
  readonly mirror: OverlayMirror;
}

/** What an edge's main thread does for the next revision while none is waited for. */
export class RevisionRehearsal {
  readonly #served: () => RehearsedRevision | undefined;
  readonly #logger: Pick<EdgeLogger, "warn">;
  readonly #collections = new GarbageCollections(
    WHOLE_EVERY + Math.floor(Math.random() * WHOLE_EVERY),
  );
  #left = PASSES;
  #passTimer: NodeJS.Timeout | undefined;
  #isClosed = false;

  /** `served` gives nothing while a revision is taken. */
  constructor(served: () => RehearsedRevision | undefined, logger: Pick<EdgeLogger, "warn">) {
    this.#served = served;
    this.#logger = logger;
  }

  /** A revision is served. */
  follow(): void {
    if (this.#isClosed) return;
    if (this.#left === PASSES) this.#passTimer ??= setTimeout(() => this.#pass(), FIRST_MS).unref();
    this.#collections.soon();
  }

  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#passTimer);
    this.#collections.close();
  }

  #pass(): void {
    try {
      this.#rehearse();
    } catch (error) {
      // An edge that answers goes on: what is wrong is told with the next revision, or was memory that there is not.
      this.#left = 0;
      this.#logger.warn("Rehearses no more revisions", { reason: reasonOf(error) });
    }
    if (this.#left > 0 && !this.#isClosed)
      this.#passTimer = setTimeout(() => this.#pass(), PAUSE_MS).unref();
  }

  #rehearse(): void {
    const served = this.#served();
    if (served === undefined) return;
    rehearseRevision(served);
    this.#left -= 1;
    if (this.#left > 0) this.#collections.young();
    else this.#collections.whole();
  }
}

/** Goes once through what a revision asks for, and leaves nothing behind; false where it came to no end. Blocks for some milliseconds. */
export function rehearseRevision({ pack, world, seed, mirror }: RehearsedRevision): boolean {
  const next = SectionPack.make(remade(pack), pack, undefined, true);
  if ("error" in next) return false;
  const loaded = World.load(next.sections, seed, world);
  if ("error" in loaded) return false;
  loaded.rehearseMoves();
  const { sequence } = mirror.table();
  const slots = mirror.carriedTo(loaded, sequence);
  if (slots === undefined) return false;
  const { revision } = mirror;
  new OverlayMirror(loaded, { revision, sequence, slots }, () => {}, true).close();
  loaded.share();
  return true;
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
