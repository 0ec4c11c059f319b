// SPDX-License-Identifier: Apache-2.0
import { parseName } from "@meridian/dns";
import {
  addressBytes,
  addressKind,
  type Member,
  type MinHealthySpec,
  type Model,
  type Pool,
} from "@meridian/model";
import { PER_MILLE, Serve } from "@meridian/snapshot";
import {
  MinHealthyKind,
  type EndpointInput,
  type MinHealthy,
  type PoolInput,
} from "@meridian/snapshot/writer";

/** Name of the site of members that name none. */
export const NO_SITE = "";

/** Every pool with the members of all its contributors, as the pools section wants them. */
export function compilePools(model: Model): PoolInput[] {
  return [...model.pools.values()].map((pool) => compilePool(model, pool));
}

/** One pool. */
export function compilePool(model: Model, pool: Pool): PoolInput {
  const { spec, metadata } = pool.document;
  const check =
    spec.healthCheck === undefined ? undefined : model.check(metadata.namespace, spec.healthCheck);
  const isChecked = check !== undefined && spec.evaluateHealth;
  const unknownServes = check?.spec.initial === "healthy";
  return {
    name: `${metadata.namespace}/${metadata.name}`,
    members: [...pool.members.values()].map((member) =>
      compileMember(model, member, isChecked, unknownServes),
    ),
    answers: spec.answers ?? 0,
    dial: toPerMille(spec.dial),
    minHealthy: encodeMinimum(spec.minHealthy),
  };
}

function compileMember(
  model: Model,
  member: Member,
  isChecked: boolean,
  unknownServes: boolean,
): EndpointInput {
  const { spec } = member;
  const site = spec.site ?? NO_SITE;
  return {
    name: member.name,
    ...addressesOf(spec),
    resolve: spec.resolve,
    weight: spec.weight,
    priority: spec.priority,
    serve: Serve[spec.serve],
    isChecked,
    unknownServes,
    site,
    failureDomain:
      spec.failureDomain ??
      model.site(site)?.spec.failureDomains?.[0] ??
      (site === NO_SITE ? member.key : site),
    capacity: spec.capacity ?? 0,
    port: spec.port ?? 0,
  };
}

function addressesOf(spec: Member["spec"]): Pick<EndpointInput, "ipv4" | "ipv6" | "hostName"> {
  const parts: { ipv4?: Uint8Array; ipv6?: Uint8Array; hostName?: Uint8Array } = {};
  for (const address of [spec.address, spec.alsoAddress]) {
    if (address === undefined) continue;
    const bytes = addressBytes(address);
    if (bytes === undefined) parts.hostName = wireName(address);
    else if (addressKind(address) === "ipv4") parts.ipv4 = bytes;
    else parts.ipv6 = bytes;
  }
  return parts;
}

/** Wire form of a name that the model has checked. */
export function wireName(text: string): Uint8Array {
  const name = parseName(text.endsWith(".") ? text : `${text}.`);
  if (!(name instanceof Uint8Array))
    throw new TypeError(`Cannot encode "${text}": the model let it pass`);
  return name;
}

/** A dial or share in percent as whole thousandths. */
export function toPerMille(percent: number): number {
  return Math.round((percent * PER_MILLE) / 100);
}

export function encodeMinimum(spec: MinHealthySpec | undefined): MinHealthy | undefined {
  if (spec === undefined) return undefined;
  if (spec.percent !== undefined)
    return {
      kind: MinHealthyKind.percent,
      value: Math.ceil(spec.percent),
      isPerFamily: spec.perFamily,
    };
  return { kind: MinHealthyKind.count, value: spec.count ?? 0, isPerFamily: spec.perFamily };
}
