// SPDX-License-Identifier: Apache-2.0
import { spread } from "../measure/statistics.ts";
import type { ScenarioResult, ServerResult } from "./results.ts";

// One bar a server: CPU time a query, user and system stacked at their medians, with a whisker from the least to the greatest
// round. Written by hand as SVG, so that a plot is a pure function of a result.

const WIDTH = 760;
const LEFT = 230;
const RIGHT = 70;
const TOP = 58;
const ROW = 30;
const BAR = 16;
const BOTTOM = 46;

interface Bar {
  readonly label: string;
  readonly user: number;
  readonly total: number;
  readonly min: number;
  readonly max: number;
}

/** The plot of a throughput scenario; undefined where there is nothing to plot. */
export function plotCpu(result: ScenarioResult): string | undefined {
  const bars = result.servers.flatMap((server) => barOf(server));
  if (bars.length === 0) return undefined;
  const step = tickStep(Math.max(...bars.map((bar) => bar.max)));
  const most = step * Math.ceil(Math.max(...bars.map((bar) => bar.max)) / step);
  const x = (value: number): number => LEFT + (value / most) * (WIDTH - LEFT - RIGHT);
  const height = TOP + bars.length * ROW + BOTTOM;
  const bottom = TOP + bars.length * ROW;
  const ticks = Array.from({ length: Math.round(most / step) + 1 }, (_, index) => index * step);
  const { cpu, kernel, cores } = result.machine;
  const { rounds, seconds } = result.settings;
  const lines = [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" font-family="system-ui, sans-serif" font-size="12">`,
    `<rect width="${WIDTH}" height="${height}" fill="#ffffff"/>`,
    text(12, 22, `CPU time a query: ${result.title}`, 'font-size="15" font-weight="600"'),
    text(
      12,
      40,
      `Median of ${rounds} × ${seconds} s, whiskers least to greatest. Dark: user, light: system.`,
      'fill="#555555"',
    ),
    ...ticks.flatMap((value) => [
      `<line x1="${round(x(value))}" y1="${TOP - 4}" x2="${round(x(value))}" y2="${bottom}" stroke="#dddddd"/>`,
      text(x(value), bottom + 16, `${round(value)}`, 'text-anchor="middle" fill="#555555"'),
    ]),
    ...bars.flatMap((bar, index) => barLines(bar, TOP + index * ROW, x)),
    text(WIDTH - RIGHT, bottom + 16, "µs", 'dx="34" text-anchor="middle" fill="#555555"'),
    text(
      12,
      height - 10,
      `${cpu}, ${cores} cores, Linux ${kernel.split(" ")[0] ?? ""}, ${result.date.slice(0, 10)}`,
      'fill="#777777" font-size="11"',
    ),
    "</svg>",
  ];
  return `${lines.join("\n")}\n`;
}

/** A round distance between ticks that gives four to ten of them. */
export function tickStep(most: number): number {
  const power = 10 ** Math.floor(Math.log10(most / 4));
  const step = [1, 2, 2.5, 5, 10].find((each) => most / (each * power) <= 8) ?? 10;
  return step * power;
}

function barOf(server: ServerResult): readonly Bar[] {
  const total = spread(server.turns.map((turn) => turn.saturated.cpu));
  const user = spread(server.turns.map((turn) => turn.saturated.cpuUser));
  if (total === undefined || user === undefined) return [];
  return [
    { label: server.label, user: user.median, total: total.median, min: total.min, max: total.max },
  ];
}

function barLines(bar: Bar, top: number, x: (value: number) => number): readonly string[] {
  const y = top + (ROW - BAR) / 2;
  const middle = y + BAR / 2;
  const isOurs = bar.label.startsWith("Meridian");
  const [dark, light] = isOurs ? ["#0b5394", "#6fa8dc"] : ["#666666", "#bbbbbb"];
  const whisker = (value: number): string =>
    `<line x1="${round(x(value))}" y1="${middle - 4}" x2="${round(x(value))}" y2="${middle + 4}" stroke="#222222"/>`;
  return [
    text(LEFT - 8, middle + 4, bar.label, 'text-anchor="end"'),
    `<rect x="${LEFT}" y="${y}" width="${round(x(bar.user) - LEFT)}" height="${BAR}" fill="${dark}"/>`,
    `<rect x="${round(x(bar.user))}" y="${y}" width="${round(x(bar.total) - x(bar.user))}" height="${BAR}" fill="${light}"/>`,
    `<line x1="${round(x(bar.min))}" y1="${middle}" x2="${round(x(bar.max))}" y2="${middle}" stroke="#222222"/>`,
    whisker(bar.min),
    whisker(bar.max),
    text(x(bar.max) + 6, middle + 4, bar.total.toFixed(2), 'font-weight="600"'),
  ];
}

function text(x: number, y: number, content: string, attributes: string): string {
  return `<text x="${round(x)}" y="${round(y)}" ${attributes}>${escapeText(content)}</text>`;
}

function escapeText(content: string): string {
  return content.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}

function round(value: number): number {
  return Math.round(value * 100) / 100;
}
