// SPDX-License-Identifier: Apache-2.0

// What must be true of everything that was seen during a run with faults. Times are milliseconds of one monotonic clock.

import { stallsOf, type Load } from "./load.ts";
import type { Replay } from "./replays.ts";
import { overlaps, type Span } from "./span.ts";
import { ages, type Age } from "./staleness.ts";

/** Where clients are sent while it is alive. */
export const FIRST_PLACE = "place0";

/** An answer, or none: what an edge said of the counter. Each write gives it a value of its own. */
export interface Sighting {
  readonly edge: string;
  readonly askedMs: number;
  readonly answeredMs: number;
  /** -1: a failure, after which a resolver asks the next; -2: an answer, but not with one address of the counter. */
  readonly value: number;
}

/** A write of the counter. `unknown`: refused for no known reason, or not answered, and may yet have been done. */
export interface Write {
  readonly value: number;
  readonly startMs: number;
  readonly endMs: number;
  readonly outcome: "acknowledged" | "refused" | "unknown";
  /** Of an acknowledged one: what the answer said. */
  readonly revision?: number | undefined;
}

/** What the store has kept of the counter. */
export interface Commit {
  readonly revision: number;
  readonly value: number;
}

/** A time in which an edge may be behind: itself dead, cut off or held, or nobody there who could publish. */
export interface Hindrance {
  readonly edge: string;
  /** It did not run, so that it could not probe either; it comes back with what it knew. */
  readonly isDown?: boolean;
  readonly fromMs: number;
  readonly untilMs: number;
}

/** An answer that sent a client to a place. */
export interface Sending {
  readonly edge: string;
  readonly askedMs: number;
  /** Name of a place; anything else is a wrong answer. */
  readonly place: string;
}

/** A time in which a place was dead. */
export interface Outage {
  readonly place: string;
  readonly fromMs: number;
  readonly untilMs: number;
}

/** A question that went to one edge after the other, as a resolver does, until one answered. */
export interface Resolution {
  readonly askedMs: number;
  readonly answeredMs: number;
  readonly isAnswered: boolean;
}

export interface Observed {
  readonly writes: readonly Write[];
  /** In the order of their revisions. */
  readonly commits: readonly Commit[];
  readonly sightings: readonly Sighting[];
  readonly hindrances: readonly Hindrance[];
  /** Times in which a leader or another control of an edge may have to be found. */
  readonly takeovers: readonly Span[];
  /** In the order of time, one a second; a factor of 1 where there are none. Where nothing ran for a while, nothing is promised. */
  readonly loads: readonly Load[];
  readonly resolutions: readonly Resolution[];
  readonly sendings: readonly Sending[];
  readonly outages: readonly Outage[];
  /** Sampled answers that edges were asked for again. */
  readonly replays: readonly Replay[];
}

/** Those for edges are multiplied by how busy the machine was. */
export interface Bounds {
  /** Longest time from an acknowledged write to its answers, at edges that nothing hinders. */
  readonly stalenessMs: number;
  /** The same where one control or one member of the store is gone. */
  readonly takeoverMs: number;
  /** Longest time that a resolver waits, over all edges. */
  readonly answerMs: number;
  /** Longest time that a dead place is answered, and that a living one may be left after it was dead; at isolated edges, too. */
  readonly verdictMs: number;
}

/** Everything that was wrong, as sentences; empty where all is well. */
export interface Judgement {
  readonly complaints: readonly string[];
  /** How old each answer was whose age is promised. */
  readonly ages: readonly Age[];
}

export function judge(observed: Observed, bounds: Bounds): Judgement {
  const revisions = new Map(observed.commits.map(({ value, revision }) => [value, revision]));
  const judged = ages(observed, revisions, bounds);
  const stale = judged
    .filter(({ ageMs, boundMs }) => ageMs > boundMs)
    .map(
      ({ edge, askedMs, value, ageMs, boundMs }) =>
        `${edge} answered ${value} at ${at(askedMs)}, ${Math.round(ageMs)} ms after a later one was acknowledged, more than ${Math.round(boundMs)}`,
    );
  const complaints = [
    ...lost(observed, revisions),
    ...unwritten(observed, revisions),
    ...backwards(observed, revisions),
    ...stale,
    ...unanswered(observed, bounds.answerMs),
    ...deadOrDeserted(observed, bounds.verdictMs),
    ...unexplained(observed),
  ];
  return { complaints, ages: judged };
}

/** What was acknowledged is kept as it was said to be, nothing is kept twice, and nothing that was refused. */
function lost({ writes, commits }: Observed, revisions: ReadonlyMap<number, number>): string[] {
  const wrong: string[] = [];
  const byValue = new Map(writes.map((write) => [write.value, write]));
  for (const { value, outcome, revision } of writes)
    if (outcome === "acknowledged" && revisions.get(value) !== revision)
      wrong.push(
        `${value} was acknowledged as revision ${revision}, and is ${revisions.get(value) ?? "lost"}`,
      );
  for (const { value, revision } of commits) {
    if (revisions.get(value) !== revision)
      wrong.push(`${value} is revision ${revision}, and ${revisions.get(value)}, too`);
    const write = byValue.get(value);
    if (value !== 0 && (write === undefined || write.outcome === "refused"))
      wrong.push(`${value} is revision ${revision}, and was ${write?.outcome ?? "never written"}`);
  }
  return wrong;
}

