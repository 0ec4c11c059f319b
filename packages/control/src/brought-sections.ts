// SPDX-License-Identifier: Apache-2.0

// What a revision brings that the one before had not: edges that have that one are sent it with the manifest, and ask for nothing. Asking
// would cost them a turn of control's and of their own, which under load is tens of milliseconds.

import {
  encodeSectionDelta,
  type Manifest,
  type SectionPack,
  type SentSection,
} from "@meridian/snapshot";
import type { SectionSource } from "@meridian/snapshot/disk";
import type { BroughtSections } from "./embedded-options.ts";

/** Of more, each edge fetches what it has not. */
const BROUGHT_BYTES_MAX = 1024 * 1024;
const BROUGHT_MAX = 64;

/** A revision in memory. */
export interface PackedRevision {
  readonly manifest: Manifest;
  readonly pack: SectionPack;
}

/** The sections of `next` that `before` has not; undefined where they are too many, or too large. `sources` has some of them, by name. */
export function broughtSections(
  before: PackedRevision,
  next: PackedRevision,
  sources: ReadonlyMap<string, SectionSource> = new Map(),
): BroughtSections | undefined {
  const fresh = next.manifest.sections.filter(({ name }) => !before.pack.has(name));
  if (fresh.length > BROUGHT_MAX) return undefined;
  const sections: SentSection[] = [];
  let bytes = 0;
  for (const { kind, key, name } of fresh) {
    const left = BROUGHT_BYTES_MAX - bytes;
    const source = sources.get(name);
    if (source !== undefined && before.pack.has(source.base) && source.delta.length <= left) {
      bytes += source.delta.length;
      sections.push({ name, ...source });
      continue;
    }
    const after = next.pack.section(name);
    const base = before.manifest.sections.find((each) => each.kind === kind && each.key === key);
    const old = base === undefined ? undefined : before.pack.section(base.name);
    const delta = after && encodeSectionDelta(old, after, left);
    if (delta === undefined) return undefined;
    bytes += delta.length;
    sections.push({ name, base: old === undefined ? undefined : base?.name, delta });
  }
  return { after: before.manifest.hash, sections };
}
