// SPDX-License-Identifier: Apache-2.0

// Drives fenced hand-overs. Every control looks at the store each second and lets its edges act on what it has seen (`confirm`); the one that leads
// ends a hand-over when nobody is waited for any more:
//
//   look at the store ─► overlay says so ─► confirm to edges ─► edges say what they hold ─► nobody waited for ─► commit: what is pending is On
//
// How far a hand-over is lies in the store. Who leads anew waits out a term of its own, as it does not know when the change was made.

import { reasonOf, type Clock } from "@meridian/core";
import { encodeRoutingControls } from "@meridian/snapshot";
import type { DocumentSet } from "../documents/document-set.ts";
import type { Leading } from "../cells/cell-keeper.ts";
import type { EdgeGateway } from "../edges/edge-gateway.ts";
import type { Logger } from "../embedded-options.ts";
import type { StateDocuments } from "../state/state-documents.ts";
import { isRunning } from "./control-fence.ts";
import {
  TERM_MS,
  handOverWaits,
  type HandOverScene,
  type HandOverWait,
} from "./hand-over-waits.ts";
import type { FencedPanel, RoutingControls } from "./routing-controls.ts";

/** How often the store is looked at, so that edges may go on. */
const CONFIRM_MS = 1000;
/** How often it is looked whether edges have said that they follow, while that is waited for. */
const BUSY_MS = 50;
/** The same where it has been waited for as long as this, or nobody waits. */
const SLOW_MS = 250;
const SOON_MS = 30_000;
/** Times that a confirmation is begun anew because another revision was published meanwhile. */
const ROUNDS_MAX = 5;
/** Kinds of documents and of state that say what is fenced. */
const KINDS = ["ControlPanel", "RoutingControl", "ControlFence", "ControlStates"];

/** What is served here, which says by then what routing controls are. */
export interface ServedOverlay {
  readonly epoch: number;
  readonly revision: number;
  readonly sequence: number;
  /** Whether own workers, if any, answer by it. */
  readonly isSettled: boolean;
  /** Brings it in line with routing controls; false where that fails. */
  readonly follow: () => Promise<boolean>;
}

export interface HandOversOptions {
  readonly state: StateDocuments;
  readonly routing: RoutingControls;
  readonly served: () => ServedOverlay | undefined;
  readonly gateway: () =>
    | Pick<EdgeGateway, "confirm" | "leases" | "setControls" | "tellControls">
    | undefined;
  /** Of the store. */
  readonly epoch: () => number;
  /** undefined where another control leads. */
  readonly leading: () => Leading;
  readonly logger: Logger;
  readonly clock: Clock;
}

/** What hand-overs came to, for metrics. */
export interface HandOverFigures {
  readonly running: number;
  readonly done: number;
  /** Of those that this control ended, together. */
  readonly seconds: number;
  /** Age of what edges may act on; undefined where they may act on nothing. */
  readonly confirmedAgeMs: number | undefined;
}

export class HandOvers {
  readonly #options: HandOversOptions;
  /** When a state of a panel was first seen here, of a clock that never goes back. */
  readonly #seen = new Map<string, { readonly revision: number; readonly atMs: number }>();
  /** The revision of the store at which bindings were first seen here. */
  readonly #bindings = new Map<string, { readonly print: string; readonly revision: number }>();
  #confirmed: { readonly movedRevision: number; readonly askedAtMs: number } | undefined;
  /** What the overlay was brought in line with. */
  #followed = "";
  #told = "";
  /** Whether edges were sent that. */
  #isTold = true;
  #toldAt: { readonly documents: DocumentSet; readonly atMs: number } | undefined;
  #done = 0;
  #doneMs = 0;
  #running = 0;
  #turn: Promise<void> | undefined;
  #isAgain = false;
  #timer: NodeJS.Timeout | undefined;
  #isClosed = false;

  constructor(options: HandOversOptions) {
    this.#options = options;
  }

