// SPDX-License-Identifier: Apache-2.0

// What a rollout moves traffic between, as it is served: checked before it starts and at every step, as documents change meanwhile.

import { RRType, parseName } from "@meridian/dns";
import type { RolloutSpec, TrafficPolicyDocument } from "@meridian/model";
import {
  Found,
  NameLookup,
  QueryName,
  TargetKind,
  boundSetOf,
  type World,
} from "@meridian/snapshot";
import type { ServedModel } from "../served-model.ts";
import { branchTarget } from "../weights/weight-overrides.ts";

/** A node whose two branches a wave is about. */
export interface WaveTarget {
  readonly node: string;
  /** As in `WeightOverride.weights`. */
  readonly stable: string;
  readonly canary: string;
  /** What the document gives them. */
  readonly stableWeight: number;
  readonly canaryWeight: number;
}

/** What a rollout acts on. */
export interface RolloutTarget {
  /** `NAMESPACE/NAME` of the policy. */
  readonly policy: string;
  readonly waves: readonly WaveTarget[];
}

/** What is served. */
export interface ServedTargets {
  readonly model: ServedModel;
  readonly world: World;
}

/** What the rollout acts on, or in words why it cannot. */
export function targetOf(
  namespace: string,
  spec: RolloutSpec,
  { model, world }: ServedTargets,
): RolloutTarget | string {
  const policy = policyOf(namespace, spec, world);
  if (!policy.startsWith(`${namespace}/`)) return policy;
  const name = policy.slice(namespace.length + 1);
  const document = model.policy(namespace, name);
  if (document === undefined) return `there is no TrafficPolicy "${policy}"`;
  const waves: WaveTarget[] = [];
  for (const wave of spec.waves) {
    if (wave.site !== undefined && !model.sites.has(wave.site))
      return `there is no Site "${wave.site}"`;
    const found = waveTarget(namespace, wave, document);
    if (typeof found === "string") return found;
    waves.push(found);
  }
  const nodes = new Set(waves.map(({ node }) => node));
  if (nodes.size < waves.length) return `two waves are about one node of TrafficPolicy "${policy}"`;
  return { policy, waves };
}

/** Why it cannot start from the weights that the policy has; undefined where it can. */
export function weightsProblem({ policy, waves }: RolloutTarget): string | undefined {
  const wrong = waves.find(({ stableWeight, canaryWeight }) => {
    return canaryWeight !== 0 || stableWeight === 0;
  });
  if (wrong === undefined) return undefined;
  const { node, stableWeight, canaryWeight } = wrong;
  return `node "${node}" of TrafficPolicy "${policy}" gives the canary ${canaryWeight} and stable ${stableWeight}, expected 0 and more than 0`;
}

/** Whether the policy gives the canary of every wave all traffic by itself. */
export function isWritten({ waves }: RolloutTarget): boolean {
  return waves.every(({ stableWeight, canaryWeight }) => stableWeight === 0 && canaryWeight > 0);
}

/** `NAMESPACE/NAME`, or in words why there is none. */
function policyOf(namespace: string, { policy, record }: RolloutSpec, world: World): string {
  if (policy !== undefined) return `${namespace}/${policy}`;
  const found = decidedBy(record ?? "", world);
  if (found === undefined) return `no policy decides a name "${record}"`;
  return found.startsWith(`${namespace}/`)
    ? found
    : `"${record}" is decided by TrafficPolicy "${found}", expected one of namespace ${namespace}`;
}

function decidedBy(text: string, world: World): string | undefined {
  const wire = parseName(text.endsWith(".") ? text : `${text}.`);
  if (!(wire instanceof Uint8Array)) return undefined;
  const name = new QueryName(world.zones.seed);
  name.set(wire, 0, wire.length, 0);
  const zone = world.zones.find(name, 0);
  const lookup = new NameLookup();
  if (zone === undefined || lookup.find(zone, name, false) !== Found.exact) return undefined;
  for (const type of [RRType.A, RRType.AAAA, RRType.CNAME, RRType.HTTPS]) {
    const set = boundSetOf(lookup, type);
    if (set?.targetKind === TargetKind.policy) return world.policies.policyName(set.target);
  }
  return undefined;
}

function waveTarget(
  namespace: string,
  wave: RolloutSpec["waves"][number],
  { metadata, spec }: TrafficPolicyDocument,
): WaveTarget | string {
  const node = wave.node ?? spec.root;
  const about = `node "${node}" of TrafficPolicy "${metadata.namespace}/${metadata.name}"`;
  const { weighted, sticky } = spec.nodes[node] ?? {};
  const branches = weighted?.branches ?? sticky?.branches;
  if (branches === undefined)
    return spec.nodes[node] === undefined
      ? `there is no ${about}`
      : `${about} is neither weighted nor sticky`;
  const weights = new Map(
    branches.map((branch) => [branchTarget(namespace, branch), branch.weight]),
  );
  const stable = branchTarget(namespace, wave.stable);
  const canary = branchTarget(namespace, wave.canary);
  const missing = [stable, canary].find((each) => !weights.has(each));
  if (missing !== undefined) return `${about} has no branch ${missing}`;
  if (branches.length !== 2)
    return `${about} has ${branches.length} branches, expected stable and canary alone: put them in a node of their own`;
  const [stableWeight = 0, canaryWeight = 0] = [weights.get(stable), weights.get(canary)];
  return { node, stable, canary, stableWeight, canaryWeight };
}
