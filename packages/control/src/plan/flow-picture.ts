// SPDX-License-Identifier: Apache-2.0

// The flow of load before and after a change, drawn: places on the left as they were, on the right as they will be, bands between them; below,
// how much still goes by answers from before.

import {
  drawPicture,
  escaped,
  NOWHERE_COLOUR,
  placeColours,
  svgNumber as n,
  svgText as text,
} from "../drawing/svg.ts";
import type { Flow, PlannedTraffic } from "./plan.ts";

const WIDTH = 880;
const MARGIN = 200;
const BAR = 14;
const GAP = 14;
const FLOW_HEIGHT = 320;
const COURSE_HEIGHT = 150;
const COURSE_WIDTH = WIDTH - 120;

interface Bar {
  readonly name: string;
  readonly load: number;
  readonly top: number;
  readonly height: number;
}

/** The drawing as an SVG document. */
export function flowPicture({
  flows,
  total,
  unit,
  profile,
  course,
  loads,
}: PlannedTraffic): string {
  const places = [...new Set(flows.flatMap(({ from, to }) => [from, to]))].toSorted();
  const colourOf = (name: string): string =>
    placeColours[places.indexOf(name) % placeColours.length] ?? NOWHERE_COLOUR;
  const scale = (FLOW_HEIGHT - GAP * places.length) / Math.max(total, 1e-9);
  const left = barsOf(flows, "from", places, scale);
  const right = barsOf(flows, "to", places, scale);
  const over = new Set(loads.filter(({ isOver }) => isOver).map(({ target }) => target));
  const parts = [
    text(20, 28, `Load of ${profile} (${unit}) before and after`, "title"),
    ...bands(flows, left, right, scale, colourOf),
    ...left.map((bar) => column(bar, MARGIN, colourOf(bar.name), "before", false)),
    ...right.map((bar) =>
      column(bar, WIDTH - MARGIN - BAR, colourOf(bar.name), "after", over.has(bar.name)),
    ),
    ...courseParts(course, FLOW_HEIGHT + 110),
  ];
  const height = FLOW_HEIGHT + COURSE_HEIGHT + 170;
  const moved = flows.reduce((sum, { from, to, load }) => sum + (from === to ? 0 : load), 0);
  return drawPicture({
    title: `Load of ${profile} (${unit}) before and after`,
    description: `${figure(moved)} of ${figure(total)} ${unit} go elsewhere after the change.`,
    ...{ width: WIDTH, height, parts },
  });
}

function barsOf(
  flows: readonly Flow[],
  side: "from" | "to",
  places: readonly string[],
  scale: number,
): Bar[] {
  let top = 60;
  return places.flatMap((name) => {
    const load = flows.reduce((sum, flow) => sum + (flow[side] === name ? flow.load : 0), 0);
    if (load === 0) return [];
    const bar = { name, load, top, height: Math.max(1, load * scale) };
    top += bar.height + GAP;
    return [bar];
  });
}

function bands(
  flows: readonly Flow[],
  left: readonly Bar[],
  right: readonly Bar[],
  scale: number,
  colourOf: (name: string) => string,
): string[] {
  const used = new Map<Bar, number>();
  const take = (bar: Bar, height: number): number => {
    const at = bar.top + (used.get(bar) ?? 0);
    used.set(bar, (used.get(bar) ?? 0) + height);
    return at;
  };
  const ordered = flows.toSorted((a, b) => compare(a.from, b.from) || compare(a.to, b.to));
  return ordered.flatMap(({ from, to, load }) => {
    const source = left.find(({ name }) => name === from);
    const target = right.find(({ name }) => name === to);
    if (source === undefined || target === undefined) return [];
    const height = load * scale;
    const [y1, y2] = [take(source, height), take(target, height)];
    const [x1, x2] = [MARGIN + BAR, WIDTH - MARGIN - BAR];
    const middle = (x1 + x2) / 2;
    const path = `M${x1} ${n(y1)}C${middle} ${n(y1)} ${middle} ${n(y2)} ${x2} ${n(y2)}V${n(y2 + height)}C${middle} ${n(y2 + height)} ${middle} ${n(y1 + height)} ${x1} ${n(y1 + height)}Z`;
    const opacity = from === to ? 0.25 : 0.6;
    return [
      `<path d="${path}" fill="${colourOf(from)}" fill-opacity="${opacity}"><title>${escaped(from)} → ${escaped(to)}: ${figure(load)}</title></path>`,
    ];
  });
}

function column(
  { name, load, top, height }: Bar,
  x: number,
  colour: string,
  side: "before" | "after",
  isOver: boolean,
): string {
  const at = side === "before" ? x - 8 : x + BAR + 8;
  const anchor = side === "before" ? ' text-anchor="end"' : "";
  const words = `${name} ${figure(load)}${isOver ? " over capacity" : ""}`;
  return `<rect x="${x}" y="${n(top)}" width="${BAR}" height="${n(height)}" fill="${colour}"/><text x="${at}" y="${n(top + height / 2 + 4)}"${anchor}${isOver ? ' class="over"' : ""}>${escaped(words)}</text>`;
}

/** How much goes by answers from before. */
function courseParts({ seconds, stale, drained }: PlannedTraffic["course"], top: number): string[] {
  const last = seconds.at(-1) ?? 1;
  const x = (second: number): string => n(60 + (second / last) * COURSE_WIDTH);
  const y = (share: number): string => n(top + COURSE_HEIGHT * (1 - share));
  const points = stale.map((share, bin) => `${x(seconds[bin] ?? 0)},${y(share)}`).join(" ");
  const marks = [0, last / 4, last / 2, (last * 3) / 4, last];
  const half = drained.most === undefined ? "" : `; a tenth is left after ${drained.most} s`;
  return [
    text(20, top - 22, `Share of load that goes by answers from before${half}`, "title"),
    `<polyline class="axis" points="${x(0)},${y(1)} ${x(0)},${y(0)} ${x(last)},${y(0)}"/>`,
    `<polyline fill="none" stroke="#0072b2" stroke-width="2" points="${points}"/>`,
    text(28, top + 6, "100 %", "small"),
    text(40, top + COURSE_HEIGHT + 4, "0", "small"),
    ...marks.map((second) =>
      text(Number(x(second)) - 8, top + COURSE_HEIGHT + 20, `${figure(second)} s`, "small"),
    ),
  ];
}

/** Three digits that count. */
export function figure(value: number): string {
  return value >= 1000 ? String(Math.round(value)) : String(Number(value.toPrecision(3)));
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
