// SPDX-License-Identifier: Apache-2.0

import { systemClock } from "@meridian/core";
import { BackedStore } from "./backed-store.ts";
import { BackendThread } from "./backend-thread.ts";
import type { StoreLocation } from "./store-location.ts";
import type { Store } from "./store.ts";

/**
 * Opens the store at a location, in a thread of its own. Rejects with STORE_IN_USE, STORE_FOREIGN, STORE_CORRUPT or STORE_UNAVAILABLE. `report` is told what
 * an operator must know, in sentences.
 */
export async function openStore(
  location: StoreLocation,
  report: (message: string) => void,
): Promise<Store> {
  return new BackedStore(systemClock, await BackendThread.open({ location }, report));
}
