// SPDX-License-Identifier: Apache-2.0

// What a state folder can be answered from: a snapshot and its overlay. It is the first thing that a process does, before anything else
// of the control plane is loaded, so little is imported here.

import { beginOverlay, type BegunOverlay } from "@meridian/health";
import {
  World,
  makeManifest,
  type Manifest,
  type OnSlab,
  type SectionPack,
} from "@meridian/snapshot";
import type { Logger, Persistence, Publication } from "./embedded-options.ts";

/** A snapshot as it was stored, and the overlay that it is answered with. */
export interface RestoredPair {
  readonly manifest: Manifest;
  readonly pack: SectionPack;
  readonly world: World;
  readonly begun: BegunOverlay;
  /** Whether an overlay was stored with it, so that answers need not wait for probes. */
  readonly hasOverlay: boolean;
}

/** Reads the newest pair that is whole; undefined where there is none. */
export function restorePair(
  persistence: Persistence,
  logger: Logger,
  { wallMs, onSlab }: { readonly wallMs: () => number; readonly onSlab?: OnSlab | undefined },
): RestoredPair | undefined {
  const overlay = persistence.loadOverlay();
  const stored = persistence.loadRevision(onSlab);
  if (stored === undefined) return undefined;
  const { manifest, pack } = stored;
  const resolved = persistence.links?.read(manifest.hash);
  const isVerified = resolved !== undefined;
  const world = World.load(pack.sections, manifest.seed, undefined, isVerified, resolved);
  if ("error" in world) {
    logger.warn({ reason: world.error }, "Cannot serve the stored revision");
    return undefined;
  }
  const { revision } = manifest;
  const lastSequence = persistence.lastSequence?.() ?? 0;
  const begun = beginOverlay(world, { revision, stored: overlay, lastSequence, wallMs });
  return { manifest, pack, world, begun, hasOverlay: overlay !== undefined };
}

/** A restored pair as workers take it. */
export function publicationOf({ manifest, world, begun }: RestoredPair): Publication {
  const { revision, seed, sections, epoch } = manifest;
  return {
    manifest: makeManifest(revision, seed, sections, epoch),
    revision,
    world: world.share(),
    overlay: begun.buffer,
    slotCount: world.slotCount,
  };
}
