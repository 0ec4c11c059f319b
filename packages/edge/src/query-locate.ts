// SPDX-License-Identifier: Apache-2.0

import { ClientLocation, FAMILY_IPV4, FAMILY_IPV6, type LoadedZone } from "@meridian/snapshot";
import type { QueryState } from "./query-state.ts";

const zeroAddress = new Uint8Array(16);

/**
 * Sets `query.client` to whom the decision is for (RFC 7871, design §5): the client subnet where the zone believes the sender and the
 * client did not opt out, else where the sender's clients are known to be, else the sender itself; `ecsOnly` knows nothing of a client
 * without ECS.
 */
export function locate(query: QueryState, zone: LoadedZone, ownMode: number): void {
  const { client, source, sourceStart, family } = query;
  const mode = ownMode === ClientLocation.inherit ? zone.clientLocation : ownMode;
  const ecs = query.message.edns.ecs;
  client.set(family, source, sourceStart, family === FAMILY_IPV6 ? 128 : 32);
  if (mode === ClientLocation.resolver) {
    query.served.world.resolvers?.relocate(client);
    return;
  }
  const isUsable =
    ecs.isPresent &&
    ecs.sourcePrefix > 0 &&
    zone.trusts(family, client.word0, client.word1, client.word2, client.word3);
  if (isUsable) {
    client.set(ecs.family, query.input, ecs.addressStart, ecs.sourcePrefix);
    query.usesEcs = true;
  } else if (mode === ClientLocation.ecsOnly) {
    client.set(FAMILY_IPV4, zeroAddress, 0, 0);
  } else if (!ecs.isPresent || ecs.sourcePrefix > 0) {
    // Not for a client that asked not to be told from others (RFC 7871 §7.1.2).
    query.served.world.resolvers?.relocate(client);
  }
}
