// SPDX-License-Identifier: Apache-2.0

import { Found } from "@meridian/snapshot";
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
  const { otherName, world } = query.served;
  otherName.set(bytes, at, at + length, 0);
  const zone = world.zones.find(otherName, 0);
  if (zone === undefined) return false;
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
