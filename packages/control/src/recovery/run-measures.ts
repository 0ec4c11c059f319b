// SPDX-License-Identifier: Apache-2.0

// What is measured of runs that have moved traffic: when all edges had the move, how long resolvers may keep an answer of before, and since when all
// is healthy. Each control looks, whether it leads or not, so that the next one that does knows what was before its time:
//
//   edges of each control ─► mark of that control ─┐
//   health, as each control sees it ───────────────┴─► measured(), by the one that leads ─► the run
//
// An edge says for how long it has answered as it does. So its time does not depend on when a control first heard of it.

import { reasonOf } from "@meridian/core";
import { member } from "../documents/document-key.ts";
import type { Logger } from "../embedded-options.ts";
import type { StateDocuments } from "../state/state-documents.ts";
import { isOver, runName, type RecoveryRun } from "./run-state.ts";
import type { ServedTraffic } from "./served-traffic.ts";

/** How long after a move it is measured at most. */
export const MEASURE_MS_MAX = 3_600_000;
/** So long edges are waited for that no control has heard of since the move: one whose control died dials others, at last every 5 s. */
const MISSING_MS_MAX = 30_000;
/** How often it is looked whether other edges have come: at first, and when a run is not measured by then. */
const EDGES_MS = 1000;
const LATE_EDGES_MS = 10_000;
/** How often health is looked at: at first, and when a run is not measured by then. */
const HEALTH_MS = 200;
const LATE_HEALTH_MS = 2000;
/** What stands for the server itself, where it answers. */
export const ITSELF = "";

/** For how many milliseconds each edge of this control has answered as the store says now; Infinity: it never has otherwise. */
export type AnsweringEdges = ReadonlyMap<string, number>;

export interface RunMeasuresOptions {
  readonly state: Pick<StateDocuments, "get" | "all" | "write">;
  readonly traffic: Pick<ServedTraffic, "ttlMs" | "isGreen" | "isServed">;
  /** Of this control. */
  readonly name: string;
  /** Resolves when all edges of this control answer as the store says now. */
  readonly propagated: (signal: AbortSignal) => Promise<AnsweringEdges>;
  /** Edges that are to be heard of, at whichever control; undefined as long as that is not known. */
  readonly expected: () => readonly string[] | undefined;
  /** A mark was written. */
  readonly onMark: () => void;
  readonly logger: Logger;
  readonly nowMs: () => number;
}

/** What this control has seen of the newest move of a run. */
interface Seen {
  readonly movedAtMs: number;
  /** Edges whose time is in the mark. */
  readonly counted: Set<string>;
  isLooking: boolean;
  lookedAtMs: number;
  healthAtMs: number;
  greenAtMs: number | undefined;
}

export class RunMeasures {
  readonly #options: RunMeasuresOptions;
  readonly #seen = new Map<string, Seen>();
  readonly #closing = new AbortController();

  constructor(options: RunMeasuresOptions) {
    this.#options = options;
  }

  close(): void {
    this.#closing.abort();
  }

  /** Looks at all runs; whether one of them is being measured. */
  look(runs: readonly RecoveryRun[]): boolean {
    const nowMs = this.#options.nowMs();
    const measuring = new Set<string>();
    for (const run of runs) {
      const { movedAtMs, isMeasured } = run;
      if (movedAtMs === undefined || isMeasured || nowMs > movedAtMs + MEASURE_MS_MAX) continue;
      const name = runName(run);
      measuring.add(name);
      const seen = this.#seenOf(name, movedAtMs);
      const isEarly = nowMs < movedAtMs + 2 * MISSING_MS_MAX;
      if (nowMs >= seen.healthAtMs + (isEarly ? HEALTH_MS : LATE_HEALTH_MS))
        this.#seeHealth(seen, run.names, nowMs);
      const everyMs = isEarly ? EDGES_MS : LATE_EDGES_MS;
      if (seen.isLooking || nowMs < seen.lookedAtMs + everyMs) continue;
      seen.isLooking = true;
      seen.lookedAtMs = nowMs;
      this.#mark(name, seen)
        .catch((error: unknown) => {
          if (!this.#closing.signal.aborted)
            this.#options.logger.warn({ reason: reasonOf(error) }, "Cannot say what edges have");
        })
        .finally(() => {
          seen.isLooking = false;
        });
    }
    for (const name of this.#seen.keys()) if (!measuring.has(name)) this.#seen.delete(name);
    return measuring.size > 0;
  }

  /** When the last edge had what a run has moved, as far as controls have said so; Unix milliseconds. */
  propagatedAtMs(run: RecoveryRun): number | undefined {
    const times = this.#marksOf(run).map(({ atMs }) => atMs);
    return times.length === 0 ? undefined : Math.max(...times);
  }

  #marksOf(run: RecoveryRun): Mark[] {
    const prefix = `${runName(run)}/`;
    return [...this.#options.state.all("RecoveryMark")].flatMap(({ name, text }) => {
      const mark = name.startsWith(prefix) ? markIn(text) : undefined;
      return mark !== undefined && mark.movedAtMs === run.movedAtMs ? [mark] : [];
    });
  }

