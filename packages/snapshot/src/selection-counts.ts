// SPDX-License-Identifier: Apache-2.0

// What selection counts: answers by node, by branch, and by node and audience. Plain words that one worker writes; the edge lays them
// out beside its other counters. Explain has none, so that asking why does not count.
//
//   words   nodes ─► branches (a fallback branch is one too) ─► audiences of each node that looks at where a client is
//
// A node's audiences beyond NODE_AUDIENCES_MAX share its last word, and nodes for which none are left have no words.

import { NODE_WORDS, NO_LINK, NodeWord, PoliciesTable } from "./policies/policies-format.ts";
import type { Section } from "./section.ts";
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
    this.nodes = world.policies.nodeCount;
    this.branches = world.policies.branchCount;
    this.audienceStarts = world.audienceStarts;
    this.audiences = this.audienceStarts[this.nodes]!;
  }
}

/** `SelectionLayout.audienceStarts` of a policies section, in shared memory; `classCountOf` a link that names a classifier. */
export function audienceStarts(
  policies: Section,
  classCountOf: (link: number) => number,
): Uint32Array {
  const nodes = policies.count(PoliciesTable.nodes);
  const base = policies.wordBase(PoliciesTable.nodes);
  const starts = new Uint32Array(new SharedArrayBuffer((nodes + 1) * 4));
  let words = 0;
  for (let node = 0; node < nodes; node++) {
    starts[node] = words;
    const link = policies.words[base + node * NODE_WORDS + NodeWord.classifier]!;
    const wanted = Math.min(link === NO_LINK ? 0 : classCountOf(link), NODE_AUDIENCES_MAX);
    if (words + wanted <= AUDIENCE_WORDS_MAX) words += wanted;
  }
  starts[nodes] = words;
  return starts;
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
