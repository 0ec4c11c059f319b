// SPDX-License-Identifier: Apache-2.0

// A process that is to replace another one finds it there, but not ready to hand over: it has just started, is ending, or hands over to a
// third one. None of this lasts, so the new process waits, for as long as it would wait for a message of a handover.

import { setTimeout as passed } from "node:timers/promises";
import { MeridianError, systemClock, type Clock } from "@meridian/core";
import type { StateDir } from "@meridian/snapshot/disk";
import type { EdgeLogger } from "./edge-logger.ts";
import { interruptedError, isBusy, takeOver, type Takeover } from "./handover.ts";

/** How long the process that holds the folder may take until it hands over or ends. A large state takes seconds to load. */
const WAIT_MS_MAX = 60_000;
const LOOK_MS = 100;
/** How often it is looked after a folder that was not given back in that time. */
const LATE_LOOK_MS = 1000;

export interface FolderTakeoverOptions {
  /** Where a handover is offered. */
  readonly path: string;
  readonly directory: StateDir;
  readonly logger: EdgeLogger;
  /** This process is told to end. */
  readonly signal?: AbortSignal | undefined;
  readonly waitMsMax?: number;
  readonly clock?: Clock;
}

/**
 * Asks the process that holds the folder for its sockets, and waits until it hands them over; undefined where it ended, or no process holds
 * the folder. Throws a MeridianError with code STATE_LOCKED where it does neither for too long, EDGE_HANDOVER_INTERRUPTED where `signal`
 * says so, and what `takeOver()` throws.
 */
export async function takeOverFolder(
  options: FolderTakeoverOptions,
): Promise<Takeover | undefined> {
  const { path, directory, logger, signal, waitMsMax = WAIT_MS_MAX, clock = systemClock } = options;
  const beganMs = clock.monotonicMs();
  let isTold = false;
  for (;;) {
    const isLast = clock.monotonicMs() - beganMs >= waitMsMax;
    const takeover = await takenOver(path, signal);
    if (takeover !== "busy" && takeover !== undefined) return takeover;
    const holder = directory.holder();
    if (holder === undefined && takeover === undefined) return undefined;
    if (isLast) throw heldError(directory, holder, waitMsMax);
    if (!isTold) logger.info("Waiting for the process that holds the state folder", { holder });
    isTold = true;
    await nextLook(signal);
    if (signal?.aborted === true) throw interruptedError(path);
  }
}

/**
 * As `takeOverFolder()`, and makes what holds the folder from then on. Several processes may wait for one that ends: whoever is not the first to
 * take what it leaves waits for the one that was. What `make` throws otherwise comes out, and the process that answers goes on.
 */
export async function holdFolder<T>(
  options: FolderTakeoverOptions,
  make: (takeover: Takeover | undefined) => T,
): Promise<{ readonly takeover: Takeover | undefined; readonly made: T }> {
  for (;;) {
    const takeover = await takeOverFolder(options);
    try {
      return { takeover, made: make(takeover) };
    } catch (error) {
      takeover?.abandon();
      if (takeover !== undefined || !isHeldError(error)) throw error;
    }
  }
}

/**
 * Holds the folder again where a process that was to take over has taken it, and has ended since; waits for that for as long as it is wanted,
 * and says so once. Rejects where the folder cannot be used.
 */
export async function takeFolderBack(
  directory: StateDir,
  logger: EdgeLogger,
  isWanted: () => boolean,
): Promise<void> {
  const looks = WAIT_MS_MAX / LOOK_MS;
  for (let look = 0; isWanted(); look++) {
    const holder = directory.holder();
    if (holder === process.pid || (holder === undefined && isLocked(directory))) return;
    if (look === looks)
      logger.warn("A process that did not take over holds the state folder; stop it", { holder });
    await nextLook(undefined, look < looks ? LOOK_MS : LATE_LOOK_MS);
  }
}

/** Locks it; false where another process was first. */
function isLocked(directory: StateDir): boolean {
  try {
    directory.lock();
    return true;
  } catch (error) {
    if (isHeldError(error)) return false;
    throw error;
  }
}

function isHeldError(error: unknown): boolean {
  return error instanceof MeridianError && error.code === "STATE_LOCKED";
}

async function nextLook(signal?: AbortSignal, afterMs = LOOK_MS): Promise<void> {
  try {
    await passed(afterMs, undefined, signal === undefined ? {} : { signal });
  } catch {
    // Interrupted.
  }
}

async function takenOver(
  path: string,
  signal: AbortSignal | undefined,
): Promise<Takeover | "busy" | undefined> {
  try {
    return await takeOver(path, { signal });
  } catch (error) {
    if (!isBusy(error)) throw error;
    return "busy";
  }
}

function heldError(
  directory: StateDir,
  holder: number | undefined,
  waitedMs: number,
): MeridianError {
  const replaced = holder === undefined ? "the process that answers" : `process ${holder}`;
  return new MeridianError(
    "STATE_LOCKED",
    "user",
    `Cannot replace ${replaced}: it holds the state folder "${directory.path}", and neither handed its sockets over nor ended within ` +
      `${waitedMs / 1000} s; stop it, or give another --state`,
  );
}
