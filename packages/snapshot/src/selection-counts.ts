// SPDX-License-Identifier: Apache-2.0

// What selection counts: answers by node, by branch, and by node and audience. Plain words that one worker writes; the edge lays them
// out beside its other counters. Explain has none, so that asking why does not count.
//
//   words   nodes ─► branches (a fallback branch is one too) ─► audiences of each node that looks at where a client is
//
// A node's audiences beyond NODE_AUDIENCES_MAX share its last word, and nodes for which none are left have no words.

import { NO_LINK, NodeWord } from "./policies/policies-format.ts";
import type { World } from "./world.ts";

/** Most audiences of one node that are counted one by one. */
export const NODE_AUDIENCES_MAX = 256;
/** Most words of audiences in one world (1 MiB). */
export const AUDIENCE_WORDS_MAX: number = 1 << 18;

/** How many words selection wants in a world, and where the audiences of each node begin. */
export class SelectionLayout {
  readonly nodes: number;
  readonly branches: number;
  readonly audiences: number;
  /** Node n has the audience words from `audienceStarts[n]` up to `audienceStarts[n + 1]`. */
  readonly audienceStarts: Uint32Array;

  constructor(world: World) {
    const { policies } = world;
    this.nodes = policies.nodeCount;
    this.branches = policies.branchCount;
    this.audienceStarts = new Uint32Array(policies.nodeCount + 1);
    let words = 0;
    for (let node = 0; node < policies.nodeCount; node++) {
      this.audienceStarts[node] = words;
      const link = policies.nodeWord(node, NodeWord.classifier);
      const classifier =
        link === NO_LINK ? undefined : world.classifiers[world.classifierOfLink[link] ?? -1];
      const wanted = Math.min(classifier?.classCount ?? 0, NODE_AUDIENCES_MAX);
      if (words + wanted <= AUDIENCE_WORDS_MAX) words += wanted;
    }
    this.audienceStarts[policies.nodeCount] = words;
    this.audiences = words;
  }
}

/** The words of one worker. */
export class SelectionCounts {
  readonly #words: Uint32Array;
  readonly #nodes: number;
  readonly #branches: number;
  readonly #audiences: number;
  readonly #starts: Uint32Array;

  /** `words[base..]` holds the nodes, then the branches, then the audiences of `layout`. */
  constructor(words: Uint32Array, base: number, layout: SelectionLayout) {
    this.#words = words;
    this.#nodes = base;
    this.#branches = base + layout.nodes;
    this.#audiences = this.#branches + layout.branches;
    this.#starts = layout.audienceStarts;
  }

  /** A node found an answer. */
  node(node: number): void {
    this.#words[this.#nodes + node]! += 1;
  }

  /** An answer came through a branch. */
  branch(branch: number): void {
    this.#words[this.#branches + branch]! += 1;
  }

  /** A node placed a client in an audience. */
  audience(node: number, audience: number): void {
    const start = this.#starts[node]!;
    const size = this.#starts[node + 1]! - start;
    if (size === 0) return;
    this.#words[this.#audiences + start + (audience < size ? audience : size - 1)]! += 1;
  }
}
