// SPDX-License-Identifier: Apache-2.0

import { setTimeout as sleep } from "node:timers/promises";
import { takeOver, type EdgeLogger, type Takeover } from "@meridian/edge";
import type { StateDir } from "@meridian/snapshot/disk";
import { handoverPath } from "./server-edge.ts";

/** How long a process that holds the state folder is waited for, until it offers its sockets or ends. */
const OFFER_MS_MAX = 60_000;
const LOOK_MS = 50;

/** How long a process that has taken over waits for its HTTP address: a port that a connection of another one had is kept for a minute. */
export const ADDRESS_MS_MAX = 90_000;

/**
 * Takes over from the process that holds the state folder. It may offer nothing yet, as it is taking over itself or still starting, or
 * nothing any more, as it is about to end. Undefined where there is none, or where it offers nothing for a minute.
 */
export async function takeOverWhenOffered(
  directory: StateDir,
  logger: EdgeLogger,
): Promise<Takeover | undefined> {
  const endMs = performance.now() + OFFER_MS_MAX;
  for (let isFirst = true; ; isFirst = false) {
    const takeover = await takeOver(handoverPath(directory.path));
    const holder = directory.holder();
    if (takeover !== undefined || holder === undefined) return takeover;
    if (performance.now() >= endMs) return undefined;
    if (isFirst) logger.info("Waiting for the process that holds the state folder", { holder });
    await sleep(LOOK_MS);
  }
}
