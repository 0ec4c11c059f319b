// SPDX-License-Identifier: Apache-2.0

// What must be true of everything that was seen during a run with faults. Times are milliseconds of one monotonic clock.

/** Where clients are sent while it is alive. */
export const FIRST_PLACE = "place0";

/** An answer, or none: what an edge said of the counter, whose value is the number that was written last. */
export interface Sighting {
  readonly edge: string;
  readonly askedMs: number;
  readonly answeredMs: number;
  /** -1: no answer with an address. */
  readonly value: number;
}

/** A write of the counter. `unknown`: refused or not answered, and may yet have been done. */
export interface Write {
  readonly value: number;
  readonly startMs: number;
  readonly endMs: number;
  readonly outcome: "acknowledged" | "unknown";
}

/** A time in which an edge was cut off from every control, or all of the controls were unable to publish. */
export interface Hindrance {
  readonly edge: string;
  readonly fromMs: number;
  readonly untilMs: number;
}

/** An answer that sent a client to a place. */
export interface Sending {
  readonly edge: string;
  readonly askedMs: number;
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
  readonly sightings: readonly Sighting[];
  readonly hindrances: readonly Hindrance[];
  readonly resolutions: readonly Resolution[];
  readonly sendings: readonly Sending[];
  readonly outages: readonly Outage[];
}

export interface Bounds {
  /** Longest time from an acknowledged write to its answers, at edges that nothing hinders. */
  readonly stalenessMs: number;
  /** Longest time that a resolver waits, over all edges. */
  readonly answerMs: number;
  /** Longest time that a dead place is answered, and that a living one may be left after it was dead; at isolated edges, too. */
  readonly verdictMs: number;
}

/** Everything that was wrong, as sentences; empty where all is well. */
export function judge(observed: Observed, bounds: Bounds): string[] {
  return [
    ...unwritten(observed),
    ...backwards(observed),
    ...stale(observed, bounds.stalenessMs),
    ...unanswered(observed, bounds.answerMs),
    ...deadOrDeserted(observed, bounds.verdictMs),
  ];
}

/** Nobody answers a value before its write began, or one that was never written. */
function unwritten({ writes, sightings }: Observed): string[] {
  const starts = new Map(writes.map(({ value, startMs }) => [value, startMs]));
  return sightings
    .filter(({ value, answeredMs }) => value > 0 && (starts.get(value) ?? Infinity) > answeredMs)
    .map(
      ({ edge, value, answeredMs }) =>
        `${edge} answered ${value} at ${at(answeredMs)}, before it was written`,
    );
}

/** No edge goes back: what was asked after an answer is not answered with an older value. */
function backwards({ sightings }: Observed): string[] {
  const wrong: string[] = [];
  for (const own of byEdge(sightings).values()) {
    const inOrder = own.filter(({ value }) => value >= 0);
    const answered = inOrder.toSorted((one, other) => one.answeredMs - other.answeredMs);
    let [highest, next] = [0, 0];
    for (const sighting of inOrder.toSorted((one, other) => one.askedMs - other.askedMs)) {
      for (; (answered[next]?.answeredMs ?? Infinity) < sighting.askedMs; next++)
        highest = Math.max(highest, answered[next]?.value ?? 0);
      if (sighting.value < highest)
        wrong.push(
          `${sighting.edge} went back from ${highest} to ${sighting.value} at ${at(sighting.askedMs)}`,
        );
    }
  }
  return wrong;
}

/** What was acknowledged is answered within the bound by each edge that nothing hindered meanwhile. */
function stale({ writes, sightings, hindrances }: Observed, stalenessMs: number): string[] {
  const acknowledged = writes
    .filter(({ outcome }) => outcome === "acknowledged")
    .toSorted((one, other) => one.endMs - other.endMs);
  const wrong: string[] = [];
  for (const { edge, askedMs, value } of sightings) {
    if (value < 0) continue;
    const fromMs = askedMs - stalenessMs;
    if (
      hindrances.some(
        (each) => each.edge === edge && each.fromMs < askedMs && each.untilMs > fromMs,
      )
    )
      continue;
    const wanted = acknowledged.findLast(({ endMs }) => endMs <= fromMs)?.value ?? 0;
    if (value < wanted)
      wrong.push(
        `${edge} answered ${value} at ${at(askedMs)}, ${stalenessMs} ms after ${wanted} was acknowledged`,
      );
  }
  return wrong;
}

/** Whoever asks one edge after the other gets an answer in time. */
function unanswered({ resolutions }: Observed, answerMs: number): string[] {
  return resolutions
    .filter(({ askedMs, answeredMs, isAnswered }) => !isAnswered || answeredMs - askedMs > answerMs)
    .map(
      ({ askedMs }) => `no edge answered what was asked at ${at(askedMs)} within ${answerMs} ms`,
    );
}

/** Nobody is sent to a place that has been dead for long, and everybody to the first one when it has been alive for long: nothing else is a reason. */
function deadOrDeserted({ sendings, outages }: Observed, verdictMs: number): string[] {
  return sendings.flatMap(({ edge, askedMs, place }) => {
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

function byEdge(sightings: readonly Sighting[]): Map<string, Sighting[]> {
  return Map.groupBy(sightings, ({ edge }) => edge);
}

function at(ms: number): string {
  return `${(ms / 1000).toFixed(3)} s`;
}
