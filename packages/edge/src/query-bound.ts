// SPDX-License-Identifier: Apache-2.0

// Names bound to a policy or pool: locate the client, draw, select, and say the outcome in records. One decision stands behind every
// type of a name, since the draw depends on the name, the client prefix and the TTL window only.

import { ExtendedError, Rcode, RRType } from "@meridian/dns";
import {
  BoundType,
  boundTypeBit,
  decisionWord,
  NO_TARGET,
  NodeFlag,
  Outcome,
  Shape,
  type LoadedZone,
  type NamesChunk,
} from "@meridian/snapshot";
import { addressCount, copyAddress } from "./query-addresses.ts";
import { flatten, flattenResolved } from "./query-flatten.ts";
import { locate } from "./query-locate.ts";
import { follow, negative } from "./query-records.ts";
import { NO_EDE, type QueryState } from "./query-state.ts";
import { writeService, writeServiceAlias, writeSrv } from "./query-service.ts";
import { Section } from "./response-writer.ts";

const IPV4_BYTES = 4;
const IPV6_BYTES = 16;

/** Answers from the bound set at `set` of the node found. Returns an rcode or NEXT. */
export function answerBound(query: QueryState, zone: LoadedZone, set: number): number {
  const chunk = query.lookup.chunk!;
  const { words } = chunk;
  const word = set >>> 2;
  const link = words[word + 1]!;
  // Only a section that was not written rightly leads elsewhere.
  if (!(link < chunk.linkCount && words[word + 2]! < chunk.shapeCount)) return Rcode.SERVFAIL;
  const shape = chunk.shapeAt(words[word + 2]!);
  const target = chunk.targetOf(link);
  if (target === NO_TARGET) return Rcode.SERVFAIL;
  const outcome = decide(query, zone, chunk, shape, target & 1, target >>> 1);
  const { selector, world } = query.served;
  if (outcome === Outcome.noData)
    return withhold(query, zone, words[shape + Shape.ttlMin]!, selector.ede);
  if (outcome === Outcome.alias)
    return answerAlias(query, zone, chunk, shape, selector.alias, selector.aliasOffset);
  const host = selector.chosenCount === 0 ? -1 : world.pools.hostNameOf(selector.chosen[0]!);
  if (host >= 0 && isAlias(query, words[word]!, selector.chosen[0]!))
    return answerAlias(query, zone, chunk, shape, world.pools.bytes, host);
  return answerEndpoints(query, zone, chunk, shape);
}

/** Whether an endpoint's host name is the answer, not what it resolves to. `boundTypes` is the set's word. */
function isAlias(query: QueryState, boundTypes: number, endpoint: number): boolean {
  const { type } = query.message;
  if (type === RRType.SRV) return false;
  if (type === RRType.CNAME || (boundTypes & BoundType.cname) !== 0) return true;
  return !query.served.world.pools.isResolved(endpoint);
}

/** Locates the client and selects for it; the selector holds what was chosen. Returns an Outcome. */
export function decide(
  query: QueryState,
  zone: LoadedZone,
  chunk: NamesChunk,
  shape: number,
  targetKind: number,
  target: number,
): number {
  const { words } = chunk;
  const { selector, overlay, name } = query.served;
  locate(query, zone, words[shape + Shape.clientLocation]!);
  const draw = decisionWord(
    query.served.world.seed,
    name.hashes[query.boundLabel]!,
    query.client,
    query.nowSeconds,
    words[shape + Shape.ttlMax]!,
  );
  const family = wantedFamily(query.message.type);
  selector.variantBits = zone.variantBits;
  // Of the wildcard where one stands for the name: it is signed once for all of those.
  if (zone.variantBits !== 0)
    selector.variantSeed = name.hashes[query.boundLabel + query.lookup.label]!;
  const answers = words[shape + Shape.answers]!;
  const outcome = selector.select(
    overlay.slots,
    targetKind,
    target,
    query.client,
    draw,
    family,
    answers,
  );
  query.hasDecision = true;
  query.targetKind = targetKind;
  query.targetIndex = target;
  query.draw = draw >>> 0;
  query.noteClientBits(selector.scope);
  // Every decision of a chain must hold for the prefix.
  if (query.usesEcs && selector.scope > query.scope) query.scope = selector.scope;
  return outcome;
}

function wantedFamily(type: number): number {
  return type === RRType.A ? 4 : type === RRType.AAAA ? 6 : 0;
}

/** As long as the verdicts behind the answer cannot change, within the record's bounds (design §5). */
function answerTtl(query: QueryState, chunk: NamesChunk, shape: number): number {
  const least = chunk.words[shape + Shape.ttlMin]!;
  const most = chunk.words[shape + Shape.ttlMax]!;
  if (query.signer !== null) query.signer.originalTtl = most;
  return Math.max(least, Math.min(most, query.served.selector.changeSeconds));
}

/** NODATA, never NXDOMAIN, because of health: kept no longer than the least TTL, with the reason. */
function withhold(query: QueryState, zone: LoadedZone, ttlMin: number, ede: number): number {
  query.ede = ede > 0xff ? ExtendedError.OTHER : ede === 0 ? NO_EDE : ede;
  return negative(query, zone, Rcode.NOERROR, Math.min(ttlMin, zone.negativeTtl));
}

