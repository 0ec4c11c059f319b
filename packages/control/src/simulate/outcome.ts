// SPDX-License-Identifier: Apache-2.0

// What a simulation came to: how soon it got over each event that harms, and whether all is as it was expected.

import { parseDuration } from "@meridian/core";
import type { ScenarioEvent, ScenarioSpec } from "@meridian/model";
import { rounded, type Recorder } from "./recorder.ts";
import type {
  SimulatedEvent,
  SimulatedExpectation,
  SimulatedRecovery,
  SimulatedTransition,
  SimulationReport,
} from "./report.ts";

/** Requests that fail or get no endpoint, of a hundred, that are not worth a word. */
const BAD_SHARE = 0.01;
const HARMFUL: ReadonlySet<string> = new Set(["fail", "flap", "brownOut", "partition", "lie"]);

export interface RecoveryView {
  /** As they came. */
  readonly events: readonly SimulatedEvent[];
  /** The same as the scenario has them. */
  readonly sources: readonly ScenarioEvent[];
  readonly transitions: readonly SimulatedTransition[];
  readonly recorder: Recorder;
  readonly stepSeconds: number;
  readonly struckBy: (event: ScenarioEvent) => {
    readonly places: readonly number[];
    readonly endpoints: ReadonlySet<string>;
  };
}

/** How long each event that harms was felt; it is followed until the next one. */
export function recoveriesOf(view: RecoveryView): SimulatedRecovery[] {
  const { events, sources, recorder, stepSeconds } = view;
  const endSeconds = recorder.all.length * stepSeconds;
  return events.flatMap((event, index): SimulatedRecovery[] => {
    const source = sources[index];
    if (source === undefined || !HARMFUL.has(event.kind)) return [];
    const next = events.find(
      ({ kind, atSeconds }) => HARMFUL.has(kind) && atSeconds > event.atSeconds,
    );
    const untilSeconds = next?.atSeconds ?? endSeconds;
    return [{ event: index, ...recoveryOf(view, event, source, untilSeconds) }];
  });
}

function recoveryOf(
  { transitions, recorder, stepSeconds, struckBy }: RecoveryView,
  { atSeconds, text }: SimulatedEvent,
  source: ScenarioEvent,
  untilSeconds: number,
): Omit<SimulatedRecovery, "event"> {
  const { places, endpoints } = struckBy(source);
  const first = Math.ceil(atSeconds / stepSeconds);
  const end = Math.min(recorder.all.length, Math.floor(untilSeconds / stepSeconds));
  const detected = transitions.find(
    (each) =>
      each.atSeconds >= atSeconds && each.atSeconds < untilSeconds && endpoints.has(each.endpoint),
  );
  const before = recorder.sentTo(places, Math.max(0, first - 1));
  let drained: number | undefined;
  let lastBad = first - 1;
  for (let step = first; step < end; step++) {
    if (drained === undefined && before > 0 && recorder.sentTo(places, step) <= before / 100)
      drained = (step + 1) * stepSeconds - atSeconds;
    if ((recorder.bad[step] ?? 0) > (recorder.all[step] ?? 0) * BAD_SHARE) lastBad = step;
  }
  let lost = 0;
  for (let step = first; step <= lastBad; step++) lost += (recorder.bad[step] ?? 0) * stepSeconds;
  const recovered = lastBad < first ? 0 : (lastBad + 1) * stepSeconds - atSeconds;
  return {
    ...{ text, atSeconds, lost: rounded(lost) },
    ...(detected === undefined ? {} : { detectedSeconds: rounded(detected.atSeconds - atSeconds) }),
    ...(drained === undefined ? {} : { drainedSeconds: rounded(drained) }),
    ...(lastBad === end - 1 && end > first ? {} : { recoveredSeconds: rounded(recovered) }),
  };
}

export interface OutcomeView {
  readonly totals: SimulationReport["totals"];
  readonly recoveries: readonly SimulatedRecovery[];
  readonly recorder: Recorder;
  readonly events: readonly SimulatedEvent[];
}

/** Whether what was expected came to pass, one by one. */
export function metExpectations(
  expect: ScenarioSpec["expect"],
  { totals, recoveries, recorder, events }: OutcomeView,
): SimulatedExpectation[] {
  if (expect === undefined) return [];
  const met: SimulatedExpectation[] = [];
  const atMost = (what: string, found: number, most: number | undefined, unit: string): void => {
    if (most === undefined) return;
    const text = `${what} at most ${most}${unit}`;
    met.push({ text, isMet: found <= most, found: `${rounded(found)}${unit}` });
  };
  const shareOf = (part: number): number =>
    totals.demand === 0 ? 0 : rounded((part * 100) / totals.demand);
  const seconds = (text: string | undefined): number | undefined =>
    text === undefined ? undefined : (parseDuration(text) ?? 0) / 1000;
  atMost("errors", shareOf(totals.errors), expect.errors, " %");
  atMost("requests without an endpoint", shareOf(totals.withheld), expect.withheld, " %");
  atMost("overload", totals.overloadSeconds, seconds(expect.overload), " s");
  const most = seconds(expect.recovery);
  if (most !== undefined)
    for (const { text, recoveredSeconds } of recoveries)
      met.push({
        text: `over within ${most} s: ${text}`,
        isMet: recoveredSeconds !== undefined && recoveredSeconds <= most,
        found: recoveredSeconds === undefined ? "not over" : `${recoveredSeconds} s`,
      });
  atMost("verdict changes", totals.verdictChanges, expect.verdictChanges, "");
  atMost("turns of a site's load", totals.turns, expect.turns, "");
  for (const { target, from, to, min, max } of expect.shares) {
    const found = rounded(recorder.share(target, seconds(from) ?? 0, seconds(to) ?? 0) * 100);
    met.push({
      text: `${target} gets ${min} to ${max} % of the load from ${from} to ${to}`,
      isMet: found >= min && found <= max,
      found: `${found} %`,
    });
  }
  const refused = new Set(expect.refused);
  for (const { name, text, outcome, why } of events) {
    const isExpected = name !== undefined && refused.has(name);
    if (outcome === "done" && !isExpected) continue;
    met.push({
      text: `${isExpected ? "refused" : "done"}: ${text}`,
      isMet: isExpected === (outcome === "refused"),
      found: outcome === "refused" ? `refused: ${why.join("; ")}` : "done",
    });
  }
  return met;
}
