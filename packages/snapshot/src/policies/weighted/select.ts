// SPDX-License-Identifier: Apache-2.0
import type { Selector } from "../../selector.ts";
import { selectByWeight, slotWeight } from "../by-weight.ts";
import { NodeWord } from "../policies-format.ts";

/** `weighted`: one branch in proportion to the weights in the overlay. */
export function selectWeighted(selector: Selector, node: number, mode: number): number {
  const policies = selector.world.policies;
  selector.defaultAnswers = 1;
  const first = policies.nodeWord(node, NodeWord.branchStart);
  return selectByWeight(
    selector,
    node,
    first,
    policies.nodeWord(node, NodeWord.branchCount),
    mode,
    slotWeight,
  );
}
