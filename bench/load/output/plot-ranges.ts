// SPDX-License-Identifier: Apache-2.0
import { percentile } from "../measure/statistics.ts";
import type { ScenarioResult } from "./results.ts";
import { drawFrame, LEFT, RIGHT, round, ROW, text, TOP, WIDTH } from "./svg.ts";

const DOT = 5;
/** Room that the text behind a line may need. */
const NOTE_WIDTH = 220;

/** The times of one row, in milliseconds. */
export interface Range {
  readonly label: string;
  readonly isOurs: boolean;
  readonly times: readonly number[];
  /** What stands behind its greatest time. */
  readonly note: string;
}

/** What a plot of ranges shows. */
export interface RangePlot {
  readonly title: string;
  readonly caption: string;
  readonly ranges: readonly Range[];
  readonly boundMs?: number;
  readonly machine: ScenarioResult["machine"];
  readonly date: string;
}

/**
 * Times on a logarithmic axis, a row each: a full dot at the median, a ring at the 99th percentile, a line to the greatest. Undefined where
 * there is nothing to plot.
 */
export function plotRanges(plot: RangePlot): string | undefined {
  const all = plot.ranges.flatMap((range) => range.times).filter((time) => time > 0);
  if (all.length === 0) return undefined;
  const ends = plot.boundMs === undefined ? all : [...all, plot.boundMs];
  const first = Math.floor(Math.log10(ends.reduce((least, time) => Math.min(least, time))));
  const greatest = ends.reduce((most, time) => Math.max(most, time));
  const last = Math.max(first + 1, Math.ceil(Math.log10(greatest)));
  const x = (ms: number): number => {
    const place = (Math.log10(Math.max(ms, 10 ** first)) - first) / (last - first);
    return LEFT + place * (WIDTH - LEFT - RIGHT);
  };
  const ticks = Array.from({ length: last - first + 1 }, (_, index) => ({
    x: x(10 ** (first + index)),
    text: `${Number((10 ** (first + index)).toPrecision(1))}`,
  }));
  const { title, caption, machine, date, boundMs, ranges } = plot;
  return drawFrame(
    {
      ...{ title, caption, machine, date, ticks, rows: ranges.length, unit: "ms" },
      bound:
        boundMs === undefined
          ? undefined
          : { x: x(boundMs), text: `bound of the 99th percentile: ${boundMs} ms` },
    },
    ranges.flatMap((range, index) => rangeLines(range, TOP + index * ROW + ROW / 2, x)),
  );
}

function rangeLines(range: Range, y: number, x: (ms: number) => number): readonly string[] {
  const colour = range.isOurs ? "#0b5394" : "#666666";
  const label = text(LEFT - 8, y + 4, range.label, 'text-anchor="end"');
  const [p0, p50, p99, p100] = [0, 0.5, 0.99, 1].map((share) => percentile(range.times, share));
  if (p0 === undefined || p50 === undefined || p99 === undefined || p100 === undefined) {
    return [label, text(LEFT + 6, y + 4, `none; ${range.note}`, 'fill="#555555"')];
  }
  return [
    label,
    `<line x1="${round(x(p0))}" y1="${y}" x2="${round(x(p100))}" y2="${y}" stroke="${colour}" stroke-width="2"/>`,
    `<circle cx="${round(x(p50))}" cy="${y}" r="${DOT}" fill="${colour}"/>`,
    `<circle cx="${round(x(p99))}" cy="${y}" r="${DOT}" fill="#ffffff" stroke="${colour}" stroke-width="2"/>`,
    figureText(x(p100), y, `${shortMs(p50)} / ${shortMs(p99)}; ${range.note}`),
  ];
}

/** Behind the line, or above its end where there is no room. */
function figureText(end: number, y: number, content: string): string {
  return end + NOTE_WIDTH < WIDTH
    ? text(end + 9, y + 4, content, 'font-size="11"')
    : text(WIDTH - 12, y - 8, content, 'font-size="11" text-anchor="end"');
}

function shortMs(ms: number): string {
  return ms < 10 ? ms.toPrecision(2) : ms.toFixed(0);
}
