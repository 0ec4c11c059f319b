// SPDX-License-Identifier: Apache-2.0

// Which endpoints are answered by what their host names resolve to: those that say `resolve: true`, and those of pools that stand
// where no CNAME may (RFC 1034 §3.6.2, RFC 2181 §10.1): at an apex, or beside other records.

import { key64 } from "@meridian/core";
import { nameKey } from "@meridian/dns";
import {
  addressBytes,
  branchesOf,
  type Member,
  type Model,
  type Pool,
  type RecordDocument,
  type Zone,
} from "@meridian/model";
import type { World } from "@meridian/snapshot";
import { writeAddresses, type WrittenSection } from "@meridian/snapshot/writer";
import { wireName } from "./compile-pools.ts";
import type { HostAddresses } from "./host-state.ts";

/** The addresses section, or undefined where no endpoint needs it. `hosts` says what each host name resolves to. */
export function compileAddresses(
  members: readonly ResolvedMember[],
  hosts: ReadonlyMap<string, HostAddresses>,
): WrittenSection | undefined {
  const endpoints = members.flatMap(({ key, host }) => {
    const { ipv4, ipv6 } = hosts.get(host) ?? { ipv4: [], ipv6: [] };
    return ipv4.length + ipv6.length === 0 ? [] : [{ key: key64(key), ipv4, ipv6 }];
  });
  return endpoints.length === 0 ? undefined : writeAddresses(endpoints);
}

/** What host names resolve to in a world, for a process that starts from a stored revision. */
export function knownAddresses(
  members: readonly ResolvedMember[],
  world: World,
): Map<string, HostAddresses> {
  const known = new Map<string, HostAddresses>();
  for (const { key, host } of members) {
    const endpoint = world.pools.endpointIndexOf(key64(key));
    if (endpoint < 0) continue;
    const family = (which: 4 | 6): Uint8Array[] =>
      Array.from({ length: world.resolvedCount(endpoint, which) }, (_, index) => {
        const bytes = new Uint8Array(which === 4 ? 4 : 16);
        world.copyResolved(endpoint, which, index, bytes, 0);
        return bytes;
      });
    known.set(host, { ipv4: family(4), ipv6: family(6) });
  }
  return known;
}

/** An endpoint whose host name is answered by address. */
export interface ResolvedMember {
  /** `endpoint/NAMESPACE/POOL/NAME`. */
  readonly key: string;
  readonly host: string;
}

/** Endpoints that ask for it, and those at owners where no CNAME may stand. */
export function resolvedMembers(model: Model): ResolvedMember[] {
  const hosted = [...model.pools].filter(([, pool]) => [...pool.members.values()].some(isHost));
  const aliases = new Set(
    hosted.flatMap(([name, pool]) =>
      [...pool.members.values()].some((member) => isHost(member) && !member.spec.resolve)
        ? [name]
        : [],
    ),
  );
  const flattened = aliases.size === 0 ? aliases : flattenedPools(model, aliases);
  return hosted
    .flatMap(([name, pool]) => membersOf(pool, flattened.has(name)))
    .map(({ key, spec }) => ({ key, host: spec.address }));
}

function membersOf(pool: Pool, isFlattened: boolean): Member[] {
  return [...pool.members.values()].filter(
    (member) => isHost(member) && (member.spec.resolve || isFlattened),
  );
}

function isHost({ spec }: Member): boolean {
  return addressBytes(spec.address) === undefined;
}

/** Those of the pools that some record answers with at an owner that has other data. */
function flattenedPools(model: Model, pools: ReadonlySet<string>): Set<string> {
  const found = new Set<string>();
  for (const zone of model.zones.values()) {
    const bound = zone.dynamicRecords.flatMap((record) => {
      const reached = poolsOf(model, record).filter((name) => pools.has(name));
      return reached.length === 0 ? [] : [{ owner: nameKey(wireName(record.spec.name)), reached }];
    });
    if (bound.length === 0) continue;
    const shared = sharedOwners(zone);
    for (const { owner, reached } of bound)
      if (shared.has(owner)) for (const name of reached) found.add(name);
  }
  return found;
}

/** Owners that have static records (an apex always does) or more than one Record. */
function sharedOwners(zone: Zone): Set<string> {
  const owners = new Set([nameKey(zone.apex)]);
  for (const { owner } of zone.records) owners.add(nameKey(owner));
  const bound = new Set<string>();
  for (const { spec } of zone.dynamicRecords) {
    const owner = nameKey(wireName(spec.name));
    if (bound.has(owner)) owners.add(owner);
    bound.add(owner);
  }
  return owners;
}

/** `NAMESPACE/NAME` of every pool that a record may answer with. */
function poolsOf(model: Model, { spec, metadata }: RecordDocument): string[] {
  if (spec.pool !== undefined) return [`${metadata.namespace}/${spec.pool}`];
  const policy =
    spec.policy === undefined ? undefined : model.policy(metadata.namespace, spec.policy);
  if (policy === undefined) return [];
  return Object.values(policy.spec.nodes).flatMap((node) => {
    const branches = [...branchesOf(node).map(({ branch }) => branch), node.fallback ?? {}];
    return branches.flatMap((branch) =>
      branch.pool === undefined ? [] : [`${policy.metadata.namespace}/${branch.pool}`],
    );
  });
}
