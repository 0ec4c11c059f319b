// SPDX-License-Identifier: Apache-2.0

// The temporary moves of traffic that are in force: kept on disk, or in the store of several controls; brought into the overlay, ended when
// they expire.

import { randomUUID } from "node:crypto";
import { reasonOf, type Clock } from "@meridian/core";
import type { SharedOverlay } from "@meridian/health";
import type { World } from "@meridian/snapshot";
import type { Logger, Persistence } from "./embedded-options.ts";
import type { ServedModel } from "./served-model.ts";
import { nextChangeMs, overAtMs } from "./shift-course.ts";
import { ShiftReaches, type ShiftReach } from "./shift-lead.ts";
import { shiftEffects } from "./shift-precedence.ts";
import { shiftChanges, type Shift, type SwitchedOff } from "./shift-effects.ts";

/** Longest pause of the timer: one of 24.8 days or more would end at once. */
const PAUSE_MS_MAX = 24 * 3_600_000;
/** After this it is tried again where the overlay was not to be had, as while its thread is started anew. */
const RETRY_MS = 1000;
/** How often a store is looked at that has shifts that are over: who leads clears them away. */
const EXPIRED_LOOK_MS = 60_000;

/** What shifts act on. */
export interface ShiftedSnapshot {
  readonly model: ServedModel;
  readonly world: World;
  readonly overlay: Pick<SharedOverlay, "read" | "apply">;
}

/** Where shifts are that all controls of a store follow. */
export interface SharedShifts {
  shifts(): readonly Shift[];
  /** Adds them, or changes those of the same id. Durable when it resolves. */
  putShifts(shifts: readonly Shift[], verb: string): Promise<void>;
  /** Durable when it resolves. */
  endShifts(shifts: readonly Shift[]): Promise<void>;
  /** They count no more, here or elsewhere. */
  expireShifts(shifts: readonly Shift[]): void;
}

/** Where shifts are kept. */
export interface ShiftPlaces {
  /** Routing controls that are Off. */
  readonly switchedOff?: (() => readonly SwitchedOff[]) | undefined;
  /** What panels with fenced hand-over govern. */
  readonly fencedTargets?: (() => readonly string[]) | undefined;
  readonly persistence: Persistence;
  readonly logger: Logger;
  readonly shared?: SharedShifts | undefined;
}

export class RunningShifts {
  readonly #persistence: Persistence;
  /** Those of all controls, where there are several. */
  readonly #shared: SharedShifts | undefined;
  readonly #switchedOff: () => readonly SwitchedOff[];
  readonly #fencedTargets: () => readonly string[];
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #served: () => ShiftedSnapshot | undefined;
  readonly #reaches = new ShiftReaches();
  #shifts: readonly Shift[] = [];
  #timer: NodeJS.Timeout | undefined;
  #retryTimer: NodeJS.Timeout | undefined;
  /** Whether the overlay was brought in line when no shift was running and no control Off. */
  #isClear = false;
  #isClosed = false;

  /** `served` is undefined as long as there is nothing to shift. */
  constructor(
    { persistence, logger, shared, switchedOff, fencedTargets }: ShiftPlaces,
    clock: Clock,
    served: () => ShiftedSnapshot | undefined,
  ) {
    this.#persistence = persistence;
    this.#shared = shared;
    this.#switchedOff = switchedOff ?? (() => []);
    this.#fencedTargets = fencedTargets ?? (() => []);
    this.#clock = clock;
    this.#logger = logger;
    this.#served = served;
  }

  /** Knows what the state folder holds; it takes effect with `follow()`. */
  restore(): void {
    if (this.#shared === undefined) this.#shifts = [...this.#persistence.loadShifts()];
  }

  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#timer);
    clearTimeout(this.#retryTimer);
  }

  list(): readonly Shift[] {
    return this.#shared?.shifts() ?? this.#shifts;
  }

  /** What a shift of `target` is about; undefined while nothing is served. */
  reachOf(target: string): ShiftReach | undefined {
    const served = this.#served();
    return served && this.#reaches.of(served.model, served.world, target);
  }

  /** Resolves when answers follow it. `id` is another one than every other has. */
  async add(
    shift: Omit<Shift, "id" | "createdAtMs">,
    id: string = randomUUID().slice(0, 8),
  ): Promise<Shift> {
    const added = { ...shift, id, createdAtMs: this.#clock.wallMs() };
    const text = `${shift.percent} % moved away from ${shift.target} by ${shift.actor}: ${shift.reason}`;
    if (this.#shared === undefined) await this.#change([...this.#shifts, added], text);
    else {
      await this.#shared.putShifts([added], "shift");
      await this.#apply(text);
    }
    return added;
  }

  /**
   * Ends the shifts of a target (or one by id): those that say so come back slowly from now on, unless `isAtOnce`. Resolves with those that were
   * running, when answers follow.
   */
  async remove(targetOrId: string, isAtOnce: boolean): Promise<Shift[]> {
    const nowMs = this.#clock.wallMs();
    const ended = this.#found(targetOrId);
    const isSlow = ({ return: back, startsAtMs = 0, expiresAtMs }: Shift): boolean =>
      !isAtOnce && back !== undefined && startsAtMs <= nowMs && nowMs < expiresAtMs;
    // One that comes back already goes on with that.
    const removed = ended.filter(
      ({ return: back, startsAtMs = 0 }) => isAtOnce || back === undefined || nowMs < startsAtMs,
    );
    const slow = ended.filter(isSlow).map((shift) => ({ ...shift, expiresAtMs: nowMs }));
    const text = `shift of ${targetOrId} ended`;
    if (ended.length > 0) await this.#replace(removed, slow, "unshift", text);
    return ended;
  }

  /**
   * Has the shifts of a target (or one by id) last for so long from now, or from their start; resolves with them as they are then, when
   * answers follow. One that comes back slowly moves all of it away again.
   */
  async extend(targetOrId: string, lengthMs: number): Promise<Shift[]> {
    const nowMs = this.#clock.wallMs();
    const extended = this.#found(targetOrId).map((shift) => ({
      ...shift,
      expiresAtMs: Math.max(nowMs, shift.startsAtMs ?? 0) + lengthMs,
    }));
    const text = `shift of ${targetOrId} extended`;
    if (extended.length > 0) await this.#replace([], extended, "extend", text);
    return extended;
  }

