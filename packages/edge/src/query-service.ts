// SPDX-License-Identifier: Apache-2.0

// HTTPS, SVCB (RFC 9460) and SRV (RFC 2782) of a bound name. The address hints are those of the same decision that A and AAAA give,
// so that a client never mixes sites.

import { Shape, type NamesChunk } from "@meridian/snapshot";
import { addressCount, copyAddress } from "./query-addresses.ts";
import type { QueryState } from "./query-state.ts";
import { Section } from "./response-writer.ts";

const KEY_IPV4HINT = 4;
const KEY_IPV6HINT = 6;
/** Bytes of a parameter's key and length. */
const PARAM_HEADER_BYTES = 4;
const SRV_FIXED_BYTES = 6;

/** One record in ServiceMode, parameters in rising order of their keys. Returns the number of records. */
export function writeService(
  query: QueryState,
  chunk: NamesChunk,
  shape: number,
  owner: number,
  ttl: number,
): number {
  const { response } = query;
  const { words } = chunk;
  const hasHints = words[shape + Shape.hasHints] === 1;
  const plainBytes =
    2 +
    words[shape + Shape.serviceTargetBytes]! +
    words[shape + Shape.paramsLowBytes]! +
    words[shape + Shape.paramsMiddleBytes]! +
    words[shape + Shape.paramsHighBytes]!;
  const hintBytes = hasHints ? hintBytesMax(query) : 0;
  response.beginSet(Section.answer);
  if (!response.beginRecord(owner, query.message.type, ttl, plainBytes + hintBytes)) return 0;
  response.u16(words[shape + Shape.servicePriority]!);
  copyHeap(query, chunk, shape + Shape.serviceTargetOffset);
  copyHeap(query, chunk, shape + Shape.paramsLowOffset);
  if (hasHints) writeHint(query, KEY_IPV4HINT, 4);
  copyHeap(query, chunk, shape + Shape.paramsMiddleOffset);
  if (hasHints) writeHint(query, KEY_IPV6HINT, 16);
  copyHeap(query, chunk, shape + Shape.paramsHighOffset);
  response.endRecord();
  return response.commitSet();
}

/** One record in AliasMode (RFC 9460 §2.4.2), which may stand at an apex. */
export function writeServiceAlias(
  query: QueryState,
  ttl: number,
  owner: number,
  bytes: Uint8Array,
  at: number,
  length: number,
): void {
  const { response } = query;
  response.beginSet(Section.answer);
  if (!response.beginRecord(owner, query.message.type, ttl, 2 + length)) return;
  response.u16(0);
  response.copy(bytes, at, length);
  response.endRecord();
  response.commitSet();
}

/** Bytes of both hints. */
function hintBytesMax(query: QueryState): number {
  const { selector, world } = query.served;
  let bytes = 2 * PARAM_HEADER_BYTES;
  for (let index = 0; index < selector.chosenCount; index++) {
    const endpoint = selector.chosen[index]!;
    bytes +=
      addressCount(world.pools, endpoint, 4) * 4 + addressCount(world.pools, endpoint, 6) * 16;
  }
  return bytes;
}

/** The hints of one family, if any chosen endpoint has an address of it. */
function writeHint(query: QueryState, key: number, addressBytes: number): void {
  const { response } = query;
  const { selector, world } = query.served;
  const { pools } = world;
  const start = response.at;
  response.at += PARAM_HEADER_BYTES;
  const family = addressBytes === 4 ? 4 : 6;
  for (let index = 0; index < selector.chosenCount; index++) {
    const endpoint = selector.chosen[index]!;
    const count = addressCount(pools, endpoint, family);
    for (let address = 0; address < count; address++) {
      copyAddress(pools, endpoint, family, address, response.output, response.at);
      response.at += addressBytes;
    }
  }
  const end = response.at;
  response.at = start;
  if (end === start + PARAM_HEADER_BYTES) return;
  response.u16(key);
  response.u16(end - start - PARAM_HEADER_BYTES);
  response.at = end;
}

/** The shape's own target once, or one record for each chosen endpoint that has a host name. Returns the number of records. */
export function writeSrv(
  query: QueryState,
  chunk: NamesChunk,
  shape: number,
  owner: number,
  ttl: number,
): number {
  const { response } = query;
  const { words } = chunk;
  const { selector, world } = query.served;
  const { pools } = world;
  const targetBytes = words[shape + Shape.srvTargetBytes]!;
  response.beginSet(Section.answer);
  if (targetBytes > 0) {
    if (!response.beginRecord(owner, query.message.type, ttl, SRV_FIXED_BYTES + targetBytes))
      return 0;
    const first = selector.chosenCount === 0 ? 0 : pools.portOf(selector.chosen[0]!);
    writeSrvFixed(query, chunk, shape, first);
    copyHeap(query, chunk, shape + Shape.srvTargetOffset);
    response.endRecord();
    return response.commitSet();
  }
  for (let index = 0; index < selector.chosenCount; index++) {
    const host = pools.hostNameOf(selector.chosen[index]!);
    if (host < 0) continue;
    let hostEnd = host;
    while (pools.bytes[hostEnd] !== 0) hostEnd += pools.bytes[hostEnd]! + 1;
    const length = hostEnd + 1 - host;
    if (!response.beginRecord(owner, query.message.type, ttl, SRV_FIXED_BYTES + length)) return 0;
    writeSrvFixed(query, chunk, shape, pools.portOf(selector.chosen[index]!));
    response.copy(pools.bytes, host, length);
    response.endRecord();
  }
  return response.commitSet();
}

/** Priority, weight and port: the record's own port, else that of the endpoint. */
function writeSrvFixed(
  query: QueryState,
  chunk: NamesChunk,
  shape: number,
  endpointPort: number,
): void {
  const { response } = query;
  response.u16(chunk.words[shape + Shape.srvPriority]!);
  response.u16(chunk.words[shape + Shape.srvWeight]!);
  const port = chunk.words[shape + Shape.srvPort]!;
  response.u16(port === 0 ? endpointPort : port);
}

/** Copies what the offset and length words at `word` point to. */
function copyHeap(query: QueryState, chunk: NamesChunk, word: number): void {
  query.response.copy(chunk.bytes, chunk.heapBase + chunk.words[word]!, chunk.words[word + 1]!);
}
