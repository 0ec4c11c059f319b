// SPDX-License-Identifier: Apache-2.0

// What a worker does when more comes than it can answer. The kernel then loses packets whosever they are, so a flood of made-up addresses
// takes the answers of those who are there. While packets are being lost, as many of those that nobody vouches for are left out as it takes
// to keep the queue in the kernel short. Who has shown that he is there (a cookie, a listed network) is not among them. Where it can, the
// kernel leaves them out before they are queued (unproven-filter.ts), and the worker only what gets past that, as with forged cookies;
// elsewhere the worker reads all and leaves out, which takes a fraction of answering.
//
//   lost twice running ─► level rises ─► queue shorter than its lower mark ─► level falls ─► 0: as if nothing had been
//                            ▲    └────── longer than its upper mark: rises
//
//   level    0 … 64: by the kernel    64 … 128: by the worker besides        without a filter 0 … 64: by the worker
//
// A burst that is over when it is looked at for the second time changes nothing.

/** Full batches after which the queue is looked at: some milliseconds. */
export const LOOK_TURNS = 16;
/** Of so many packets that nobody vouches for, `level` are left out, in each place. */
export const LEVEL_MAX = 64;
/** Marks in thousandths of the receive buffer; the kernel may count up to a quarter that is read already. */
const QUEUE_LONG = 400;
const QUEUE_SHORT = 300;
/** With a filter, what it leaves out counts as lost, too: a queue of that length tells that there is more. */
const QUEUE_FULL = 900;
const LOST_STEP = 32;
const LONG_STEP = 2;
/** While something is left out, how often the queue is looked at. */
const LOOK_MS = 8;
/** With a filter, a worker that keeps up has short batches and a short queue: so many looks until the filter lets one more of 64 through. */
const FALL_LOOKS = 4;
/** The same where it found nothing to leave out. */
const FREE_STEP = 8;
/** Share of a batch below which hardly anything comes, where all is read. */
const QUIET_SHARE = 1 / 4;
/** Spreads what is left out over a batch; odd. */
const STRIDE = 37;

/** One worker's. */
export class Overload {
  /** 0 while all is answered. */
  level: number = 0;
  /** Whether the kernel leaves out what it is told to; not any more once it refused. */
  #hasFilter: boolean;
  #turns = 0;
  #lookedMs = 0;
  #shortLooks = 0;
  #losses = 0;
  #packets = 0;

  constructor(hasFilter: boolean) {
    this.#hasFilter = hasFilter;
  }

  /** How many of `LEVEL_MAX` the kernel is to leave out. */
  get filterLevel(): number {
    return this.#hasFilter ? Math.min(this.level, LEVEL_MAX) : 0;
  }

  /** The kernel does not filter. */
  forgoFilter(): void {
    this.#hasFilter = false;
    this.level = Math.min(this.level, LEVEL_MAX);
  }

  /** After a batch of which that share came; true where the queue is to be looked at. The time is a clock's, and counts while level > 0. */
  isDue(share: number, nowMs: number): boolean {
    if (share < 1) this.#losses = 0;
    if (this.level > 0) {
      if (share < QUIET_SHARE && !this.#hasFilter) this.level -= 1;
      if (this.#lookedMs === 0) this.#lookedMs = nowMs;
      if (nowMs - this.#lookedMs < LOOK_MS) return false;
      this.#lookedMs = nowMs;
      return true;
    }
    this.#lookedMs = 0;
    if (share < 1) return false;
    this.#turns += 1;
    if (this.#turns < LOOK_TURNS) return false;
    this.#turns = 0;
    return true;
  }

  /** The queue as it is: thousandths of the receive buffer, or −1 less those where packets were lost since it was looked at. */
  note(pressure: number): void {
    const isLosing = pressure < 0;
    const queued = isLosing ? -1 - pressure : pressure;
    const isFiltered = this.filterLevel > 0;
    if (isLosing && (!isFiltered || queued > QUEUE_FULL)) {
      this.#losses += 1;
      if (this.#losses > 1) this.#raise(LOST_STEP);
      return;
    }
    this.#losses = 0;
    if (this.level === 0) return;
    if (queued > QUEUE_LONG) this.#raise(LONG_STEP);
    else if (queued < QUEUE_SHORT) this.#fall(isFiltered, isLosing);
  }

  #fall(isFiltered: boolean, isLosing: boolean): void {
    if (isFiltered && !isLosing) {
      this.level = Math.max(0, this.level - FREE_STEP);
      return;
    }
    this.#shortLooks += 1;
    if (isFiltered && this.#shortLooks < FALL_LOOKS) return;
    this.#shortLooks = 0;
    this.level -= 1;
  }

  #raise(step: number): void {
    this.level = Math.min(this.#hasFilter ? 2 * LEVEL_MAX : LEVEL_MAX, this.level + step);
  }

  /** Whether the next packet is one to leave out, if nobody vouches for it. */
  isNextLeftOut(): boolean {
    this.#packets = (this.#packets + STRIDE) % LEVEL_MAX;
    return this.#packets < (this.#hasFilter ? this.level - LEVEL_MAX : this.level);
  }
}