/**
 * Another name answers: a CNAME where one may stand, else what lies behind it. `bytes[at..]` is an uncompressed wire name.
 */
function answerAlias(
  query: QueryState,
  zone: LoadedZone,
  chunk: NamesChunk,
  shape: number,
  bytes: Uint8Array,
  at: number,
): number {
  const { lookup, response, message } = query;
  const ttl = answerTtl(query, chunk, shape);
  const owner = query.served.name.messageOffsets[0]!;
  const length = wireLength(bytes, at);
  // A CNAME stands alone (RFC 2181 §10.1): not at the apex, not beside other records.
  const isAlone = (lookup.flags & NodeFlag.isApex) === 0 && chunk.bytes[lookup.node + 2] === 1;
  if (!isAlone) {
    if (message.type === RRType.HTTPS || message.type === RRType.SVCB) {
      writeServiceAlias(query, ttl, owner, bytes, at, length);
      return Rcode.NOERROR;
    }
    if (flatten(query, bytes, at, length, owner, ttl)) return Rcode.NOERROR;
    if (query.served.selector.aliasOffset >= 0) {
      const count = flattenResolved(query, owner, ttl);
      if (count > 0 || response.isTruncated) return Rcode.NOERROR;
      // The name is there, but not with an address of this family.
      if (count === 0) return negative(query, zone, Rcode.NOERROR, Math.min(ttl, zone.negativeTtl));
    }
    if (isChosenResolved(query)) return answerEndpoints(query, zone, chunk, shape);
    return withhold(
      query,
      zone,
      chunk.words[shape + Shape.ttlMin]!,
      ExtendedError.NO_REACHABLE_AUTHORITY,
    );
  }
  response.beginSet(Section.answer);
  if (!response.beginRecord(owner, RRType.CNAME, ttl, length)) return Rcode.NOERROR;
  response.copy(bytes, at, length);
  response.endRecord();
  response.commitSet();
  return message.type === RRType.CNAME
    ? Rcode.NOERROR
    : follow(query, zone, bytes, at, length, false);
}

/** Whether the host name that was chosen has addresses, of either family. */
function isChosenResolved(query: QueryState): boolean {
  const { selector, world } = query.served;
  if (selector.chosenCount === 0) return false;
  const endpoint = selector.chosen[0]!;
  return world.resolvedCount(endpoint, 4) + world.resolvedCount(endpoint, 6) > 0;
}

function answerEndpoints(
  query: QueryState,
  zone: LoadedZone,
  chunk: NamesChunk,
  shape: number,
): number {
  const { type } = query.message;
  const ttl = answerTtl(query, chunk, shape);
  const owner = query.served.name.messageOffsets[0]!;
  let count = 0;
  if (type === RRType.A) count = writeAddresses(query, owner, ttl, type, IPV4_BYTES);
  else if (type === RRType.AAAA) count = writeAddresses(query, owner, ttl, type, IPV6_BYTES);
  else if (type === RRType.HTTPS || type === RRType.SVCB)
    count = writeService(query, chunk, shape, owner, ttl);
  else if (type === RRType.SRV) count = writeSrv(query, chunk, shape, owner, ttl);
  if (count > 0 || query.response.isTruncated) return Rcode.NOERROR;
  // Endpoints, but none that this type can name: the type does not exist for now.
  const ttlMin = chunk.words[shape + Shape.ttlMin]!;
  return negative(
    query,
    zone,
    Rcode.NOERROR,
    boundTypeBit(type) === 0 ? zone.negativeTtl : Math.min(ttlMin, zone.negativeTtl),
  );
}

/** One record for each address of the chosen endpoints and the family, equal ones once. Returns how many. */
function writeAddresses(
  query: QueryState,
  owner: number,
  ttl: number,
  type: number,
  bytes: number,
): number {
  const { response } = query;
  const { selector, world } = query.served;
  const { pools } = world;
  const family = bytes === IPV4_BYTES ? 4 : 6;
  const first = response.at;
  response.beginSet(Section.answer);
  for (let index = 0; index < selector.chosenCount; index++) {
    const endpoint = selector.chosen[index]!;
    const count = addressCount(pools, endpoint, family);
    for (let address = 0; address < count; address++) {
      if (!response.beginRecord(owner, type, ttl, bytes)) return 0;
      copyAddress(pools, endpoint, family, address, response.output, response.at);
      if (isRepeated(response.output, first, response.at, bytes)) {
        response.dropRecord();
        continue;
      }
      response.at += bytes;
      response.endRecord();
    }
  }
  return response.commitSet();
}

/** Whether the address at `at` is one of the records from `first` on, all of equal length. */
function isRepeated(output: Uint8Array, first: number, at: number, bytes: number): boolean {
  const stride = 12 + bytes;
  for (let other = first + 12; other < at; other += stride) {
    let index = 0;
    while (index < bytes && output[other + index] === output[at + index]) index += 1;
    if (index === bytes) return true;
  }
  return false;
}

function wireLength(bytes: Uint8Array, at: number): number {
  let end = at;
  while (bytes[end] !== 0) end += bytes[end]! + 1;
  return end + 1 - at;
}
