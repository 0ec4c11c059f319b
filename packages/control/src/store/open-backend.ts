// SPDX-License-Identifier: Apache-2.0

import { systemClock } from "@meridian/core";
import { EtcdBackend } from "./etcd/etcd-backend.ts";
import { SqliteBackend } from "./sqlite-backend.ts";
import type { StoreBackend } from "./store-backend.ts";
import type { StoreLocation } from "./store-location.ts";

const COPY_INTERVAL_MS = 3_600_000;

/** The back end at a location, in this thread. */
export function openBackend(
  location: StoreLocation,
  report: (message: string) => void,
): Promise<StoreBackend> {
  if (location.kind === "etcd") return EtcdBackend.open(systemClock, location);
  const { path, isReadOnly } = location;
  return Promise.resolve(
    new SqliteBackend({
      clock: systemClock,
      path,
      isReadOnly,
      report,
      copyIntervalMs: COPY_INTERVAL_MS,
    }),
  );
}
