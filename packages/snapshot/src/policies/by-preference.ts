// SPDX-License-Identifier: Apache-2.0
import { Mode } from "../pools/candidates.ts";
import { Status } from "../trace.ts";
import type { Selector } from "../selector.ts";
import { NodeWord } from "./policies-format.ts";

/**
 * The select half of every kind that looks at where the client is (geo, proximity, latency, subnet, asn): the compiler has ranked the
 * branches for each class of clients, so what is left is to take the first that can answer. No match at all is not ill health: it is
 * reported as such, so that `open` does not invent an answer for clients whom the policy leaves out.
 */
export function selectByPreference(selector: Selector, node: number, mode: number): number {
  const world = selector.world;
  const client = selector.client;
  const classifier =
    world.classifiers[world.classifierOfLink[world.policies.nodeWord(node, NodeWord.classifier)]!];
  if (client === null || classifier === undefined) return Status.noMatch;
  const audience = classifier.classify(client);
  if (classifier.scope > selector.scope) selector.scope = classifier.scope;
  // Once a decision: `open` asks again about the same client.
  if (selector.counts !== null && mode === Mode.verdict) selector.counts.audience(node, audience);
  const orderStart = classifier.orderStart(audience);
  const count = classifier.orderCount(audience);
  const branchStart = world.policies.nodeWord(node, NodeWord.branchStart);
  let result: number = count === 0 ? Status.noMatch : Status.unhealthy;
  for (let rank = 0; rank < count; rank++) {
    const branch = branchStart + classifier.orders[orderStart + rank]!;
    const status = selector.branch(branch, mode, rank, 0, 0);
    if (status === Status.ok || status === Status.stopped) return status;
    if (status === Status.dialed) result = Status.dialed;
  }
  return result;
}
