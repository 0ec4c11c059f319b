// SPDX-License-Identifier: Apache-2.0
import {
  Selector,
  healthyTiers,
  isTierUnjudged,
  type FailoverNode,
  type SlotChange,
  type World,
} from "@meridian/snapshot";
import { nextLatchMs, stepLatch, unlatched, type LatchRule, type LatchState } from "./latch.ts";
import type { OverlayDriver } from "./overlay-driver.ts";

/** What a document says of a failover node that does not fall back by itself. Plain data: it travels between threads. */
export interface DeclaredLatch {
  readonly rule: LatchRule;
  /** Its part of the document: with another one, tiers are others. */
  readonly declared: string;
  /** Where several controls keep one latch: what is recorded of it, which counts as soon as it is news. */
  readonly recorded?: RecordedLatch | undefined;
  /** Whether it is only moved to later tiers here, as another control decides on the way back. */
  readonly isDownOnly?: boolean;
}

/** A latch in the store. */
export interface RecordedLatch {
  /** Active tier, from 1. */
  readonly tier: number;
  /** Of the store when it was written. */
  readonly revision: number;
}

interface Latched {
  readonly failover: FailoverNode;
  readonly name: string;
  readonly declared: string;
  readonly rule: LatchRule;
  readonly recordedRevision: number;
  readonly isDownOnly: boolean;
  state: LatchState;
}

/** What latches are read from and written to. */
export type LatchOverlay = Pick<OverlayDriver, "slots" | "read" | "apply">;

/** Keeps the latches of failover nodes that do not fall back by themselves. */
export class LatchDriver {
  readonly #overlay: LatchOverlay;
  readonly #nowMs: () => number;
  #nodes: Latched[] = [];
  /** Nodes of the snapshot before, so that a new one does not start their holds anew. */
  #before: ReadonlyMap<string, Latched> = new Map();
  #selector: Selector | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(overlay: LatchOverlay, nowMs: () => number) {
    this.#overlay = overlay;
    this.#nowMs = nowMs;
  }

  /** Another snapshot is served: nothing is judged by the slots of the old one until `adopt`. */
  pause(): void {
    this.#before = new Map(this.#nodes.map((node) => [node.name, node]));
    this.#nodes = [];
    this.#selector = undefined;
  }

  /** Keeps the latches of this world's nodes from now on. `latches` are the declared ones by `NAMESPACE/POLICY/NODE`. */
  adopt(world: World, latches: ReadonlyMap<string, DeclaredLatch>): void {
    if (this.#nodes.length > 0) this.pause();
    // Names of ten thousand nodes, and a selector's tables, are not made for nothing.
    if (latches.size === 0) return;
    this.#selector = new Selector(world);
    this.#nodes = world.failoverNodes().flatMap((failover): Latched[] => {
      const policy = world.policies.policyName(world.policies.policyOf(failover.node));
      const name = `${policy}/${world.policies.nodeName(failover.node)}`;
      const latch = latches.get(name);
      if (latch === undefined) return [];
      const { rule, declared, recorded, isDownOnly = false } = latch;
      const before = this.#before.get(name);
      const held = before?.declared === declared ? before.state : unlatched;
      const known = before?.recordedRevision ?? 0;
      const recordedRevision = Math.max(known, recorded?.revision ?? 0);
      const own = this.#overlay.read(failover.slot);
      const isNews = recorded !== undefined && recordedRevision > known;
      const state = { ...held, latch: isNews ? latchOf(recorded.tier) : own };
      return [{ failover, name, declared, rule, recordedRevision, isDownOnly, state }];
    });
    this.#takeRecorded();
    this.step();
  }

  /** Brings slots in line with what is recorded elsewhere. */
  #takeRecorded(): void {
    const others = this.#nodes.filter(
      ({ failover, state }) => this.#overlay.read(failover.slot) !== state.latch,
    );
    if (others.length === 0) return;
    const changes = others.map(({ failover, state }) => ({
      slot: failover.slot,
      value: state.latch,
    }));
    const moved = others.map(({ name, state }) => `${name} to tier ${Math.max(1, state.latch)}`);
    this.#overlay.apply(changes, { kind: "latch", text: `${moved.join(", ")}, as recorded` });
  }

  /** Looks at health as it is now; called after every change of verdicts and when a hold ends. */
  step(): void {
    const selector = this.#selector;
    if (selector === undefined || this.#nodes.length === 0) return;
    const nowMs = this.#nowMs();
    const changes: SlotChange[] = [];
    const moved: string[] = [];
    for (const entry of this.#nodes) {
      const healthy = healthyTiers(selector, entry.failover.node, this.#overlay.slots);
      // At a cold start verdicts come one by one: a tier that nobody has judged yet has not failed.
      const active = Math.max(0, entry.state.latch - 1);
      if (
        healthy[active] !== true &&
        isTierUnjudged(selector, entry.failover.node, active, this.#overlay.slots)
      )
        continue;
      const before = entry.state.latch;
      const next = stepLatch(entry.state, entry.rule, healthy, nowMs);
      const isReturn = next.latch < before;
      entry.state = isReturn && entry.isDownOnly ? { ...next, latch: before } : next;
      if (entry.state.latch === before) continue;
      changes.push({ slot: entry.failover.slot, value: entry.state.latch });
      moved.push(`${entry.name} to tier ${Math.max(1, entry.state.latch)}`);
    }
    if (changes.length > 0) this.#overlay.apply(changes, { kind: "latch", text: moved.join(", ") });
    this.#arm(nowMs);
  }

  /** Goes back to the first tier by command. Returns false where `NAMESPACE/POLICY/NODE` names no latched failover. */
  failback(name: string): boolean {
    const entry = this.#nodes.find((node) => node.name === name);
    if (entry === undefined) return false;
    entry.state = { ...entry.state, latch: 0 };
    this.#overlay.apply([{ slot: entry.failover.slot, value: 0 }], {
      kind: "latch",
      text: `${name} back to tier 1 by command`,
      byCommand: true,
    });
    return true;
  }

  /** Active tier (from 1) of each latched node. */
  latches(): { readonly name: string; readonly tier: number }[] {
    return this.#nodes.map(({ name, state }) => ({ name, tier: Math.max(1, state.latch) }));
  }

  close(): void {
    clearTimeout(this.#timer);
  }

  #arm(nowMs: number): void {
    clearTimeout(this.#timer);
    const ends = this.#nodes.flatMap(({ state, rule, isDownOnly }) =>
      isDownOnly ? [] : (nextLatchMs(state, rule) ?? []),
    );
    if (ends.length === 0) return;
    this.#timer = setTimeout(() => this.step(), Math.max(1, Math.min(...ends) - nowMs));
    this.#timer.unref();
  }
}

/** The value of a slot whose active tier is this one, from 1. */
function latchOf(tier: number): number {
  return tier <= 1 ? 0 : tier;
}
