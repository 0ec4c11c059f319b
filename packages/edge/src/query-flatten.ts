// SPDX-License-Identifier: Apache-2.0

import { RRType } from "@meridian/dns";
import { Found } from "@meridian/snapshot";
import { isHidden } from "./query-access.ts";
import type { QueryState } from "./query-state.ts";
import { Section } from "./response-writer.ts";

/**
 * Answers a name that may have no CNAME with the records of another one (ALIAS flattening): those that a served zone holds of the
 * asked type under the name `bytes[at..at + length)`. False where there are none.
 */
export function flatten(
  query: QueryState,
  bytes: Uint8Array,
  at: number,
  length: number,
  owner: number,
  ttl: number,
): boolean {
  const { otherLookup, message, response } = query;
  const { otherName } = query.served;
  otherName.set(bytes, at, at + length, 0);
  const zone = query.zones.find(otherName, 0);
  if (zone === undefined || isHidden(query, zone)) return false;
  const found = otherLookup.find(zone, otherName, false);
  if (found !== Found.exact && found !== Found.wildcard) return false;
  const set = otherLookup.set(message.type);
  if (set < 0) return false;
  const chunk = otherLookup.chunk!;
  const word = set >>> 2;
  const records = chunk.nodesBase + chunk.words[word + 2]!;
  const count = chunk.words[word]! >>> 16;
  const leastTtl = Math.min(ttl, chunk.words[word + 1]!);
  response.set(Section.answer, owner, message.type, leastTtl, chunk.bytes, records, count, 0, 0);
  return true;
}

/**
 * Answers a name that may have no CNAME with the addresses that the control plane resolved the chosen alias to. Returns how many records,
 * or −1 where the alias has none of either family, or the type is not one of addresses.
 */
export function flattenResolved(query: QueryState, owner: number, ttl: number): number {
  const { message, response } = query;
  const { selector, world } = query.served;
  const { resolved } = world.policies;
  const alias = selector.aliasOffset;
  const family = message.type === RRType.A ? 4 : message.type === RRType.AAAA ? 6 : 0;
  if (family === 0 || resolved.count(alias, 4) + resolved.count(alias, 6) === 0) return -1;
  const bytes = family === 4 ? 4 : 16;
  const count = resolved.count(alias, family);
  response.beginSet(Section.answer);
  for (let index = 0; index < count; index++) {
    if (!response.beginRecord(owner, message.type, ttl, bytes)) return 0;
    resolved.copy(alias, family, index, response.output, response.at);
    response.at += bytes;
    response.endRecord();
  }
  return response.commitSet();
}
