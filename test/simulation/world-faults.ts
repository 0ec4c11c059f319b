// SPDX-License-Identifier: Apache-2.0

// What must not be in a world that has room (random-worlds.ts), looked for in what a simulation of it reports.

import type { SimulationReport } from "@meridian/control";
import type { RandomWorld } from "./random-worlds.ts";

/** From when on nothing is left of what began or ended: found out, drained, and factors of capacity settled. */
const SETTLE_SECONDS = 100;
/** The same behind what was not steady: damping holds for a minute. */
const HELD_SECONDS = 120;
/** Windows over which load is looked at. */
const WINDOW_SECONDS = 10;
/** A share that goes up and down by so much, with chance taken off, swings. */
const SWING = 0.15;

interface WorldFaults {
  /** Load swings though nothing happens, or turns round more often than things happen. */
  readonly swings: string[];
  /** Clients were left without an endpoint. */
  readonly empty: string[];
  /** A place was asked for more than it can for long, with room elsewhere; or requests went on failing. */
  readonly overloads: string[];
}

/** What is wrong with the course of a world. */
export function faultsOf(world: RandomWorld, report: SimulationReport): WorldFaults {
  const faults: WorldFaults = { swings: [], empty: [], overloads: [] };
  if (report.totals.withheld > 0)
    faults.empty.push(`${report.totals.withheld} requests got no endpoint`);
  for (const span of settledSpans(world, report.durationSeconds))
    lookAt(world, report, span, faults);
  // Each beginning and end may turn load round, and a place that is not steady is let back until it is damped.
  const turnsMax = world.troubles.reduce((sum, { isSteady }) => sum + (isSteady ? 2 : 6), 0);
  if (report.totals.turns > turnsMax)
    faults.swings.push(`load turned round ${report.totals.turns} times`);
  return faults;
}

interface Span {
  readonly from: number;
  readonly to: number;
}

/** Times in which all is as it was for long. */
function settledSpans({ troubles }: RandomWorld, durationSeconds: number): Span[] {
  const during = troubles.flatMap(({ isSteady, begin, end }) =>
    isSteady ? { from: begin + SETTLE_SECONDS, to: end } : [],
  );
  const behind = troubles.map(({ isSteady, end }, at) => ({
    from: end + (isSteady ? SETTLE_SECONDS : HELD_SECONDS),
    to: troubles[at + 1]?.begin ?? durationSeconds,
  }));
  return [{ from: 0, to: troubles[0]?.begin ?? durationSeconds }, ...during, ...behind];
}

function lookAt(
  world: RandomWorld,
  report: SimulationReport,
  { from, to }: Span,
  faults: WorldFaults,
): void {
  const { places, traffic } = report;
  const span = { from, to };
  const errors = windows(report, span, traffic.errors);
  const demand = windows(report, span, traffic.demand);
  for (const place of places) {
    const isSite = place.target.startsWith("site/");
    const isEndpoint = place.target.startsWith("endpoint/");
    const share = windows(report, span, place.share);
    const offered = windows(report, span, place.offered);
    const swing = Math.max(...share) - Math.min(...share);
    if (isSite && swing > SWING + 2 * world.noise)
      faults.swings.push(
        `${place.target}: ${Math.round(swing * 100)} points from ${from} to ${to} s`,
      );
    const { capacity } = place;
    if (!isEndpoint || capacity === undefined) continue;
    const most = Math.max(...offered);
    const chance = world.noise * Math.max(...demand);
    if (most > capacity * 1.05 + chance)
      faults.overloads.push(
        `${place.target}: ${Math.round(most)} of ${capacity} from ${from} to ${to} s`,
      );
  }
  const bad = errors.reduce((sum, each) => sum + each, 0);
  const all = demand.reduce((sum, each) => sum + each, 0);
  if (bad > all * 0.01)
    faults.overloads.push(`${Math.round((bad * 100) / all)} % failed from ${from} to ${to} s`);
}

/** Means over windows of a span. */
function windows(
  { seconds }: SimulationReport,
  { from, to }: Span,
  values: readonly number[],
): number[] {
  const bin = seconds[0] ?? 1;
  const means: number[] = [];
  for (let at = from; at + WINDOW_SECONDS <= to; at += WINDOW_SECONDS) {
    const part = values.slice(Math.floor(at / bin), Math.floor((at + WINDOW_SECONDS) / bin));
    means.push(part.reduce((sum, each) => sum + each, 0) / Math.max(1, part.length));
  }
  return means;
}
