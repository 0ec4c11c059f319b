// SPDX-License-Identifier: Apache-2.0

// The temporary moves of traffic that are in force: kept on disk, or in the store of several controls; brought into the overlay, ended when
// they expire.

import { randomUUID } from "node:crypto";
import { reasonOf, type Clock } from "@meridian/core";
import type { SharedOverlay } from "@meridian/health";
import type { World } from "@meridian/snapshot";
import type { Logger, Persistence } from "./embedded-options.ts";
import type { ServedModel } from "./served-model.ts";
import { shiftChanges, type Shift } from "./shift-effects.ts";

/** What shifts act on. */
export interface ShiftedSnapshot {
  readonly model: ServedModel;
  readonly world: World;
  readonly overlay: SharedOverlay;
}

/** Where shifts are that all controls of a store follow. */
export interface SharedShifts {
  shifts(): readonly Shift[];
  /** Durable when it resolves. */
  addShift(shift: Shift): Promise<void>;
  /** Durable when it resolves. */
  endShifts(shifts: readonly Shift[]): Promise<void>;
  /** They count no more, here or elsewhere. */
  expireShifts(shifts: readonly Shift[]): void;
}

/** Where shifts are kept. */
export interface ShiftPlaces {
  readonly persistence: Persistence;
  readonly logger: Logger;
  readonly shared?: SharedShifts | undefined;
}

export class RunningShifts {
  readonly #persistence: Persistence;
  /** Those of all controls, where there are several. */
  readonly #shared: SharedShifts | undefined;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #served: () => ShiftedSnapshot | undefined;
  #shifts: readonly Shift[] = [];
  #timer: NodeJS.Timeout | undefined;
  /** Whether the overlay was brought in line when no shift was running. */
  #isClear = false;
  #isClosed = false;

  /** `served` is undefined as long as there is nothing to shift. */
  constructor(
    { persistence, logger, shared }: ShiftPlaces,
    clock: Clock,
    served: () => ShiftedSnapshot | undefined,
  ) {
    this.#persistence = persistence;
    this.#shared = shared;
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
  }

  list(): readonly Shift[] {
    return this.#shared?.shifts() ?? this.#shifts;
  }

  /** Resolves when answers follow it. */
  async add(shift: Omit<Shift, "id" | "createdAtMs">): Promise<Shift> {
    const added = { ...shift, id: randomUUID().slice(0, 8), createdAtMs: this.#clock.wallMs() };
    const text = `${shift.percent} % moved away from ${shift.target} by ${shift.actor}: ${shift.reason}`;
    if (this.#shared === undefined) await this.#change([...this.#shifts, added], text);
    else {
      await this.#shared.addShift(added);
      await this.#apply(text);
    }
    return added;
  }

  /** Ends the shifts of a target (or one by id); resolves with those that were running, when answers follow. */
  async remove(targetOrId: string): Promise<Shift[]> {
    const all = this.list();
    const removed = all.filter(({ id, target }) => id === targetOrId || target === targetOrId);
    if (removed.length === 0) return removed;
    const text = `shift of ${targetOrId} ended`;
    const rest = all.filter((shift) => !removed.includes(shift));
    if (this.#shared === undefined) await this.#change(rest, text);
    else {
      await this.#shared.endShifts(removed);
      await this.#apply(text);
    }
    return removed;
  }

  /** Brings another overlay in line with them. */
  follow(text: string): void {
    this.#apply(text).catch((error: unknown) => {
      if (!this.#isClosed) this.#logger.error({ reason: reasonOf(error) }, "Cannot shift");
    });
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
    const running = all.filter(({ expiresAtMs }) => expiresAtMs > nowMs);
    if (running.length < all.length) {
      this.#shifts = running;
      if (this.#shared === undefined) this.#keepExpired(running);
      else this.#shared.expireShifts(all.filter((shift) => !running.includes(shift)));
    }
    clearTimeout(this.#timer);
    if (running.length > 0 && !this.#isClosed) {
      const next = Math.min(...running.map(({ expiresAtMs }) => expiresAtMs));
      const pauseMs = Math.max(1, next - nowMs);
      this.#timer = setTimeout(() => this.follow("a shift expired"), pauseMs);
      this.#timer.unref();
    }
    const served = this.#served();
    // An overlay carries over what the one before it says: without shifts, now and before, there is nothing to bring in line.
    if (served === undefined || (this.#isClear && running.length === 0)) return;
    this.#isClear = running.length === 0;
    const { model, world, overlay } = served;
    await overlay.apply(shiftChanges(model, world, overlay, running), { kind: "shift", text });
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
