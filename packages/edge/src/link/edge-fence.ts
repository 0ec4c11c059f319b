// SPDX-License-Identifier: Apache-2.0

// The lease of an edge (fence-lease.ts), brought to its workers: the word of the overlay that says until when they may answer what is fenced, and
// the look whether all of them answer by what control has told.

import { randomBytes } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { leaseClock, leaseWord, type LeaseGrant, type LeaseRequest } from "@meridian/snapshot";
import { FenceLease } from "./fence-lease.ts";
import type { OverlayMirror } from "./overlay-mirror.ts";

/** The word is written anew this often where there is no lease, so that it never comes round to be one. */
const TICK_MS = 1000;
/** How often it is looked whether workers answer by what was told, while that is waited for. */
const LOOK_MS = 10;
/** What is written where there is no lease: so long ago. */
const PAST_MS = 1000;

export interface EdgeFenceOptions {
  /** How many answer. */
  readonly workers: () => number;
  /** Sequence that workers read, of the control that is followed; undefined where its first table has not come. */
  readonly sequence: () => number | undefined;
  /** Has the disk hold the slots; false where it does not. */
  readonly keep: () => boolean;
  /** Control is to be told what is held, and asked for more. */
  readonly ask: () => void;
}

export class EdgeFence {
  readonly #options: EdgeFenceOptions;
  readonly #nowMs: () => number;
  readonly #lease: FenceLease;
  #mirror: OverlayMirror | undefined;
  /** What the disk has. */
  #keptPrint = "";
  #timer: NodeJS.Timeout | undefined;
  #look: NodeJS.Timeout | undefined;

  constructor(options: EdgeFenceOptions) {
    this.#options = options;
    this.#nowMs = leaseClock();
    this.#lease = new FenceLease(randomBytes(8).toString("hex"), this.#nowMs);
  }

  start(): void {
    this.#timer = setInterval(() => this.#write(), TICK_MS).unref();
  }

  close(): void {
    clearInterval(this.#timer);
    clearTimeout(this.#look);
  }

  get request(): LeaseRequest | undefined {
    return this.#lease.request;
  }

  get isHeld(): boolean {
    return this.#lease.isHeld;
  }

  /** Resolves when there is a lease, or nothing that wants one, or the time is over. */
  async whenHeld(msMax: number): Promise<void> {
    const endMs = this.#nowMs() + msMax;
    while (this.fencedCount > 0 && !this.isHeld && this.#nowMs() < endMs) await sleep(LOOK_MS);
  }

  /** Milliseconds that are left of it; 0 without. */
  get leftMs(): number {
    return Math.max(0, Math.round(this.#lease.untilMs - this.#nowMs()));
  }

  /** Endpoints that are not answered without it. */
  get fencedCount(): number {
    return this.#mirror?.fencedCount ?? 0;
  }

  /** Another connection. */
  begin(): void {
    this.#lease.begin();
  }

  /** Slots of the control that is followed are about to be served. */
  beforeSlots(): void {
    const { untilMs } = this.#lease;
    this.#lease.beforeSlots();
    if (this.#lease.untilMs !== untilMs) this.#write();
  }

  /** Another overlay is about to be read by workers. */
  served(mirror: OverlayMirror): void {
    if (this.#options.sequence() === undefined) this.#lease.beforeSlots();
    this.#mirror = mirror;
    this.#write();
  }

  granted(grant: LeaseGrant): void {
    const isFirst = this.#lease.offer(grant);
    this.look();
    if (isFirst) this.#options.ask();
  }

  /** To be called when slots have changed. */
  look(): void {
    const mirror = this.#mirror;
    if (mirror === undefined || !this.#lease.isPending) return;
    const { workers, sequence } = this.#options;
    const { untilMs } = this.#lease;
    const isNews = this.#lease.settle(
      {
        revision: mirror.revision,
        sequence: sequence(),
        isSettled: mirror.isSettled(workers()),
      },
      () => this.#keep(mirror),
    );
    if (this.#lease.untilMs !== untilMs) this.#write();
    if (isNews) this.#options.ask();
    if (this.#lease.isPending)
      this.#look ??= setTimeout(() => {
        this.#look = undefined;
        this.look();
      }, LOOK_MS).unref();
  }

  /** An edge that starts without control has to know what is fenced: it is on disk before control counts on it. */
  #keep(mirror: OverlayMirror): boolean {
    const { fencedPrint } = mirror;
    if (fencedPrint === this.#keptPrint) return true;
    if (!this.#options.keep()) return false;
    this.#keptPrint = fencedPrint;
    return true;
  }

  #write(): void {
    const { untilMs, isHeld } = this.#lease;
    this.#mirror?.setLease(leaseWord(isHeld ? untilMs : this.#nowMs() - PAST_MS));
  }
}
