// SPDX-License-Identifier: Apache-2.0
import type { Client } from "../client.ts";
import { CAPACITY_SHIFT, DIAL_SHIFT, PER_MILLE } from "../overlay.ts";
import { isConfigured, isEligible, Mode } from "../pools/candidates.ts";
import { EndpointFlag, EndpointWord, PoolWord, healthyNeeded } from "../pools/pools-format.ts";
import type { World } from "../world.ts";
import { add, certain, withDial, type Outcomes } from "./outcomes.ts";

/** What is asked: who the client is, and over which overlay. */
export interface Question {
  readonly world: World;
  readonly slots: Uint32Array;
  readonly client: Client;
  readonly family: number;
  readonly ignoresDials: boolean;
  /** What the decision has drawn for the dials of members, in thousandths: those above it hold. */
  readonly dialed: number;
}

/** A member that takes part, with its effective weight. */
export interface Member {
  readonly endpoint: number;
  readonly weight: number;
}

/** Members by weight in the serving tier, without those whose dial sends the decision away. */
export function ofPool(question: Question, pool: number, mode: number): Outcomes {
  const members = pool < 0 ? [] : candidateMembers(question, pool, mode);
  if (members.length === 0) return certain("unhealthy");
  return withDial(ofMembers(question, members), poolDial(question, pool));
}

/** Members that can be answered for the wanted family, by weight. */
export function ofMembers(question: Question, members: readonly Member[]): Outcomes {
  const { world, family } = question;
  const usable = members.filter(
    ({ endpoint }) => family === 0 || world.pools.serves(endpoint, family),
  );
  return usable.length === 0 ? certain("noAddress") : amongMembers(question, usable);
}

function amongMembers(question: Question, members: readonly Member[]): Outcomes {
  const kept = members.filter(
    ({ endpoint }) => question.ignoresDials || memberDial(question, endpoint) > question.dialed,
  );
  if (kept.length === 0) return certain("dialed");
  const total = kept.reduce((sum, { weight }) => sum + weight, 0);
  const result = new Map<string, number>();
  for (const { endpoint, weight } of kept)
    add(result, question.world.endpointName(endpoint), weight / total);
  return result;
}

/** Per mille that a member keeps of the draws that pick it. */
export function memberDial({ slots }: Pick<Question, "slots">, endpoint: number): number {
  return Math.min(PER_MILLE, ((slots[endpoint] ?? 0) >>> DIAL_SHIFT) & 0x3ff);
}

/** Per mille that a pool keeps of what is routed to it. */
export function poolDial({ world, ignoresDials }: Question, pool: number): number {
  return ignoresDials ? PER_MILLE : world.pools.poolWord(pool, PoolWord.dial);
}

/** Members of the tier of `pool` that serves; none where the pool cannot. */
export function candidateMembers(question: Question, pool: number, mode: number): Member[] {
  const { world, slots } = question;
  const start = world.pools.memberStart(pool);
  const all = Array.from({ length: world.pools.memberCount(pool) }, (_, index) => {
    const endpoint = start + index;
    const packed = world.pools.endpointWord(endpoint, EndpointWord.weight);
    const slot = slots[endpoint] ?? 0;
    const factor = mode === Mode.open ? PER_MILLE : (slot >>> CAPACITY_SHIFT) & 0x3ff;
    const serve = (packed >>> 27) & 3;
    return {
      endpoint,
      flags: world.pools.flags(endpoint),
      configured: isConfigured(serve, slot),
      eligible:
        isConfigured(serve, slot) && isEligible(serve, world.pools.flags(endpoint), slot, mode),
      priority: (packed >>> 20) & 0x7f,
      declared: packed & 0xf_ffff,
      weight: (packed & 0xf_ffff) * factor,
    };
  });
  const eligible = all.filter((member) => member.eligible);
  const minimum = world.pools.poolWord(pool, PoolWord.minHealthy);
  const families = minimum >>> 31 === 1 ? [EndpointFlag.ipv4, EndpointFlag.ipv6] : [0];
  for (const family of families) {
    const configured = all.filter(
      (member) => member.configured && (member.flags & family) === family,
    );
    const healthy = eligible.filter((member) => (member.flags & family) === family);
    if (
      mode === Mode.verdict &&
      configured.length > 0 &&
      healthy.length < healthyNeeded(minimum, configured.length)
    )
      return [];
  }
  const weighty = eligible.filter((member) => member.weight > 0);
  if (weighty.length > 0) {
    const priority = Math.min(...weighty.map((member) => member.priority));
    return weighty.filter((member) => member.priority === priority);
  }
  if (mode === Mode.open && all.some((member) => member.declared > 0)) return [];
  const priority = Math.min(...eligible.map((member) => member.priority));
  return eligible
    .filter((member) => member.priority === priority)
    .map((member) => ({ ...member, weight: 1 }));
}