  start(): void {
    this.look();
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    clearTimeout(this.#timer);
    await this.#turn;
  }

  get figures(): HandOverFigures {
    const nowMs = this.#options.clock.monotonicMs();
    return {
      running: this.#running,
      done: this.#done,
      seconds: this.#doneMs / 1000,
      confirmedAgeMs: this.#confirmed && Math.round(nowMs - this.#confirmed.askedAtMs),
    };
  }

  /** To be called when the store may have changed. */
  look(): void {
    if (this.#isClosed) return;
    if (this.#turn !== undefined) {
      this.#isAgain = true;
      return;
    }
    clearTimeout(this.#timer);
    this.#turn = this.#takeTurn().then((pauseMs) => {
      this.#turn = undefined;
      const nextMs = this.#isAgain ? 0 : pauseMs;
      this.#isAgain = false;
      if (!this.#isClosed) this.#timer = setTimeout(() => this.look(), nextMs).unref();
    });
  }

  /** Resolves with the pause until the next turn, whatever happens. */
  async #takeTurn(): Promise<number> {
    try {
      await this.#tellControls();
      return await this.#advance();
    } catch (error) {
      // Without a quorum: what edges hold runs out meanwhile, and a hand-over waits.
      if (!this.#isClosed)
        this.#options.logger.warn({ reason: reasonOf(error) }, "Cannot go on with hand-overs");
      return CONFIRM_MS;
    }
  }

  async #advance(): Promise<number> {
    const { routing, gateway, clock } = this.#options;
    const panels = new Set(routing.fencedPanels().map(({ name }) => name));
    for (const known of [this.#seen, this.#bindings])
      for (const name of known.keys()) if (!panels.has(name)) known.delete(name);
    if (panels.size === 0) {
      gateway()?.confirm(undefined);
      this.#confirmed = undefined;
      this.#running = 0;
      routing.setWaits(new Map());
      return CONFIRM_MS;
    }
    const ageMs = clock.monotonicMs() - (this.#confirmed?.askedAtMs ?? -Infinity);
    const isBehind = this.#confirmed?.movedRevision !== this.#movedRevision();
    if (ageMs >= CONFIRM_MS || isBehind) await this.#confirm();
    const open = routing
      .fencedPanels()
      .filter(({ fence, bindings }) => isRunning(fence) || fence.known !== bindings.print);
    this.#running = open.filter(({ fence }) => isRunning(fence)).length;
    if (open.length === 0) {
      routing.setWaits(new Map());
      const sinceMs = clock.monotonicMs() - (this.#confirmed?.askedAtMs ?? -Infinity);
      return Math.max(BUSY_MS, CONFIRM_MS - sinceMs);
    }
    const scene = (await gateway()?.leases()) ?? { edges: [], revoked: [], controls: [] };
    const waits = new Map(open.map((panel) => [panel.name, this.#waitsOf(panel, scene)] as const));
    routing.setWaits(waits);
    for (const panel of open) if (waits.get(panel.name)?.length === 0) await this.#end(panel);
    const sinceMs = Math.min(...open.map(({ name }) => this.#sinceMs(name)));
    return this.#running > 0 && sinceMs < SOON_MS ? BUSY_MS : SLOW_MS;
  }

  #sinceMs(panel: string): number {
    return this.#options.clock.monotonicMs() - (this.#seen.get(panel)?.atMs ?? -Infinity);
  }

  /** Looks at the store, and lets edges act on what it says. */
  async #confirm(): Promise<void> {
    const { state, routing, served, gateway, epoch, clock } = this.#options;
    for (let round = 0; round < ROUNDS_MAX; round++) {
      const askedAtMs = clock.monotonicMs();
      await state.refresh();
      // Of a store that was restored all is read anew first.
      if ((await state.store.head()).epoch !== epoch()) return;
      const { revision } = state.documents;
      const movedRevision = this.#movedRevision();
      const before = served();
      if (before === undefined) return;
      const isFollowed = await routing.look();
      const key = `${before.epoch} ${before.revision}`;
      const isInLine = isFollowed && (this.#followed === key || (await before.follow()));
      const now = served();
      if (!isInLine || now === undefined) return;
      if (now.epoch !== before.epoch || now.revision !== before.revision) continue;
      this.#followed = key;
      if (!now.isSettled) return;
      const asOf = { epoch: epoch(), revision };
      this.#confirmed = { movedRevision, askedAtMs };
      const { sequence } = now;
      gateway()?.confirm({ askedAtMs, asOf, movedRevision, revision: now.revision, sequence });
      return;
    }
  }

  /** The revision of the store that last changed what is fenced, or anything that could. */
  #movedRevision(): number {
    const { documents } = this.#options.state;
    let newest = 0;
    for (const kind of KINDS)
      for (const { revision } of documents.ofKind(kind)) newest = Math.max(newest, revision);
    return newest;
  }

  #waitsOf(
    panel: FencedPanel,
    scene: Pick<HandOverScene, "edges" | "revoked" | "controls">,
  ): HandOverWait[] {
    const { name, bindings, fence, fenceRevision } = panel;
    const { epoch, clock } = this.#options;
    const nowMs = clock.monotonicMs();
    const seen = this.#seen.get(name);
    const isSeen = seen?.revision === fenceRevision;
    const atMs = isSeen ? seen.atMs : nowMs;
    if (!isSeen) this.#seen.set(name, { revision: fenceRevision, atMs });
    const boundAt = this.#boundAt(name, bindings.print);
    const revision = Math.max(fenceRevision, boundAt);
    const confirmed = this.#confirmed?.movedRevision ?? 0;
    // Own workers count as settled with what was confirmed.
    if (confirmed < fenceRevision)
      return [{ who: "this control", why: "has not looked at it yet" }];
    return handOverWaits({
      ...scene,
      needs: { epoch: epoch(), revision },
      termMs: atMs + TERM_MS - nowMs,
      isKnown: fence.known === bindings.print,
    });
  }

  /** The revision of the store from which on these bindings are known to whoever has seen it. */
  #boundAt(name: string, print: string): number {
    const known = this.#bindings.get(name);
    if (known?.print === print) return known.revision;
    const { revision } = this.#options.state.documents;
    this.#bindings.set(name, { print, revision });
    return revision;
  }

  /** Once: whoever else writes of this panel first has it decided anew. */
  async #end(panel: FencedPanel): Promise<void> {
    const { state, routing, leading, logger, clock } = this.#options;
    const lease = leading();
    if (lease === undefined) return;
    const { name, fence } = panel;
    const wasRunning = isRunning(fence);
    const tookMs = wasRunning ? Math.max(0, clock.wallMs() - fence.startedAtMs) : 0;
    const on = [...fence.pending.keys()];
    const about = { panel: name, on, settled: fence.settling, tookMs };
    const writes = routing.settledWrites(panel);
    if (!(await state.write(writes, "hand-over", about, lease.lease))) return;
    if (!wasRunning) return;
    this.#done += 1;
    this.#doneMs += tookMs;
    logger.info({ panel: name, on, tookMs }, "A hand-over is done");
    await routing.look();
  }

  /** What edges show of routing controls when nobody else can. */
  async #tellControls(): Promise<void> {
    const { state, routing, gateway, epoch } = this.#options;
    const place = gateway();
    if (place === undefined) return;
    const { documents } = state;
    const nowMs = this.#options.clock.monotonicMs();
    const pauseMs = this.#toldAt?.documents === documents ? CONFIRM_MS : SLOW_MS;
    if (nowMs - (this.#toldAt?.atMs ?? -Infinity) < pauseMs) return;
    this.#toldAt = { documents, atMs: nowMs };
    const { ageMs } = await state.store.head({ stale: true });
    const { revision } = documents;
    const items = routing
      .views()
      .map(({ handover, ...view }) =>
        handover === undefined ? view : { ...view, handover: { ...handover, waitsFor: [] } },
      );
    const about = { epoch: epoch(), revision, storeAgeMs: Math.round(ageMs) };
    const text = JSON.stringify(items);
    if (text !== this.#told) {
      this.#told = text;
      const message = encodeRoutingControls({ ...about, items });
      const wasTold = this.#isTold;
      this.#isTold = message !== undefined;
      if (message !== undefined) place.setControls(message);
      else if (wasTold)
        this.#options.logger.warn(
          { controls: items.length },
          "Edges cannot be told of routing controls: there are too many; they show those of before, with their age",
        );
      return;
    }
    // With it edges take what they have for what is known now.
    if (!this.#isTold) return;
    const message = encodeRoutingControls(about);
    if (message !== undefined && items.length > 0) place.tellControls(message);
  }
}