  /** Whether some control has heard of each edge that the move is there. */
  #isEverywhere(run: RecoveryRun): boolean {
    const heard = new Set(this.#marksOf(run).flatMap(({ edges }) => edges));
    return this.#options.expected()?.every((edge) => heard.has(edge)) === true;
  }

  /** The run with what is known by now. */
  measured(run: RecoveryRun, nowMs: number): RecoveryRun {
    const { movedAtMs, names } = run;
    if (movedAtMs === undefined || run.isMeasured) return run;
    const { traffic } = this.#options;
    const drainMs = run.drainMs ?? (traffic.isServed ? (traffic.ttlMs(names) ?? 0) : undefined);
    const seen = this.#seenOf(runName(run), movedAtMs);
    const isGreen = this.#seeHealth(seen, names, nowMs);
    // As it was, where it is not known yet: who has begun to judge a moment ago knows less than who led before.
    const greenAtMs = isGreen === false ? undefined : (run.greenAtMs ?? seen.greenAtMs);
    const propagatedMs = this.propagatedAtMs(run);
    const endsAtMs = Math.max(
      movedAtMs + (this.#isEverywhere(run) ? 0 : MISSING_MS_MAX),
      (propagatedMs ?? Infinity) + (drainMs ?? Infinity),
    );
    const isMeasured = isOver(run) && greenAtMs !== undefined && nowMs >= endsAtMs;
    const isSame = drainMs === run.drainMs && greenAtMs === run.greenAtMs && !isMeasured;
    return isSame ? run : { ...run, drainMs, greenAtMs, isMeasured };
  }

  #seenOf(name: string, movedAtMs: number): Seen {
    const known = this.#seen.get(name);
    if (known?.movedAtMs === movedAtMs) return known;
    const stored = this.#ownMark(name, movedAtMs);
    const seen = {
      movedAtMs,
      // One that was started anew has said so before.
      counted: new Set(stored?.edges ?? []),
      ...{ isLooking: false, lookedAtMs: -Infinity, healthAtMs: -Infinity, greenAtMs: undefined },
    };
    this.#seen.set(name, seen);
    return seen;
  }

  #seeHealth(seen: Seen, names: readonly string[], nowMs: number): boolean | undefined {
    seen.healthAtMs = nowMs;
    const isGreen = this.#options.traffic.isGreen(names);
    if (isGreen === true) seen.greenAtMs ??= Math.max(nowMs, seen.movedAtMs);
    if (isGreen === false) seen.greenAtMs = undefined;
    return isGreen;
  }

  /** Says when the last edge of this control had a move; later where another one has come that had it later. */
  async #mark(name: string, seen: Seen): Promise<void> {
    const { propagated, nowMs, state, onMark } = this.#options;
    const edges = await propagated(this.#closing.signal);
    if (this.#seen.get(name) !== seen) return;
    const { movedAtMs, counted } = seen;
    const now = nowMs();
    // No edge had it before it was there, nor after now, whatever it says.
    const atMs = [...edges]
      .filter(([edge]) => !counted.has(edge))
      .reduce((last, [, ms]) => Math.max(last, Math.min(now, Math.round(now - ms))), movedAtMs);
    const stored = this.#ownMark(name, movedAtMs);
    const heard = new Set([...(stored?.edges ?? []), ...edges.keys()]);
    if (stored === undefined || stored.atMs < atMs || heard.size > stored.edges.length) {
      const kept = { movedAtMs, atMs: Math.max(atMs, stored?.atMs ?? 0), edges: [...heard] };
      const mark = {
        kind: "RecoveryMark",
        name: this.#markName(name),
        text: JSON.stringify(kept satisfies Mark),
      } as const;
      await state.write([mark], "recovery", { edgesOf: mark.name });
      onMark();
    }
    for (const edge of edges.keys()) counted.add(edge);
  }

  #markName(run: string): string {
    return `${run}/${this.#options.name}`;
  }

  #ownMark(run: string, movedAtMs: number): Mark | undefined {
    const stored = this.#options.state.get("RecoveryMark", this.#markName(run));
    const mark = stored === undefined ? undefined : markIn(stored.text);
    return mark?.movedAtMs === movedAtMs ? mark : undefined;
  }
}

/** What one control has said of a move. */
interface Mark {
  readonly movedAtMs: number;
  /** When the last of its edges had it. */
  readonly atMs: number;
  /** All that it has heard of. */
  readonly edges: readonly string[];
}

function markIn(text: string): Mark | undefined {
  const raw: unknown = JSON.parse(text);
  const [movedAtMs, atMs, edges] = ["movedAtMs", "atMs", "edges"].map((name) => member(raw, name));
  if (typeof movedAtMs !== "number" || typeof atMs !== "number") return undefined;
  return { movedAtMs, atMs, edges: Array.isArray(edges) ? edges.map(String) : [] };
}
