// SPDX-License-Identifier: Apache-2.0
import { reasonOf } from "@meridian/core";
import type { MaskedChange, SharedOverlay } from "@meridian/health";
import { BRANCH_OVERRIDDEN, BRANCH_WEIGHT_MASK, BranchWord, type World } from "@meridian/snapshot";
import type { Logger } from "../embedded-options.ts";
import type { WeightOverride } from "./weight-overrides.ts";

/** After this it is tried again where the overlay was not to be had, as while its thread is started anew. */
const RETRY_MS = 1000;
const MASK = BRANCH_OVERRIDDEN | BRANCH_WEIGHT_MASK;

/** What weights act on. */
interface WeighedSnapshot {
  readonly world: World;
  readonly overlay: Pick<SharedOverlay, "read" | "apply">;
}

/** Brings the branches of what is served to the weights that they are given. */
export class OverriddenWeights {
  readonly #served: () => WeighedSnapshot | undefined;
  readonly #overrides: () => readonly WeightOverride[];
  readonly #logger: Logger;
  /** Whether the overlay was brought in line when there was none. */
  #isClear = false;
  #isClosed = false;
  #timer: NodeJS.Timeout | undefined;

  /** `served` is undefined as long as there is nothing to weigh. */
  constructor(
    served: () => WeighedSnapshot | undefined,
    overrides: () => readonly WeightOverride[],
    logger: Logger,
  ) {
    this.#served = served;
    this.#overrides = overrides;
    this.#logger = logger;
  }

  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#timer);
  }

  /** To be called when they are others, or another snapshot is served. Resolves when answers follow; where that fails the log says so, and it is tried again. */
  async follow(text: string): Promise<void> {
    clearTimeout(this.#timer);
    const served = this.#served();
    const overrides = this.#overrides();
    // A snapshot carries over what the one before had: without any, now and before, there is nothing to look for.
    if (served === undefined || (this.#isClear && overrides.length === 0)) return;
    this.#isClear = overrides.length === 0;
    const { world, overlay } = served;
    try {
      await overlay.apply(weightChanges(world, overlay, overrides), { kind: "weights", text });
    } catch (error) {
      if (this.#isClosed) return;
      this.#isClear = false;
      this.#logger.error({ reason: reasonOf(error) }, "Cannot set weights");
      this.#timer = setTimeout(() => void this.follow(text), RETRY_MS).unref();
    }
  }
}

/** Slot changes that bring every branch to the weight that it is given, and others back to their documents'. */
export function weightChanges(
  world: World,
  overlay: { read(slot: number): number },
  overrides: readonly WeightOverride[],
): MaskedChange[] {
  const wanted = new Map<number, number>();
  for (const { policy, node, weights } of overrides)
    for (const { branch, target } of world.branchesOf(policy, node)) {
      const weight = Object.hasOwn(weights, target) ? weights[target] : undefined;
      if (weight !== undefined) wanted.set(branch, weight);
    }
  const changes: MaskedChange[] = [];
  for (let branch = 0; branch < world.policies.branchCount; branch++) {
    const slot = world.branchSlots + branch;
    const was = overlay.read(slot);
    const weight = wanted.get(branch);
    if (weight === undefined && (was & BRANCH_OVERRIDDEN) === 0) continue;
    const value =
      weight === undefined
        ? world.policies.branchWord(branch, BranchWord.weight)
        : weight | BRANCH_OVERRIDDEN;
    if ((was & MASK) !== value) changes.push({ slot, mask: MASK, value });
  }
  return changes;
}
