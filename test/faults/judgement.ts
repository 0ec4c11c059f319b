// SPDX-License-Identifier: Apache-2.0

// What must be true of everything that was seen during a run with faults. Times are milliseconds of one monotonic clock.

import { stallsOf, type Load } from "./load.ts";
import { keyOf, type Replay } from "./replays.ts";
import { overlaps, type Span } from "./span.ts";
import { ages, type Age } from "./staleness.ts";

/** Where clients are sent while it is alive. */
export const FIRST_PLACE = "place0";

/** An answer as far as it can be found again in the log of its edge. */
export interface Answer {
  readonly edge: string;
  readonly askedMs: number;
  /** Of the message. */
  readonly id: number;
  /** Of the message's bytes, its id included; see `hashOf` of replays. */
  readonly hash: number;
}

/** What an edge said of the counter. Each write gives it a value of its own. */
export interface Sighting extends Answer {
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
export interface Sending extends Answer {
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
  /** Answers that edges were asked for again: a sample, and each that looks wrong. */
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

interface WrongAnswer {
  readonly answer: Answer;
  /** What is wrong with it, as a sentence. */
  readonly text: string;
}

/** Everything that was wrong, as sentences; empty where all is well. */
export interface Judgement {
  readonly complaints: readonly string[];
  /** How old each answer was whose age is promised. */
  readonly ages: readonly Age[];
}

export function judge(observed: Observed, bounds: Bounds): Judgement {
  const revisions = revisionsOf(observed);
  const judged = ages(observed, revisions, bounds);
  const replays = new Map(
    observed.replays.flatMap((replay) =>
      replay.answer === undefined ? [] : [[keyOf(replay.answer), replay] as const],
    ),
  );
  const complaints = [
    ...lost(observed, revisions),
    ...unanswered(observed, bounds.answerMs),
    ...unexplained(observed),
    ...wrongAnswers(observed, bounds, judged).map(({ text, answer }) => {
      const replay = replays.get(keyOf(answer));
      return replay === undefined ? text : `${text} (${replayed(replay)})`;
    }),
  ];
  return { complaints, ages: judged };
}

/** Answers that look wrong to whoever excuses nothing, be it an edge that was cut off or a machine that was busy. */
export function suspects(observed: Observed, bounds: Bounds): Answer[] {
  const strict: Observed = { ...observed, hindrances: [], takeovers: [], loads: [] };
  const judged = ages(strict, revisionsOf(strict), bounds);
  const wrong = wrongAnswers(strict, bounds, judged).map(({ answer }) => answer);
  return [...new Map(wrong.map((answer) => [keyOf(answer), answer])).values()];
}

function wrongAnswers(observed: Observed, bounds: Bounds, judged: readonly Age[]): WrongAnswer[] {
  const revisions = revisionsOf(observed);
  return [
    ...unwritten(observed, revisions),
    ...backwards(observed, revisions),
    ...stale(judged),
    ...deadOrDeserted(observed, bounds.verdictMs),
  ];
}

function revisionsOf({ commits }: Observed): ReadonlyMap<number, number> {
  return new Map(commits.map(({ value, revision }) => [value, revision]));
}

/** What asking again has said, as a clause. */
function replayed({ outcome, position }: Replay): string {
  switch (outcome) {
    case "equal":
      return `${position} yields it`;
    case "different":
      return `${position} does not yield it`;
    case "forgotten":
      return `${position} is not known any more`;
    case "unlogged":
      return "its edge has not logged it";
  }
}

function stale(judged: readonly Age[]): WrongAnswer[] {
  return judged
    .filter(({ ageMs, boundMs }) => ageMs > boundMs)
    .map(({ answer, value, ageMs, boundMs }) => ({
      answer,
      text: `${answer.edge} answered ${value} at ${at(answer.askedMs)}, ${Math.round(ageMs)} ms after a later one was acknowledged, more than ${Math.round(boundMs)}`,
    }));
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
): WrongAnswer[] {
  const starts = new Map(writes.map(({ value, startMs }) => [value, startMs]));
  return sightings.flatMap((answer) => {
    const { edge, value, answeredMs } = answer;
    if (value === -2)
      return [{ answer, text: `${edge} answered no address of the counter at ${at(answeredMs)}` }];
    if (value <= 0) return [];
    const about = `${edge} answered ${value} at ${at(answeredMs)}`;
    if ((starts.get(value) ?? Infinity) > answeredMs)
      return [{ answer, text: `${about}, before it was written` }];
    return revisions.has(value) ? [] : [{ answer, text: `${about}, which is no revision` }];
  });
}

/** No edge goes back: what was asked after an answer is not answered with an older revision. */
function backwards({ sightings }: Observed, revisions: ReadonlyMap<number, number>): WrongAnswer[] {
  const wrong: WrongAnswer[] = [];
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
        wrong.push({
          answer: sighting,
          text: `${sighting.edge} went back from ${highest.value} to ${sighting.value} at ${at(sighting.askedMs)}`,
        });
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

/**
 * Every answer that edges were asked for again is what the revision and the sequence yield that it was answered from, and shows what the store's
 * history has of that revision. Most of those are still known.
 */
function unexplained({ replays, commits }: Observed): string[] {
  const wrong = replays.flatMap((replay) => {
    const { edge, time, position, outcome, text = "" } = replay;
    if (outcome === "different")
      return [`${edge} answered at ${time} what ${position} does not yield: ${text}`];
    const { value, revision } = replay;
    if (value === undefined || revision === undefined) return [];
    const kept = commits.findLast((commit) => commit.revision <= revision)?.value;
    return kept === value
      ? []
      : [`${edge} answered ${value} at ${time} from ${position}, where the store has ${kept}`];
  });
  const forgotten = replays.filter(({ outcome }) => outcome === "forgotten").length;
  if (forgotten * 2 > replays.length)
    wrong.push(`${forgotten} of ${replays.length} answers cannot be asked for again`);
  return wrong;
}

/** Nobody is sent to a place that has been dead for long, and everybody to the first one when it has been alive for long: nothing else is a reason. */
function deadOrDeserted(observed: Observed, verdictMs: number): WrongAnswer[] {
  const { sendings, outages, loads, hindrances } = observed;
  const downs = Map.groupBy(
    hindrances.filter(({ isDown }) => isDown),
    ({ edge }) => edge,
  );
  const stalls = stallsOf(loads);
  return sendings.flatMap((answer) => {
    const { edge, askedMs, place } = answer;
    const about = `${edge} sent to ${place} at ${at(askedMs)}`;
    if (!/^place\d$/.test(place)) return [{ answer, text: about }];
    // No probe was in time.
    const idle = [...stalls, ...(downs.get(edge) ?? [])];
    if (overlaps(idle, askedMs - verdictMs, askedMs)) return [];
    const dead = outages.some(
      (each) => each.place === place && each.fromMs + verdictMs < askedMs && askedMs < each.untilMs,
    );
    if (dead) return [{ answer, text: `${about}, which was dead` }];
    const hasReason = outages.some(
      ({ fromMs, untilMs }) => fromMs <= askedMs && askedMs <= untilMs + verdictMs,
    );
    if (place === FIRST_PLACE || hasReason) return [];
    return [{ answer, text: `${about}, though ${FIRST_PLACE} was alive` }];
  });
}

function at(ms: number): string {
  return `${(ms / 1000).toFixed(3)} s`;
}
