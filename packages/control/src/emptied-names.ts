// SPDX-License-Identifier: Apache-2.0

// Names that one change leaves without anything to be answered with: the last member of their pool is gone, or they lead elsewhere, where
// there is none. What is switched off or unhealthy is there all the same.

import {
  branchesOf,
  indexKey,
  reachableNodes,
  reachablePools,
  type Model,
  type ModelPatch,
  type PatchedModel,
  type RecordDocument,
  type RecordShape,
  type TrafficPolicyDocument,
} from "@meridian/model";

/** Names that a refusal lists. */
const NAMED_MAX = 5;

/** What speaks against `after`, as the end of a sentence; undefined for nothing. */
export function emptyingOf(before: PatchedModel, after: Model): string | undefined {
  const names: string[] = [];
  let count = 0;
  for (const { metadata, spec } of recordsWithout(after)) {
    const { namespace, name } = metadata;
    const then = before.document({ kind: "Record", namespace, name });
    if (then?.kind !== "Record" || !isFilled(before.model, then)) continue;
    if (count < NAMED_MAX) names.push(spec.name);
    count += 1;
  }
  if (count === 0) return undefined;
  const more = count > names.length ? ` and ${count - names.length} more` : "";
  return `it leaves no endpoint for ${names.join(", ")}${more}, expected one at least, as before`;
}

/**
 * Whether a small change has taken the last member of a pool away, or made a name lead to what has none: by another policy, or by what its
 * policy has become. Pools that have not changed are not looked through, of which there may be thirty thousand.
 */
export function mayEmpty(before: Model, { next, pools, policies, owners }: ModelPatch): boolean {
  const after = next.model;
  return (
    pools.set.some(([key, { members }]) => members.size === 0 && hasMember(before, key)) ||
    policies.set.some(([, policy]) => !leadsSomewhere(after, policy)) ||
    owners.some((owner) => owner.after !== undefined && !isFilled(after, owner.after))
  );
}

function hasEmptyPool({ pools }: Model): boolean {
  for (const { members } of pools.values()) if (members.size === 0) return true;
  return false;
}

/** Records that lead to nothing. Most are alike but for their names: each shape of them is looked at once. */
function* recordsWithout(model: Model): Generator<RecordDocument> {
  if (!hasEmptyPool(model)) return;
  const { records } = model;
  const filled = records.shapes.map((shape) => isFilled(model, shape));
  for (let record = 0; record < records.count; record += 1)
    if (filled[records.shapeAt(record)] === false) yield records.document(record);
}

/** Whether a Record leads to an endpoint, or to a host. */
function isFilled(model: Model, { metadata, spec }: RecordShape): boolean {
  const { namespace } = metadata;
  if (spec.pool !== undefined) return hasMember(model, indexKey(namespace, spec.pool));
  const policy = model.policies.get(indexKey(namespace, spec.policy ?? ""));
  return policy !== undefined && leadsSomewhere(model, policy);
}

/** Whether a policy leads to an endpoint, or to a host. */
function leadsSomewhere(model: Model, { metadata, spec }: TrafficPolicyDocument): boolean {
  const hasHost = [...reachableNodes(spec)].some((name) => {
    const node = spec.nodes[name];
    return (
      node !== undefined &&
      (node.fallback?.name !== undefined ||
        branchesOf(node).some(({ branch }) => branch.name !== undefined))
    );
  });
  return (
    hasHost ||
    [...reachablePools(spec)].some((pool) => hasMember(model, indexKey(metadata.namespace, pool)))
  );
}

function hasMember(model: Model, key: string): boolean {
  return (model.pools.get(key)?.members.size ?? 0) > 0;
}
