// SPDX-License-Identifier: Apache-2.0

// Which zones a client sees. It is who sent the packet, or whom a listed proxy states, and the key that signed it: never a client subnet.

import type { World } from "@meridian/snapshot";
import type { QueryState } from "./query-state.ts";

/** Whether it depends on the client which zones there are. */
export function hasViews(
  { views }: World,
  { ignoresViews = false }: { readonly ignoresViews?: boolean },
): boolean {
  return views !== undefined && !ignoresViews;
}

/** Shows the query the zones of its client's view. `key` is the index of a view's key by which it is signed, −1 for none. */
export function chooseView(query: QueryState, key: number): void {
  const { world } = query.served;
  const { source, sourceStart, family } = query;
  const view = world.views?.find(source, sourceStart, family, key) ?? -1;
  query.view = view;
  query.zones = world.zonesOf(view);
}
