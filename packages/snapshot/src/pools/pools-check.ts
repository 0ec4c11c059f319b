// SPDX-License-Identifier: Apache-2.0
import { ANSWERS_MAX, CANDIDATES_MAX } from "../policies/policies-format.ts";
import type { Section } from "../section.ts";
import { isInHeap, isNameInHeap, strideError } from "../section-check.ts";
import {
  ENDPOINT_WORDS,
  EndpointFlag,
  EndpointWord,
  POOL_WORDS,
  PoolWord,
  PoolsTable,
} from "./pools-format.ts";

const IPV6_BYTES = 16;

/** Why the pools section cannot be served, or undefined. */
export function poolsError(section: Section): string | undefined {
  const strides = strideError(section, "Pools", {
    [PoolsTable.pools]: POOL_WORDS * 4,
    [PoolsTable.poolKeys]: 8,
    [PoolsTable.endpoints]: ENDPOINT_WORDS * 4,
    [PoolsTable.endpointKeys]: 8,
    [PoolsTable.memberNames]: 8,
    [PoolsTable.sites]: 8,
  });
  if (strides !== undefined) return strides;
  const pools = section.count(PoolsTable.pools);
  const endpoints = section.count(PoolsTable.endpoints);
  for (const [table, wanted] of [
    [PoolsTable.poolKeys, pools],
    [PoolsTable.endpointKeys, endpoints],
    [PoolsTable.memberNames, endpoints],
  ] as const) {
    if (section.count(table) !== wanted)
      return `Pools section has ${section.count(table)} entries in table ${table}, expected ${wanted}`;
  }
  return memberError(section, pools, endpoints) ?? endpointError(section, endpoints);
}

/** Pools take the endpoints one after the other, and each endpoint is in one of them. */
function memberError(section: Section, pools: number, endpoints: number): string | undefined {
  const base = section.wordBase(PoolsTable.pools);
  let next = 0;
  for (let pool = 0; pool < pools; pool++) {
    const start = section.words[base + pool * POOL_WORDS + PoolWord.memberStart] ?? 0;
    const count = section.words[base + pool * POOL_WORDS + PoolWord.memberCount] ?? 0;
    const answers = (section.words[base + pool * POOL_WORDS + PoolWord.settings] ?? 0) & 0xff;
    if (answers > ANSWERS_MAX)
      return `Pool ${pool} has ${answers} answers, expected at most ${ANSWERS_MAX}`;
    if (start !== next || count > CANDIDATES_MAX)
      return `Pool ${pool} has ${count} members from ${start}, expected at most ${CANDIDATES_MAX} from ${next}`;
    next += count;
  }
  return next === endpoints ? undefined : `Pools have ${next} members, expected ${endpoints}`;
}

function endpointError(section: Section, endpoints: number): string | undefined {
  const { words } = section;
  const base = section.wordBase(PoolsTable.endpoints);
  const sites = section.count(PoolsTable.sites);
  for (let endpoint = 0; endpoint < endpoints; endpoint++) {
    const at = base + endpoint * ENDPOINT_WORDS;
    const flags = words[at + EndpointWord.flags] ?? 0;
    const ipv6 = words[at + EndpointWord.ipv6] ?? 0;
    const hostName = words[at + EndpointWord.hostName] ?? 0;
    if ((flags & EndpointFlag.ipv6) !== 0 && !isInHeap(section, ipv6, IPV6_BYTES))
      return `Endpoint ${endpoint} has its IPv6 address at ${ipv6}, expected inside the heap`;
    if ((flags & EndpointFlag.hostName) !== 0 && !isNameInHeap(section, hostName))
      return `Endpoint ${endpoint} has its host name at ${hostName}, expected a whole name in the heap`;
    if ((words[at + EndpointWord.site] ?? 0) >= sites)
      return `Endpoint ${endpoint} is at site ${words[at + EndpointWord.site]}, expected below ${sites}`;
  }
  return undefined;
}
