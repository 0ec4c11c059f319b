// SPDX-License-Identifier: Apache-2.0

// An edge that no control is heard by judges by itself what it probes, with the same machine, and lays what it finds on top of control's
// slots. Only what has changed since control was last heard of counts: where this edge saw something else than the others before, their
// verdict stays. Latches move on from tiers that fail and never back. Where everything fails at once it is this edge that is cut off, and
// nothing moves.
//
//   connected ── no word for 5 s ──► isolated ── control counts what this edge says, has heard enough, and has told of all slots since ──► connected
//
// So an edge that a control has just come back to does not take what that control remembers from before for news. That control has heard
// enough comes on another connection than its slots do, and may overtake what follows from it.

import {
  LatchDriver,
  type DeclaredLatch,
  type LatchOverlay,
  type SuspicionState,
  type Transition,
} from "@meridian/health";
import { CHANGE_SHIFT, Verdict, type World } from "@meridian/snapshot";
import { key64 } from "@meridian/core";
import type { EdgeLogger } from "../edge-logger.ts";
import type { OverlayMirror, Override } from "./overlay-mirror.ts";

/** An edge that hears no control for this long is isolated. */
export const ISOLATION_AFTER_MS = 5000;
const VERDICT_MASK = 3;
const CHANGE_MASK = 31 << CHANGE_SHIFT;

/** What an isolated edge does: judge by itself, or hold what it has. */
export type IsolationMode = "local" | "freeze";

export interface IsolationOptions {
  readonly mode: IsolationMode;
  /** Monotonic. */
  readonly nowMs: () => number;
  readonly logger: EdgeLogger;
  /** Of the vantage that this edge is. */
  readonly suspicion: () => SuspicionState;
  readonly onChange: (isIsolated: boolean) => void;
}

export class Isolation {
  readonly #options: IsolationOptions;
  readonly #recent = new Map<bigint, { readonly override: Override; readonly atMs: number }>();
  readonly #latched = new Map<bigint, number>();
  readonly #latches: LatchDriver;
  #declared: ReadonlyMap<string, DeclaredLatch> = new Map();
  #served: { readonly world: World; readonly mirror: OverlayMirror } | undefined;
  #lastWordMs: number;
  #followed = "";
  #isIsolated = false;
  /** The control at this URL has heard enough. */
  #settled: string | undefined;
  /** Not all that is recent lies on what is served. */
  #isBehind = false;

  constructor(options: IsolationOptions) {
    this.#options = options;
    this.#lastWordMs = options.nowMs();
    this.#latches = new LatchDriver(this.#latchOverlay(), options.nowMs);
  }

  get isIsolated(): boolean {
    return this.#isIsolated;
  }

  /** When a control was last heard of, of the clock of the options; undefined where none was since the start. */
  get heardAtMs(): number | undefined {
    return this.#followed === "" ? undefined : this.#lastWordMs;
  }

  /** The control that is followed, at this URL, has said something. */
  heard(url: string): void {
    this.#lastWordMs = this.#options.nowMs();
    this.#followed = url;
  }

  /** A control is followed anew, which may have begun anew. */
  opened(): void {
    this.#settled = undefined;
  }

