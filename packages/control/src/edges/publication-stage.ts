// SPDX-License-Identifier: Apache-2.0

// A revision that goes to some edges first. Each asks itself before it serves it; when all have found it good, it goes to all. One that
// finds it bad, that falls silent or that says nothing in time halts it. Those that clients ask are watched for some seconds more: one that
// answers worse than before halts it, too. Until there are edges to choose from, nobody is sent it: those of
// a control that was started anew come back one by one. A pure state machine: time comes with each call.

import { hash32 } from "@meridian/core";
import { worsening, type WatchedAnswers } from "./answer-watch.ts";
import { FRESH_MS_MAX } from "./publication-state.ts";

/** Share of the edges that go first, and at least one. */
const CANARY_SHARE = 0.1;
/** Longest time for a canary to fetch, check and serve a revision. */
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
export function chooseCanaries(names: readonly string[], revision: number): Set<string> {
  const count = Math.max(1, Math.ceil(names.length * CANARY_SHARE));
  const ranked = names.map((name) => ({ name, rank: rankOf(`${revision}/${name}`) }));
  const chosen = ranked.toSorted((a, b) => a.rank - b.rank || (a.name < b.name ? -1 : 1));
  return new Set(chosen.slice(0, count).map(({ name }) => name));
}

export class PublicationStage {
  readonly revision: number;
  readonly #begunMs: number;
  #canaries: ReadonlySet<string> = new Set();
  /** When its canaries were chosen. */
  #chosenMs = 0;
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
    return this.#canaries;
  }

  get state(): StageState {
    if (this.#reason !== undefined) return { kind: "halted", reason: this.#reason };
    return { kind: this.#isFoundGood ? "good" : "checking" };
  }

  /** Whether edges have had the time to come, and some are to be chosen. */
  isGathered(nowMs: number): boolean {
    return this.#canaries.size === 0 && nowMs - this.#begunMs >= GATHER_MS;
  }

  /** Some of these edges go first. */
  choose(edges: readonly string[], nowMs: number): void {
    this.#canaries = edges.length === 0 ? new Set() : chooseCanaries(edges, this.revision);
    this.#chosenMs = nowMs;
  }

  /** Another control has found it good, or bad for this reason. */
  decide(reason: string | undefined): void {
    if (this.state.kind !== "checking") return;
    this.#reason = reason;
    this.#isFoundGood = reason === undefined;
  }

  /** Whether this canary has not said anything yet. */
  waitsFor(edge: string): boolean {
    return this.#canaries.has(edge) && !this.#good.has(edge) && this.#reason === undefined;
  }

  /** A canary has found it good or bad. */
  report(edge: string, { isGood, reason }: { isGood: boolean; reason: string }): void {
    if (!this.#canaries.has(edge) || this.#reason !== undefined) return;
    if (isGood) this.#good.add(edge);
    else this.#reason = `edge "${edge}" refused it: ${reason}`;
  }

  /** Time has passed; `silent` are edges of which nothing is heard, `answersOf` says how one answers. */
  step(
    nowMs: number,
    silent: ReadonlySet<string>,
    answersOf: (edge: string) => WatchedAnswers,
  ): void {
    if (this.state.kind !== "checking" || this.#canaries.size === 0) return;
    const waiting = [...this.#canaries].filter((name) => !this.#good.has(name));
    const sinceMs = nowMs - this.#chosenMs;
    const lost = sinceMs > FRESH_MS_MAX ? waiting.find((name) => silent.has(name)) : undefined;
    if (lost !== undefined) this.#reason = `edge "${lost}" fell silent when it was sent it`;
    else if (sinceMs > CANARY_MS_MAX)
      this.#reason = `edge "${waiting[0] ?? ""}" has not served it within ${CANARY_MS_MAX / 1000} s`;
    if (waiting.length === 0) this.#watch(nowMs, answersOf);
  }

  #watch(nowMs: number, answersOf: (edge: string) => WatchedAnswers): void {
    this.#goodMs ??= nowMs;
    const sinceMs = nowMs - this.#goodMs;
    let isOver = true;
    for (const edge of this.#canaries) {
      const answers = answersOf(edge);
      const worse = worsening(answers);
      if (worse !== undefined) this.#reason = `edge "${edge}" answers worse from it: ${worse}`;
      // Who was asked nothing has nothing to be watched.
      const isAsked = (answers.before?.queries ?? 0) > 0;
      const isHeard = answers.now !== undefined || sinceMs >= WATCH_MS_MAX;
      if (isAsked && (sinceMs < WATCH_MS || !isHeard)) isOver = false;
    }
    this.#isFoundGood = isOver && this.#reason === undefined;
  }
}

function rankOf(text: string): number {
  const bytes = new TextEncoder().encode(text);
  return hash32(bytes, 0, bytes.length, 0);
}
