// SPDX-License-Identifier: Apache-2.0

// A simulation's report as a picture, and as a page of its own: no script, nothing that is loaded.

import { escaped } from "../drawing/svg.ts";
import { coursePicture, timeText, type DrawnMark, type DrawnPlace } from "./course-picture.ts";
import type { SimulatedPlace, SimulatedTransition, SimulationReport } from "./report.ts";

/** Kinds of event that people do; what is left happens to the world. */
const operatorKinds: ReadonlySet<string> = new Set(["shift", "unshift", "control", "weights"]);
/** Verdicts that change alike within so long are one mark; of so many it is said which. */
const RUN_SECONDS = 5;
const NAMED_MAX = 2;
/** Marks of what Meridian saw and did; the tables have all of it. */
const OWN_MARKS_MAX = 12;
/** Places in a picture; the others are one. */
const PLACES_MAX = 7;
/** Of all load, by which sums may differ for rounding. */
const SUM_ERROR = 1e-3;

/** The picture as an SVG document. */
export function simulatedPicture(report: SimulationReport): string {
  const { scenario, description, seconds, traffic } = report;
  const shareOf = (rates: readonly number[]): number[] =>
    rates.map((rate, bin) => {
      const all = traffic.demand[bin] ?? 0;
      return all === 0 ? 0 : rate / all;
    });
  const nowhere = shareOf(traffic.withheld);
  const worst = Math.max(0, ...shareOf(traffic.errors));
  return coursePicture({
    title: `${scenario}, simulated (seed ${report.seed})`,
    description: `${description?.trim() ?? scenario}: shares of the load by place over ${timeText(report.durationSeconds)}; at most ${(worst * 100).toFixed(1)} % of requests fail at a time.`,
    seconds,
    places: drawnPlaces(report.places),
    nowhere,
    failed: [
      { name: "errors", shares: shareOf(traffic.errors) },
      { name: "no endpoint", shares: nowhere },
    ],
    marks: marksOf(report),
  });
}

