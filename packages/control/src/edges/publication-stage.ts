// SPDX-License-Identifier: Apache-2.0

// A revision that goes to some edges first. Each asks itself before it serves it; when as many as were chosen have found it good, it goes to
// all. One that finds it bad halts it. Those that clients ask are watched for some seconds more: one that answers worse than before halts it,
// too. Silence halts nothing, as it is no evidence: another edge goes in the place of one that falls silent or takes too long. If that one
// does, too, the revision may be what kills them, and nobody else is sent it until one of them speaks. Until there are edges to choose from,
// nobody is: those of a control that was started anew come back one by one. A pure state machine: time comes with each call.

import { hash32 } from "@meridian/core";
import { worsening, type WatchedAnswers } from "./answer-watch.ts";
import { FRESH_MS_MAX } from "./publication-state.ts";

/** Share of the edges that go first, and at least one. */
const CANARY_SHARE = 0.1;
/** Longest time for a canary to fetch, check and serve a revision before another one goes, too. */
const CANARY_MS_MAX = 60_000;
/** How long edges may come back before some of them are chosen. */
const GATHER_MS = 3000;
/** How long canaries that are asked anything serve it before it goes to all: three words of how they answer. */
const WATCH_MS = 3000;
/** The same for one that does not say how it answers. */
const WATCH_MS_MAX = 10_000;

/** How a staged revision stands. */
export type StageState =
  | { readonly kind: "checking" }
  | { readonly kind: "good" }
  | { readonly kind: "halted"; readonly reason: string };

/** The edges that go first: other ones for each revision, the same ones wherever it is asked. */
export function chooseCanaries(names: readonly string[], revision: number): string[] {
  const count = Math.max(1, Math.ceil(names.length * CANARY_SHARE));
  return inTurn(names, revision).slice(0, count);
}

export class PublicationStage {
  readonly revision: number;
  readonly #begunMs: number;
  /** When each of its canaries was chosen. */
  readonly #chosenMs = new Map<string, number>();
  /** As many have to find it good. */
  #wanted = 0;
  readonly #good = new Set<string>();
  #reason: string | undefined;
  #isFoundGood = false;
  /** When the last canary found it good. */
  #goodMs: number | undefined;

  constructor(revision: number, nowMs: number) {
    this.revision = revision;
    this.#begunMs = nowMs;
  }

  get canaries(): ReadonlySet<string> {
    return new Set(this.#chosenMs.keys());
  }

  isCanary(edge: string): boolean {
    return this.#chosenMs.has(edge);
  }

  get state(): StageState {
    if (this.#reason !== undefined) return { kind: "halted", reason: this.#reason };
    return { kind: this.#isFoundGood ? "good" : "checking" };
  }

  /** Whether edges have had the time to come, and some are to be chosen. */
  isGathered(nowMs: number): boolean {
    return this.#chosenMs.size === 0 && nowMs - this.#begunMs >= GATHER_MS;
  }

  /** Some of these edges go first. */
  choose(edges: readonly string[], nowMs: number): void {
    if (edges.length === 0) return;
    const chosen = chooseCanaries(edges, this.revision);
    this.#wanted = chosen.length;
    for (const name of chosen) this.#chosenMs.set(name, nowMs);
  }

  /** An edge that will not come again, which nobody waits for. */
  forget(edge: string): void {
    this.#chosenMs.delete(edge);
  }

  /** Another control has found it good, or bad for this reason. */
  decide(reason: string | undefined): void {
    if (this.state.kind !== "checking") return;
    this.#reason = reason;
    this.#isFoundGood = reason === undefined;
  }

  /** Whether this canary has not said anything yet. */
  waitsFor(edge: string): boolean {
    return this.isCanary(edge) && !this.#good.has(edge) && this.#reason === undefined;
  }

  /** A canary has found it good or bad. */
  report(edge: string, { isGood, reason }: { isGood: boolean; reason: string }): void {
    if (!this.isCanary(edge) || this.#reason !== undefined) return;
    if (isGood) this.#good.add(edge);
    else this.#reason = `edge "${edge}" refused it: ${reason}`;
  }

  /** Time has passed; `present` are edges that are heard of, `answersOf` says how one answers. Returns who goes instead of others from now on. */
  step(
    nowMs: number,
    present: ReadonlySet<string>,
    answersOf: (edge: string) => WatchedAnswers,
  ): readonly string[] {
    if (this.state.kind !== "checking" || this.#wanted === 0) return [];
    if (this.#good.size < this.#wanted) return this.#standIns(nowMs, present);
    this.#watch(nowMs, answersOf);
    return [];
  }

  /** No more of them than were chosen at first. */
  #standIns(nowMs: number, present: ReadonlySet<string>): readonly string[] {
    const mayCome = [...this.#chosenMs].filter(([name, chosenMs]) => {
      const sinceMs = nowMs - chosenMs;
      if (this.#good.has(name)) return true;
      return sinceMs <= (present.has(name) ? CANARY_MS_MAX : FRESH_MS_MAX);
    });
    const missing = this.#wanted - mayCome.length;
    const left = this.#wanted * 2 - this.#chosenMs.size;
    const others = [...present].filter((name) => !this.isCanary(name));
    const chosen = inTurn(others, this.revision).slice(0, Math.max(0, Math.min(missing, left)));
    for (const name of chosen) this.#chosenMs.set(name, nowMs);
    return chosen;
  }

  #watch(nowMs: number, answersOf: (edge: string) => WatchedAnswers): void {
    this.#goodMs ??= nowMs;
    const sinceMs = nowMs - this.#goodMs;
    let isOver = true;
    for (const edge of this.#good) {
      const answers = answersOf(edge);
      const worse = worsening(answers);
      if (worse !== undefined) this.#reason ??= `edge "${edge}" answers worse from it: ${worse}`;
      // Who was asked nothing has nothing to be watched.
      const isAsked = (answers.before?.queries ?? 0) > 0;
      const isHeard = answers.now !== undefined || sinceMs >= WATCH_MS_MAX;
      if (isAsked && (sinceMs < WATCH_MS || !isHeard)) isOver = false;
    }
    this.#isFoundGood = isOver && this.#reason === undefined;
  }
}

/** In the order in which they are chosen. */
function inTurn(names: readonly string[], revision: number): string[] {
  const ranked = names.map((name) => ({ name, rank: rankOf(`${revision}/${name}`) }));
  return ranked
    .toSorted((a, b) => a.rank - b.rank || (a.name < b.name ? -1 : 1))
    .map(({ name }) => name);
}

function rankOf(text: string): number {
  const bytes = new TextEncoder().encode(text);
  return hash32(bytes, 0, bytes.length, 0);
}
