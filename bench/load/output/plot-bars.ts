// SPDX-License-Identifier: Apache-2.0
import type { ScenarioResult } from "./results.ts";
import { drawFrame, LEFT, RIGHT, round, ROW, text, TOP, WIDTH } from "./svg.ts";

const BAR = 16;

/** A bar of two parts with a whisker; without figures it is the heading of those after it. */
export interface Bar {
  readonly label: string;
  readonly isOurs: boolean;
  readonly figures?: {
    /** The dark part, from 0. */
    readonly dark: number;
    readonly total: number;
    readonly min: number;
    readonly max: number;
  };
  /** What stands behind the bar, beside its total. */
  readonly note?: string;
}

/** What a plot of bars shows. */
export interface BarPlot {
  readonly title: string;
  readonly caption: string;
  readonly unit: string;
  readonly bars: readonly Bar[];
  readonly bound?: { readonly value: number; readonly text: string } | undefined;
  readonly machine: ScenarioResult["machine"];
  readonly date: string;
}

/** Horizontal bars from 0, one a row; undefined where there is nothing to plot. */
export function plotBars(plot: BarPlot): string | undefined {
  const greatest = Math.max(0, ...plot.bars.map((bar) => bar.figures?.max ?? 0));
  if (greatest === 0) return undefined;
  const step = tickStep(Math.max(greatest, plot.bound?.value ?? 0));
  const most = step * Math.ceil(Math.max(greatest, plot.bound?.value ?? 0) / step);
  const x = (value: number): number => LEFT + (value / most) * (WIDTH - LEFT - RIGHT);
  const ticks = Array.from({ length: Math.round(most / step) + 1 }, (_, index) => ({
    x: x(index * step),
    text: `${round(index * step)}`,
  }));
  const { title, caption, unit, machine, date, bound } = plot;
  return drawFrame(
    {
      ...{ title, caption, unit, machine, date, ticks, rows: plot.bars.length },
      bound: bound === undefined ? undefined : { x: x(bound.value), text: bound.text },
    },
    plot.bars.flatMap((bar, index) => barLines(bar, TOP + index * ROW, x)),
  );
}

/** A round distance between ticks that gives four to ten of them. */
export function tickStep(most: number): number {
  const power = 10 ** Math.floor(Math.log10(most / 4));
  const step = [1, 2, 2.5, 5, 10].find((each) => most / (each * power) <= 8) ?? 10;
  return step * power;
}

function barLines(bar: Bar, top: number, x: (value: number) => number): readonly string[] {
  const y = top + (ROW - BAR) / 2;
  const middle = y + BAR / 2;
  const { figures } = bar;
  if (figures === undefined) return [text(12, middle + 6, bar.label, 'font-weight="600"')];
  const [dark, light] = bar.isOurs ? ["#0b5394", "#6fa8dc"] : ["#666666", "#bbbbbb"];
  const whisker = (value: number): string =>
    `<line x1="${round(x(value))}" y1="${middle - 4}" x2="${round(x(value))}" y2="${middle + 4}" stroke="#222222"/>`;
  return [
    text(LEFT - 8, middle + 4, bar.label, 'text-anchor="end"'),
    `<rect x="${LEFT}" y="${y}" width="${round(x(figures.dark) - LEFT)}" height="${BAR}" fill="${dark}"/>`,
    `<rect x="${round(x(figures.dark))}" y="${y}" width="${round(x(figures.total) - x(figures.dark))}" height="${BAR}" fill="${light}"/>`,
    `<line x1="${round(x(figures.min))}" y1="${middle}" x2="${round(x(figures.max))}" y2="${middle}" stroke="#222222"/>`,
    whisker(figures.min),
    whisker(figures.max),
    text(
      x(figures.max) + 6,
      middle + 4,
      `${shortFigure(figures.total)}${bar.note === undefined ? "" : ` ${bar.note}`}`,
      'font-weight="600"',
    ),
  ];
}

function shortFigure(value: number): string {
  return value < 100 ? value.toFixed(2) : value.toFixed(0);
}