/** The whole page. */
export function simulatedPage(report: SimulationReport): string {
  const { scenario, description, totals, unit } = report;
  const share = (part: number): string =>
    totals.demand === 0 ? "" : ` (${((part * 100) / totals.demand).toPrecision(3)} %)`;
  const facts = [
    ["seed", String(report.seed)],
    ["length", timeText(report.durationSeconds)],
    ["requests", String(Math.round(totals.demand))],
    ["failed", `${Math.round(totals.errors)}${share(totals.errors)}`],
    ["without an endpoint", `${Math.round(totals.withheld)}${share(totals.withheld)}`],
    ["tried again", String(Math.round(totals.retries))],
    ["endpoints beyond capacity", `${totals.overloadSeconds} s, all told`],
    ["verdicts that changed", String(totals.verdictChanges)],
    ["turns of a site's load", String(totals.turns)],
    ["caches, one by one", String(report.caches)],
  ];
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="color-scheme" content="light dark">
<title>${escaped(scenario)}, simulated</title>
<style>
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 920px; }
table { border-collapse: collapse; margin: 1rem 0; }
td, th { border-bottom: 1px solid #8886; padding: .2rem .8rem .2rem 0; text-align: left; vertical-align: top; }
.missed { color: light-dark(#b00020, #ff7a7a); font-weight: 600; }
</style>
<h1>${escaped(scenario)}, simulated</h1>
<p>${escaped(description?.trim() ?? "")}</p>
${simulatedPicture(report)}
<h2>What was expected</h2>
${table(
  ["expectation", "found", ""],
  report.expectations.map(({ text, found, isMet }) => [
    text,
    found,
    isMet ? "met" : { missed: "missed" },
  ]),
)}
<h2>What happened</h2>
${table(
  ["at", "event", "found out after", "left after", "errors over after", "requests lost"],
  report.events.map(({ atSeconds, text, outcome, why }, index) => {
    const recovery = report.recoveries.find(({ event }) => event === index);
    return [
      timeText(atSeconds),
      outcome === "done" ? text : { missed: `${text}: refused: ${why.join("; ")}` },
      lengthText(recovery?.detectedSeconds),
      lengthText(recovery?.drainedSeconds),
      recovery === undefined
        ? ""
        : recovery.recoveredSeconds === undefined
          ? { missed: "not over" }
          : lengthText(recovery.recoveredSeconds),
      recovery === undefined ? "" : String(Math.round(recovery.lost)),
    ];
  }),
)}
<h2>Places</h2>
${table(
  ["place", "share: mean", "least", "most", `capacity, ${unit}`, "asked at most", "beyond it"],
  report.places.map((place) => placeCells(place)),
)}
<h2>All told</h2>
${table(["", ""], facts)}
</html>
`;
}

/** What tables say of a place, everywhere alike. */
export function placeCells({
  target,
  share,
  capacity,
  offered,
  overloadSeconds,
}: SimulatedPlace): string[] {
  const percent = (value: number): string => `${Number((value * 100).toFixed(1))} %`;
  const mean = share.reduce((sum, each) => sum + each, 0) / Math.max(1, share.length);
  const [least, most] = [Math.min(...share), Math.max(...share)];
  return [
    target,
    ...[mean, least, most].map(percent),
    capacity === undefined ? "" : String(Math.round(capacity)),
    String(Math.round(Math.max(0, ...offered))),
    overloadSeconds === 0 ? "" : `${Number(overloadSeconds.toFixed(1))} s`,
  ];
}

/** Places that all load is spread over, each part of it once: sites, or pools where sites lie in one another. */
function drawnPlaces(places: readonly SimulatedPlace[]): DrawnPlace[] {
  const elsewhere = places.filter(({ target }) => target.startsWith("name/"));
  const of = (kind: string): SimulatedPlace[] =>
    places.filter(({ target }) => target.startsWith(`${kind}/`));
  const endpoints = of("endpoint");
  const total = sumOf(endpoints);
  const isWhole = (some: readonly SimulatedPlace[]): boolean =>
    Math.abs(sumOf(some) - total) <= SUM_ERROR * Math.max(1, total);
  const chosen = [of("site"), of("pool")].find(isWhole) ?? endpoints;
  const all = [...chosen, ...elsewhere].map((place) => drawn(place));
  if (all.length <= PLACES_MAX) return all;
  const byLoad = all.toSorted((a, b) => sharesSum(b) - sharesSum(a));
  const kept = new Set(byLoad.slice(0, PLACES_MAX - 1));
  const others = all.filter((place) => !kept.has(place));
  const shares = (all[0]?.shares ?? []).map((_share, bin) =>
    others.reduce((sum, place) => sum + (place.shares[bin] ?? 0), 0),
  );
  return [...all.filter((place) => kept.has(place)), { name: `${others.length} others`, shares }];
}

function drawn({ target, share, capacity, offered }: SimulatedPlace): DrawnPlace {
  const shown = { name: target, shares: share };
  if (capacity === undefined || capacity === 0) return shown;
  return { ...shown, uses: offered.map((rate) => rate / capacity) };
}

function sumOf(places: readonly SimulatedPlace[]): number {
  return places.reduce((sum, { share }) => sum + sharesSum({ shares: share }), 0);
}

function sharesSum({ shares }: Pick<DrawnPlace, "shares">): number {
  return shares.reduce((sum, share) => sum + share, 0);
}

/** Events, and the first things that Meridian saw of them and did. */
function marksOf({ events, transitions, changes }: SimulationReport): DrawnMark[] {
  const happened = events.map(({ atSeconds, kind, text, outcome }): DrawnMark => ({
    atSeconds,
    text: outcome === "done" ? text : `${text}: refused`,
    kind: operatorKinds.has(kind) ? "operator" : "world",
  }));
  const seen = verdictRuns(transitions).map((some): DrawnMark => {
    const named = some.slice(0, NAMED_MAX).map(({ endpoint }) => endpoint);
    const more = some.length - named.length;
    const who = `${named.join(", ")}${more > 0 ? ` and ${more} more` : ""}`;
    const [first] = some;
    return {
      atSeconds: first?.atSeconds ?? 0,
      text: `${who}: ${first?.verdict ?? ""}`,
      kind: "meridian",
    };
  });
  const moved = changes
    .filter(({ cause }) => cause === "latch")
    .map(({ atSeconds, text }): DrawnMark => ({ atSeconds, text, kind: "meridian" }));
  const own = [...seen, ...moved].toSorted((a, b) => a.atSeconds - b.atSeconds);
  return [...happened, ...own.slice(0, OWN_MARKS_MAX)];
}

/** Verdicts alike that come within seconds of one another. */
function verdictRuns(transitions: readonly SimulatedTransition[]): SimulatedTransition[][] {
  const runs: SimulatedTransition[][] = [];
  const open = new Map<string, SimulatedTransition[]>();
  for (const transition of transitions) {
    const run = open.get(transition.verdict);
    const isLate = transition.atSeconds - (run?.[0]?.atSeconds ?? -Infinity) > RUN_SECONDS;
    if (run !== undefined && !isLate) run.push(transition);
    else {
      const begun = [transition];
      runs.push(begun);
      open.set(transition.verdict, begun);
    }
  }
  return runs;
}

function lengthText(seconds: number | undefined): string {
  return seconds === undefined ? "" : timeText(seconds);
}

type Cell = string | { readonly missed: string };

function table(heads: readonly string[], rows: readonly (readonly Cell[])[]): string {
  if (rows.length === 0) return "<p>Nothing.</p>";
  const cell = (content: Cell): string =>
    typeof content === "string"
      ? `<td>${escaped(content)}</td>`
      : `<td class="missed">${escaped(content.missed)}</td>`;
  const head = heads.some((each) => each !== "")
    ? `<tr>${heads.map((each) => `<th>${escaped(each)}</th>`).join("")}</tr>\n`
    : "";
  const lines = rows.map((cells) => `<tr>${cells.map(cell).join("")}</tr>`);
  return `<table>\n${head}${lines.join("\n")}\n</table>`;
}
