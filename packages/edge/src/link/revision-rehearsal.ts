// SPDX-License-Identifier: Apache-2.0

// What a revision asks of an edge's main thread is code that runs for the first time when the first change comes, and is compiled by V8
// while it is waited for: 20 to 30 ms of processor time instead of 5, of a million names, at each edge. So an edge that has begun to
// answer rehearses: it takes what it serves once more, with the sections that changes make anew, and drops what came of it.

import { rehearsedWorld, type LoadedSnapshot } from "@meridian/snapshot";
import { AnsweredMoves } from "./answered-moves.ts";
import { OverlayMirror } from "./overlay-mirror.ts";

/** What is served. */
export interface RehearsedRevision extends LoadedSnapshot {
  readonly mirror: OverlayMirror;
}

/** Goes once through what a revision asks for, and leaves nothing behind; false where it came to no end. Blocks for some milliseconds. */
export function rehearseRevision({ mirror, ...served }: RehearsedRevision): boolean {
  const loaded = rehearsedWorld(served);
  if (loaded === undefined) return false;
  const { sequence } = mirror.table();
  const slots = mirror.carriedTo(loaded, sequence);
  if (slots === undefined) return false;
  const { revision } = mirror;
  new OverlayMirror(loaded, { revision, sequence, slots }, () => {}, true).close();
  new AnsweredMoves(() => 0).begin(loaded, slots, false);
  loaded.share();
  return true;
}