/** Nobody answers a value before its write began, or one that is not kept. */
function unwritten(
  { writes, sightings }: Observed,
  revisions: ReadonlyMap<number, number>,
): string[] {
  const starts = new Map(writes.map(({ value, startMs }) => [value, startMs]));
  return sightings.flatMap(({ edge, value, answeredMs }) => {
    if (value === -2) return [`${edge} answered no address of the counter at ${at(answeredMs)}`];
    if (value <= 0) return [];
    const about = `${edge} answered ${value} at ${at(answeredMs)}`;
    if ((starts.get(value) ?? Infinity) > answeredMs) return [`${about}, before it was written`];
    return revisions.has(value) ? [] : [`${about}, which is no revision`];
  });
}

/** No edge goes back: what was asked after an answer is not answered with an older revision. */
function backwards({ sightings }: Observed, revisions: ReadonlyMap<number, number>): string[] {
  const wrong: string[] = [];
  for (const own of Map.groupBy(sightings, ({ edge }) => edge).values()) {
    const inOrder = own.flatMap((sighting) => {
      const revision = revisions.get(sighting.value);
      return revision === undefined ? [] : [{ ...sighting, revision }];
    });
    const answered = inOrder.toSorted((one, other) => one.answeredMs - other.answeredMs);
    let highest = { revision: 0, value: 0 };
    let next = 0;
    for (const sighting of inOrder.toSorted((one, other) => one.askedMs - other.askedMs)) {
      for (let seen = answered[next]; seen !== undefined; seen = answered[++next]) {
        if (seen.answeredMs >= sighting.askedMs) break;
        if (seen.revision > highest.revision) highest = seen;
      }
      if (sighting.revision < highest.revision)
        wrong.push(
          `${sighting.edge} went back from ${highest.value} to ${sighting.value} at ${at(sighting.askedMs)}`,
        );
    }
  }
  return wrong;
}

/** Whoever asks one edge after the other gets an answer in time. */
function unanswered({ resolutions, loads }: Observed, answerMs: number): string[] {
  const stalls = stallsOf(loads);
  return resolutions
    .filter(({ askedMs, answeredMs, isAnswered }) => !isAnswered || answeredMs - askedMs > answerMs)
    .filter(({ askedMs, answeredMs }) => !overlaps(stalls, askedMs, answeredMs))
    .map(
      ({ askedMs }) => `no edge answered what was asked at ${at(askedMs)} within ${answerMs} ms`,
    );
}

/** Every sampled answer is what the revision and the sequence yield that it was answered from; most of those are still known. */
function unexplained({ replays }: Observed): string[] {
  const wrong = replays.flatMap(({ edge, time, position, outcome, text = "" }) =>
    outcome === "different"
      ? [`${edge} answered at ${time} what ${position} does not yield: ${text}`]
      : [],
  );
  const forgotten = replays.filter(({ outcome }) => outcome === "forgotten").length;
  if (forgotten * 2 > replays.length)
    wrong.push(`${forgotten} of ${replays.length} sampled answers cannot be asked for again`);
  return wrong;
}

/** Nobody is sent to a place that has been dead for long, and everybody to the first one when it has been alive for long: nothing else is a reason. */
function deadOrDeserted(observed: Observed, verdictMs: number): string[] {
  const { sendings, outages, loads, hindrances } = observed;
  const downs = Map.groupBy(
    hindrances.filter(({ isDown }) => isDown),
    ({ edge }) => edge,
  );
  const stalls = stallsOf(loads);
  return sendings.flatMap(({ edge, askedMs, place }) => {
    if (!/^place\d$/.test(place)) return [`${edge} sent to ${place} at ${at(askedMs)}`];
    // No probe was in time.
    const idle = [...stalls, ...(downs.get(edge) ?? [])];
    if (overlaps(idle, askedMs - verdictMs, askedMs)) return [];
    const dead = outages.some(
      (each) => each.place === place && each.fromMs + verdictMs < askedMs && askedMs < each.untilMs,
    );
    if (dead) return [`${edge} sent to ${place} at ${at(askedMs)}, which was dead`];
    const hasReason = outages.some(
      ({ fromMs, untilMs }) => fromMs <= askedMs && askedMs <= untilMs + verdictMs,
    );
    if (place === FIRST_PLACE || hasReason) return [];
    return [`${edge} sent to ${place} at ${at(askedMs)}, though ${FIRST_PLACE} was alive`];
  });
}

function at(ms: number): string {
  return `${(ms / 1000).toFixed(3)} s`;
}