  /** The control at this URL counts what this edge says, and has heard enough to judge: the next table has what it judged. */
  settled(url: string): void {
    const isHeard = this.#options.nowMs() - this.#lastWordMs < ISOLATION_AFTER_MS;
    if (this.#isIsolated && isHeard && url === this.#followed) this.#settled = url;
  }

  /** The control at this URL has told of all slots of what is served. */
  told(url: string): void {
    if (!this.#isIsolated || url !== this.#settled) return;
    this.#settled = undefined;
    this.#isIsolated = false;
    this.#recent.clear();
    this.#latched.clear();
    this.#latches.pause();
    this.#served?.mirror.override(new Map());
    this.#options.logger.info("Follows control again");
    this.#options.onChange(false);
  }

  planned(latches: ReadonlyMap<string, DeclaredLatch>): void {
    // Whatever they do when control is there: by itself an edge never goes back.
    this.#declared = new Map(
      [...latches].map(([name, { declared }]) => [
        name,
        { declared, rule: { failback: "manual", holdForMs: 0 } },
      ]),
    );
  }

  /** Another overlay is about to be read by workers. */
  served(world: World, mirror: OverlayMirror): void {
    this.#served = { world, mirror };
    if (!this.#isIsolated) return;
    this.#overrideAll();
    this.#latches.adopt(world, this.#declared);
  }

  /** What this edge's own probes have come to. */
  transitions(batch: readonly Transition[]): void {
    const atMs = this.#options.nowMs();
    const overrides = new Map<bigint, Override>();
    for (const { key, verdict, earliestChangeMs } of batch) {
      if (verdict === "unknown") continue;
      const value = (Verdict[verdict] | (secondsLog2(earliestChangeMs) << CHANGE_SHIFT)) >>> 0;
      const override = { mask: (VERDICT_MASK | CHANGE_MASK) >>> 0, value };
      overrides.set(key64(key), override);
    }
    for (const [key, override] of overrides) this.#recent.set(key, { override, atMs });
    if (this.#isIsolated) this.#judge(overrides);
  }

  /** To be called at least each second. */
  tick(): void {
    const nowMs = this.#options.nowMs();
    if (this.#isIsolated) {
      this.#judge(new Map());
      return;
    }
    const sinceMs = this.#lastWordMs - ISOLATION_AFTER_MS;
    for (const [key, { atMs }] of this.#recent) if (atMs < sinceMs) this.#recent.delete(key);
    if (nowMs - this.#lastWordMs < ISOLATION_AFTER_MS) return;
    this.#isIsolated = true;
    const { mode, logger, onChange } = this.#options;
    logger.warn("No control is heard of: this edge judges by itself", { mode });
    onChange(true);
    this.#isBehind = true;
    this.#judge(new Map());
    if (this.#served !== undefined && mode === "local")
      this.#latches.adopt(this.#served.world, this.#declared);
  }

  close(): void {
    this.#latches.close();
  }

  /** `changed` is what of that which is recent is new: with 100,000 that change one after the other, not all are laid each time. */
  #judge(changed: ReadonlyMap<bigint, Override>): void {
    if (this.#options.mode === "freeze") return;
    if (this.#options.suspicion().kind !== "trusting") {
      this.#isBehind = true;
      return;
    }
    if (this.#isBehind) this.#overrideAll();
    else this.#served?.mirror.lay(changed);
    this.#latches.step();
  }

  #overrideAll(): void {
    if (this.#options.mode === "freeze") return;
    this.#isBehind = false;
    const overrides = new Map<bigint, Override>();
    for (const [key, { override }] of this.#recent) overrides.set(key, override);
    for (const [key, value] of this.#latched) overrides.set(key, latchOverride(value));
    this.#served?.mirror.override(overrides);
  }

  #latchOverlay(): LatchOverlay {
    const mirror = (): OverlayMirror | undefined => this.#served?.mirror;
    return {
      get slots() {
        return mirror()?.current ?? new Uint32Array(0);
      },
      read: (slot) => mirror()?.read(slot) ?? 0,
      apply: (changes) => {
        const world = this.#served?.world;
        if (world === undefined || this.#options.mode === "freeze") return;
        const overrides = new Map<bigint, Override>();
        for (const { slot, value } of changes) {
          const key = world.slotKey(slot);
          this.#latched.set(key, value);
          overrides.set(key, latchOverride(value));
        }
        this.#served?.mirror.lay(overrides);
      },
    };
  }
}

function latchOverride(value: number): Override {
  return { mask: 0xffff_ffff, value };
}

/** Whole power of two seconds not above `ms`, 0..31. */
function secondsLog2(ms: number): number {
  return Math.max(0, Math.min(31, Math.floor(Math.log2(Math.max(1, ms / 1000)))));
}