  /** Has these shifts, and not those; the same again changes nothing more. Resolves when answers follow. */
  async change(put: readonly Shift[], ended: readonly Shift[]): Promise<void> {
    const changed = [...put, ...ended].map(({ target }) => target).join(", ");
    const kept = new Set(put.map(({ id }) => id));
    const removed = ended.filter(({ id }) => !kept.has(id));
    await this.#replace(removed, put, "shift", `shifts of ${changed} changed`);
  }

  #found(targetOrId: string): Shift[] {
    return this.list().filter(({ id, target }) => id === targetOrId || target === targetOrId);
  }

  async #replace(
    removed: readonly Shift[],
    changed: readonly Shift[],
    verb: string,
    text: string,
  ): Promise<void> {
    const gone = new Set([...removed, ...changed].map(({ id }) => id));
    if (this.#shared === undefined) {
      const kept = this.list().filter(({ id }) => !gone.has(id));
      await this.#change([...kept, ...changed], text);
      return;
    }
    if (removed.length > 0) await this.#shared.endShifts(removed);
    if (changed.length > 0) await this.#shared.putShifts(changed, verb);
    await this.#apply(text);
  }

  /** Brings another overlay in line with them, and with routing controls; where that fails the log says so, and it is false. */
  async follow(text: string): Promise<boolean> {
    try {
      await this.#apply(text);
      return true;
    } catch (error) {
      if (!this.#isClosed) this.#logger.error({ reason: reasonOf(error) }, "Cannot shift");
      return false;
    }
  }

  /** On disk before it has an effect: where it cannot be kept it is refused, as an exception. */
  async #change(shifts: readonly Shift[], text: string): Promise<void> {
    this.#persistence.saveShifts(shifts);
    this.#shifts = shifts;
    await this.#apply(text);
  }

  /** Brings the overlay in line with the running shifts and comes back when the next one expires. */
  async #apply(text: string): Promise<void> {
    const nowMs = this.#clock.wallMs();
    const all = this.list();
    const running = all.filter((shift) => overAtMs(shift) > nowMs);
    if (running.length < all.length) {
      this.#shifts = running;
      if (this.#shared === undefined) this.#keepExpired(running);
      else this.#shared.expireShifts(all.filter((shift) => !running.includes(shift)));
    }
    clearTimeout(this.#timer);
    clearTimeout(this.#retryTimer);
    // Those that have begun need none, and looking it up is not for nothing.
    const leads = new Map(
      running
        .filter(({ startsAtMs = 0 }) => startsAtMs > nowMs)
        .map(({ target }) => [target, this.reachOf(target)?.leadMs ?? 0]),
    );
    const leadOf = (target: string): number => leads.get(target) ?? 0;
    // The leader may have gone before they were cleared away, or the store may not have been there.
    const isExpired = this.#shared !== undefined && running.length < all.length;
    if ((running.length > 0 || isExpired) && !this.#isClosed) {
      const next = Math.min(
        ...running.map((shift) => nextChangeMs(shift, nowMs, leadOf(shift.target)) ?? nowMs),
        ...(isExpired ? [nowMs + EXPIRED_LOOK_MS] : []),
      );
      const pauseMs = Math.min(Math.max(1, next - nowMs), PAUSE_MS_MAX);
      this.#timer = setTimeout(() => void this.follow("a shift goes on"), pauseMs);
      this.#timer.unref();
    }
    const served = this.#served();
    // An overlay carries over what the one before it says: without shifts, now and before, there is nothing to bring in line.
    const off = this.#switchedOff();
    const fenced = this.#fencedTargets();
    const isClear = running.length === 0 && off.length === 0 && fenced.length === 0;
    if (served === undefined || (this.#isClear && isClear)) return;
    this.#isClear = isClear;
    const { model, world, overlay } = served;
    const moved = shiftEffects(running, nowMs, leadOf);
    const changes = shiftChanges(model, world, overlay, moved, off, fenced);
    try {
      await overlay.apply(changes, { kind: "shift", text });
    } catch (error) {
      this.#isClear = false;
      clearTimeout(this.#retryTimer);
      if (!this.#isClosed)
        this.#retryTimer = setTimeout(() => void this.follow(text), RETRY_MS).unref();
      throw error;
    }
  }

  /** What cannot be kept holds all the same: they are looked at again when they are read. */
  #keepExpired(running: readonly Shift[]): void {
    try {
      this.#persistence.saveShifts(running);
    } catch (error) {
      this.#logger.error(
        { reason: reasonOf(error) },
        "Cannot keep that shifts expired in the state folder",
      );
    }
  }
}
