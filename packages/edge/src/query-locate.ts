// SPDX-License-Identifier: Apache-2.0

import { mix32 } from "@meridian/core";
import {
  ClientLocation,
  FAMILY_IPV4,
  FAMILY_IPV6,
  maskWord,
  type LoadedZone,
} from "@meridian/snapshot";
import type { QueryState } from "./query-state.ts";

const zeroAddress = new Uint8Array(16);
/** Draws are equal within these prefixes, so that a client's next query of a window is decided alike. */
const DRAW_BITS_IPV4 = 24;
const DRAW_BITS_IPV6 = 56;

/**
 * Sets `query.client` to whom the decision is for (RFC 7871, design §5): the client subnet where the zone believes the sender and the
 * client did not opt out, else the sender itself; `ecsOnly` knows nothing of a client without ECS.
 */
export function locate(query: QueryState, zone: LoadedZone, ownMode: number): void {
  const { client, source, sourceStart, family } = query;
  const mode = ownMode === ClientLocation.inherit ? zone.clientLocation : ownMode;
  const ecs = query.message.edns.ecs;
  client.set(family, source, sourceStart, family === FAMILY_IPV6 ? 128 : 32);
  if (mode === ClientLocation.resolver) return;
  const isUsable =
    ecs.isPresent &&
    ecs.sourcePrefix > 0 &&
    zone.trusts(family, client.word0, client.word1, client.word2, client.word3);
  if (isUsable) {
    client.set(ecs.family, query.input, ecs.addressStart, ecs.sourcePrefix);
    query.usesEcs = true;
  } else if (mode === ClientLocation.ecsOnly) {
    client.set(FAMILY_IPV4, zeroAddress, 0, 0);
  }
}

/**
 * The one random word of a decision: the same for A, AAAA and HTTPS of a name, for a client prefix and a window of `windowSeconds`,
 * on every edge. Names start their windows at different times.
 */
export function drawFor(query: QueryState, nameHash: number, windowSeconds: number): number {
  const { client } = query;
  const isIpv4 = client.family === FAMILY_IPV4;
  const word0 = isIpv4 ? maskWord(client.word0, DRAW_BITS_IPV4) : client.word0;
  const word1 = isIpv4 ? 0 : maskWord(client.word1, DRAW_BITS_IPV6 - 32);
  const period = Math.max(1, windowSeconds);
  const window = Math.floor((query.nowSeconds + ((nameHash >>> 0) % period)) / period);
  return mix32(
    query.served.world.seed ^
      nameHash ^
      mix32(word0 ^ mix32(word1 ^ client.family)) ^
      mix32(window),
  );
}
