// SPDX-License-Identifier: Apache-2.0
import type { ScenarioResult } from "./results.ts";

// What plots have in common. Written by hand as SVG, so that a plot is a pure function of a result.

/** Width of every plot. */
export const WIDTH = 760;
/** Where values begin, right of the labels. */
export const LEFT = 250;
/** Room right of the axis for figures. */
export const RIGHT = 130;
/** Height of the captions. */
export const TOP = 62;
/** Height of a row. */
export const ROW = 30;
/** Height of axis and footer. */
export const BOTTOM = 48;

/** The heads of a plot, its rows and what it was measured on. */
export interface Frame {
  readonly title: string;
  readonly caption: string;
  /** What is bound, for the legend of the dashed line; undefined where there is none. */
  readonly bound: { readonly x: number; readonly text: string } | undefined;
  readonly rows: number;
  readonly ticks: readonly { readonly x: number; readonly text: string }[];
  readonly unit: string;
  readonly machine: ScenarioResult["machine"];
  readonly date: string;
}

/** A whole plot: frame, axis and `content`. */
export function drawFrame(frame: Frame, content: readonly string[]): string {
  const bottom = TOP + frame.rows * ROW;
  const height = bottom + BOTTOM;
  const { cpu, cores, kernel } = frame.machine;
  const lines = [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" font-family="system-ui, sans-serif" font-size="12">`,
    `<rect width="${WIDTH}" height="${height}" fill="#ffffff"/>`,
    text(12, 22, frame.title, 'font-size="15" font-weight="600"'),
    text(12, 40, frame.caption, 'fill="#555555"'),
    ...frame.ticks.flatMap(({ x, text: label }) => [
      `<line x1="${round(x)}" y1="${TOP - 4}" x2="${round(x)}" y2="${bottom}" stroke="#dddddd"/>`,
      text(x, bottom + 16, label, 'text-anchor="middle" fill="#555555"'),
    ]),
    text(WIDTH - RIGHT, bottom + 16, frame.unit, 'dx="44" text-anchor="middle" fill="#555555"'),
    ...content,
    ...boundLines(frame, bottom),
    text(
      12,
      height - 10,
      `${cpu}, ${cores} cores, Linux ${kernel.split(" ")[0] ?? ""}, ${frame.date.slice(0, 10)}`,
      'fill="#777777" font-size="11"',
    ),
    "</svg>",
  ];
  return `${lines.join("\n")}\n`;
}

function boundLines({ bound }: Frame, bottom: number): readonly string[] {
  if (bound === undefined) return [];
  const x = round(bound.x);
  const anchor = bound.x > WIDTH / 2 ? "end" : "start";
  return [
    `<line x1="${x}" y1="${TOP - 4}" x2="${x}" y2="${bottom}" stroke="#cc0000" stroke-dasharray="4 3"/>`,
    text(bound.x, TOP - 8, bound.text, `text-anchor="${anchor}" fill="#cc0000" font-size="11"`),
  ];
}

/** A text element; its content is escaped. */
export function text(x: number, y: number, content: string, attributes: string): string {
  return `<text x="${round(x)}" y="${round(y)}" ${attributes}>${escapeText(content)}</text>`;
}

/** Two decimals are finer than a pixel. */
export function round(value: number): number {
  return Math.round(value * 100) / 100;
}

function escapeText(content: string): string {
  return content.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}
