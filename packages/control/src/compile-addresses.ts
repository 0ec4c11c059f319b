// SPDX-License-Identifier: Apache-2.0

// Which endpoints are answered by what their host names resolve to: those that say `resolve: true`, and those of pools that stand
// where no CNAME may (RFC 1034 §3.6.2, RFC 2181 §10.1): at an apex, or beside other records. So are the names that branches of policies
// point at from there, unless a zone served here has them.

import { key64 } from "@meridian/core";
import { nameKey } from "@meridian/dns";
import {
  indexKey,
  addressBytes,
  branchesOf,
  type Member,
  type Model,
  type Pool,
  type RecordShape,
  type Zone,
} from "@meridian/model";
import { aliasKeyText, type World } from "@meridian/snapshot";
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
    const alias = endpoint < 0 ? world.policies.resolved.offsetOf(key64(key)) : -1;
    if (endpoint < 0 && alias < 0) continue;
    const table = endpoint < 0 ? world.policies.resolved : world.pools.resolved;
    const at = endpoint < 0 ? alias : endpoint;
    const family = (which: 4 | 6): Uint8Array[] =>
      Array.from({ length: table.count(at, which) }, (_, index) => {
        const bytes = new Uint8Array(which === 4 ? 4 : 16);
        table.copy(at, which, index, bytes, 0);
        return bytes;
      });
    known.set(host, { ipv4: family(4), ipv6: family(6) });
  }
  return known;
}

/** An endpoint, or a name that branches point at, whose host name is answered by address. */
export interface ResolvedMember {
  /** `endpoint/NAMESPACE/POOL/NAME`, or `host/NAME.` for the name of a branch. */
  readonly key: string;
  readonly host: string;
}

/** Endpoints that ask for it, and endpoints and names of branches at owners where no CNAME may stand. */
export function resolvedMembers(model: Model): ResolvedMember[] {
  const hosted = [...model.pools].filter(([, pool]) => [...pool.members.values()].some(isHost));
  const aliases = new Set(
    hosted.flatMap(([name, pool]) =>
      [...pool.members.values()].some((member) => isHost(member) && !member.spec.resolve)
        ? [name]
        : [],
    ),
  );
  const flattened = flattenedTargets(model, aliases);
  const members = hosted
    .flatMap(([name, pool]) => membersOf(pool, flattened.pools.has(name)))
    .map(({ key, spec }) => ({ key, host: spec.address }));
  const names = [...flattened.names].map(([key, host]) => ({ key, host }));
  return [...members, ...names];
}

function membersOf(pool: Pool, isFlattened: boolean): Member[] {
  return [...pool.members.values()].filter(
    (member) => isHost(member) && (member.spec.resolve || isFlattened),
  );
}

function isHost({ spec }: Member): boolean {
  return addressBytes(spec.address) === undefined;
}

/** What records answer with at owners that have other data. */
interface FlattenedTargets {
  /** `NAMESPACE/NAME`. */
  readonly pools: ReadonlySet<string>;
  /** Names of branches by key. */
  readonly names: ReadonlyMap<string, string>;
}

/** Of `aliases` those pools, and of all names those outside the zones served here, that some record answers with at such an owner. */
function flattenedTargets(model: Model, aliases: ReadonlySet<string>): FlattenedTargets {
  const pools = new Set<string>();
  const names = new Map<string, string>();
  // Records of one shape have the same targets, and of a million few are of a shape that matters here.
  const targets = model.records.shapes.map((shape) => {
    const { pools: reached, names: pointed } = targetsOf(model, shape);
    const own = {
      pools: reached.filter((name) => aliases.has(name)),
      names: pointed.filter((name) => model.zoneOf(name) === undefined),
    };
    return own.pools.length + own.names.length === 0 ? undefined : own;
  });
  for (const zone of model.zones.values()) {
    const { table, indices } = zone.dynamicRecords;
    const bound = [...indices].flatMap((record) => {
      const own = targets[table.shapeAt(record)];
      return own === undefined
        ? []
        : [{ ...own, owner: nameKey(wireName(table.ownerText(record))) }];
    });
    if (bound.length === 0) continue;
    const shared = sharedOwners(zone);
    for (const own of bound) {
      if (!shared.has(own.owner)) continue;
      for (const name of own.pools) pools.add(name);
      for (const name of own.names) names.set(aliasKeyText(wireName(name), 0), name);
    }
  }
  return { pools, names };
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

/** `NAMESPACE/NAME` of every pool, and every host name, that a record may answer with. */
function targetsOf(
  model: Model,
  { spec, metadata }: RecordShape,
): { readonly pools: readonly string[]; readonly names: readonly string[] } {
  if (spec.pool !== undefined)
    return { pools: [indexKey(metadata.namespace, spec.pool)], names: [] };
  const policy =
    spec.policy === undefined ? undefined : model.policy(metadata.namespace, spec.policy);
  const branches = Object.values(policy?.spec.nodes ?? {}).flatMap((node) => [
    ...branchesOf(node).map(({ branch }) => branch),
    node.fallback ?? {},
  ]);
  return {
    pools: branches.flatMap(({ pool }) =>
      pool === undefined ? [] : [indexKey(policy?.metadata.namespace ?? "", pool)],
    ),
    names: branches.flatMap(({ name }) => name ?? []),
  };
}
