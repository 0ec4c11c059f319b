// SPDX-License-Identifier: Apache-2.0
import type { Selector } from "../../selector.ts";
import { selectByWeight } from "../by-weight.ts";
import { NodeWord } from "../policies-format.ts";

/** `roundRobin`: every branch alike. The turn comes from the draw, not from a counter, so that each edge and each replay agree. */
export function selectRoundRobin(selector: Selector, node: number, mode: number): number {
  const policies = selector.world.policies;
  selector.defaultAnswers = 1;
  const first = policies.nodeWord(node, NodeWord.branchStart);
  return selectByWeight(
    selector,
    node,
    first,
    policies.nodeWord(node, NodeWord.branchCount),
    mode,
    alike,
  );
}

function alike(): number {
  return 1;
}
