// SPDX-License-Identifier: Apache-2.0

// What happened over time, drawn: shares of the load by place above, what each place carries of what it can below, then what failed; what was done
// to the world, and what was seen of it, as numbered marks through all of them. Written by hand as SVG, so that a picture is a pure function.

import {
  drawPicture,
  escaped,
  NOWHERE_COLOUR,
  placeColours,
  svgNumber as n,
  svgText as text,
} from "../drawing/svg.ts";

const WIDTH = 920;
const LEFT = 58;
const RIGHT = 170;
const PLOT = WIDTH - LEFT - RIGHT;
const TOP = 104;
const MARKS_TOP = 88;
const SHARES_HEIGHT = 200;
const USE_HEIGHT = 120;
const FAILED_HEIGHT = 80;
const GAP = 46;
const LIST_ROW = 18;
/** More points than this are no finer on a screen. */
const POINTS_MAX = 240;
/** Marks that are drawn; of the rest it is said how many they are. */
const MARKS_MAX = 40;
const MARK_DISTANCE_MIN = 15;
const failedColours = ["#d55e00", "#888888", "#8c7ae6", "#cc79a7"];
/** Longer names are cut at the front: what tells them apart is at the end. */
const KEY_LETTERS_MAX = 25;

/** A place over time, bin by bin. */
export interface DrawnPlace {
  readonly name: string;
  /** Share of all load that goes there. */
  readonly shares: readonly number[];
  /** How much it is asked for, of what it can when nothing is wrong; places without are not in the second plot. */
  readonly uses?: readonly number[] | undefined;
}

export interface DrawnMark {
  readonly atSeconds: number;
  readonly text: string;
  /** Done to the world, done by people, or seen by Meridian. */
  readonly kind: "world" | "operator" | "meridian";
}

export interface DrawnCourse {
  readonly title: string;
  /** What is drawn, in a sentence, for those who do not see it. */
  readonly description: string;
  /** End of each bin. */
  readonly seconds: readonly number[];
  readonly places: readonly DrawnPlace[];
  /** Share that no place was found for. */
  readonly nowhere: readonly number[];
  /** Share of all that failed, bin by bin, by why. */
  readonly failed: readonly { readonly name: string; readonly shares: readonly number[] }[];
  readonly marks: readonly DrawnMark[];
}

interface Scale {
  readonly x: (seconds: number) => number;
  readonly last: number;
}

/** The picture as an SVG document. */
export function coursePicture(course: DrawnCourse): string {
  const last = course.seconds.at(-1) ?? 1;
  const scale: Scale = { x: (seconds) => LEFT + (Math.min(seconds, last) / last) * PLOT, last };
  const places = course.places.filter(({ shares }) => shares.some((share) => share > 0));
  const colourOf = new Map(
    places.map(({ name }, index) => [
      name,
      placeColours[index % placeColours.length] ?? NOWHERE_COLOUR,
    ]),
  );
  const hasCapacity = places.some(({ uses }) => uses !== undefined);
  const useTop = TOP + SHARES_HEIGHT + GAP;
  const failedTop = hasCapacity ? useTop + USE_HEIGHT + GAP : useTop;
  const bottom = failedTop + FAILED_HEIGHT;
  const marks = course.marks.toSorted((a, b) => a.atSeconds - b.atSeconds).slice(0, MARKS_MAX);
  const more = course.marks.length - marks.length;
  const height = bottom + 44 + (marks.length + (more > 0 ? 1 : 0)) * LIST_ROW + 16;
  const parts = [
    text(20, 30, course.title, "title"),
    ...markLines(marks, scale, bottom),
    ...sharesPlot(course, places, colourOf, scale),
    ...(hasCapacity ? usePlot(course, places, colourOf, scale, useTop) : []),
    ...failedPlot(course, scale, failedTop),
    ...timeAxis(scale, bottom),
    ...markList(marks, more, bottom + 52),
  ];
  const { title, description } = course;
  return drawPicture({ title, description, width: WIDTH, height, parts });
}

/** Shares of the load, one on top of the other; what is left above them found no place. */
function sharesPlot(
  { seconds, nowhere }: DrawnCourse,
  places: readonly DrawnPlace[],
  colourOf: ReadonlyMap<string, string>,
  { x }: Scale,
): string[] {
  const rows = [
    ...places.map((place) => ({ ...place, colour: colourOf.get(place.name) ?? NOWHERE_COLOUR })),
    ...(nowhere.some((share) => share > 0)
      ? [{ name: "no answer", shares: nowhere, colour: NOWHERE_COLOUR }]
      : []),
  ];
  const y = (share: number): number => TOP + SHARES_HEIGHT * (1 - Math.min(1, share));
  let under = seconds.map(() => 0);
  let lowest = Infinity;
  const areas = rows.map(({ name, shares, colour }) => {
    const floor = under;
    under = floor.map((share, bin) => share + (shares[bin] ?? 0));
    const [from, to] = [thinned(seconds, floor, meanOf), thinned(seconds, under, meanOf)];
    const path = [
      ...to.map(({ at, value }) => `${n(x(at))} ${n(y(value))}`),
      ...from.toReversed().map(({ at, value }) => `${n(x(at))} ${n(y(value))}`),
    ].join("L");
    const end = ((floor.at(-1) ?? 0) + (under.at(-1) ?? 0)) / 2;
    // Labels go upwards, each at least a line above the one before.
    lowest = Math.min(lowest - 15, y(end) + 4);
    return `<path d="M${path}Z" fill="${colour}" fill-opacity="0.8"><title>${escaped(name)}: ${rangeText(shares)}</title></path>${keyOf(colour, lowest, `${name} ${percent(shares.at(-1) ?? 0)}`)}`;
  });
  return [
    text(LEFT, TOP - 46, "Share of the load by where it goes", "head"),
    ...gridLines(TOP, SHARES_HEIGHT, [0, 0.25, 0.5, 0.75, 1], 1),
    ...areas,
  ];
}

/** A line of the key, right of the plots. */
function keyOf(colour: string, y: number, words: string): string {
  const left = LEFT + PLOT + 10;
  const shown = words.length > KEY_LETTERS_MAX ? `…${words.slice(1 - KEY_LETTERS_MAX)}` : words;
  return `<rect x="${left}" y="${n(y - 9)}" width="10" height="10" fill="${colour}"/><text x="${left + 16}" y="${n(y)}" class="small">${escaped(shown)}</text>`;
}

/** What each place is asked for, of what it can carry. */
function usePlot(
  { seconds }: DrawnCourse,
  places: readonly DrawnPlace[],
  colourOf: ReadonlyMap<string, string>,
  { x }: Scale,
  top: number,
): string[] {
  const rows = places.flatMap(({ name, uses }) => (uses === undefined ? [] : [{ name, uses }]));
  const most = Math.max(1.2, ...rows.map(({ uses }) => maxOf(uses)));
  const upTo = Math.min(4, Math.ceil(most * 4) / 4);
  const y = (share: number): number => top + USE_HEIGHT * (1 - Math.min(share, upTo) / upTo);
  return [
    text(LEFT, top - 10, "What a place is asked for, of what it can carry", "head"),
    ...gridLines(top, USE_HEIGHT, [0, upTo / 2, upTo], upTo),
    `<line class="bound" x1="${LEFT}" x2="${LEFT + PLOT}" y1="${n(y(1))}" y2="${n(y(1))}"/>`,
    text(LEFT + PLOT + 10, y(1) + 4, "100 %: all it can", "small world"),
    ...rows.map(({ name, uses }) => {
      const title = `${name}: ${rangeText(uses)} of what it can carry`;
      return lineOf(
        thinned(seconds, uses, maxOf),
        x,
        y,
        colourOf.get(name) ?? NOWHERE_COLOUR,
        title,
      );
    }),
  ];
}

function failedPlot({ seconds, failed }: DrawnCourse, { x }: Scale, top: number): string[] {
  const most = Math.max(...failed.map(({ shares }) => maxOf(shares)), 0.01);
  const upTo = [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1].find((each) => each >= most) ?? 1;
  const y = (share: number): number => top + FAILED_HEIGHT * (1 - Math.min(share, upTo) / upTo);
  return [
    text(LEFT, top - 10, "Share of the load that fails", "head"),
    ...gridLines(top, FAILED_HEIGHT, [0, upTo / 2, upTo], upTo),
    ...failed.map(({ name, shares }, index) => {
      const colour = failedColours[index % failedColours.length] ?? NOWHERE_COLOUR;
      const line = lineOf(
        thinned(seconds, shares, maxOf),
        ...([x, y, colour, `${name}: ${rangeText(shares)}`] as const),
      );
      return `${line}${keyOf(colour, top + 12 + index * 16, `${name} ≤ ${percent(maxOf(shares))}`)}`;
    }),
  ];
}

function lineOf(
  points: ReturnType<typeof thinned>,
  x: Scale["x"],
  y: (value: number) => number,
  colour: string,
  title: string,
): string {
  const at = points.map((point) => `${n(x(point.at))},${n(y(point.value))}`).join(" ");
  return `<polyline fill="none" stroke="${colour}" stroke-width="1.8" points="${at}"><title>${escaped(title)}</title></polyline>`;
}

function gridLines(top: number, height: number, values: readonly number[], upTo: number): string[] {
  return values.map((value) => {
    const y = n(top + height * (1 - value / upTo));
    return `<line class="grid" x1="${LEFT}" x2="${LEFT + PLOT}" y1="${y}" y2="${y}"/><text x="${LEFT - 6}" y="${n(Number(y) + 4)}" class="small" text-anchor="end">${percent(value)}</text>`;
  });
}

function timeAxis({ x, last }: Scale, bottom: number): string[] {
  const step = tickSeconds(last);
  const ticks = Array.from({ length: Math.floor(last / step) + 1 }, (_, index) => index * step);
  return [
    `<line class="axis" x1="${LEFT}" x2="${LEFT + PLOT}" y1="${bottom}" y2="${bottom}"/>`,
    ...ticks.map(
      (seconds) =>
        `<line class="axis" x1="${n(x(seconds))}" x2="${n(x(seconds))}" y1="${bottom}" y2="${bottom + 4}"/><text x="${n(x(seconds))}" y="${bottom + 18}" class="small" text-anchor="middle">${timeText(seconds)}</text>`,
    ),
  ];
}

/** Round times that split a length in at most eight. */
function tickSeconds(last: number): number {
  const round = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14_400, 43_200];
  return round.find((step) => last / step <= 8) ?? 86_400;
}

/** A dashed line through all plots, and its number above them; numbers that would touch go to a second line. */
function markLines(marks: readonly DrawnMark[], { x }: Scale, bottom: number): string[] {
  const lastAt = [-Infinity, -Infinity];
  return marks.map(({ atSeconds, kind, text: what }, index) => {
    const at = x(atSeconds);
    const row = lastAt.findIndex((before) => at - before >= MARK_DISTANCE_MIN);
    const line = Math.max(0, row);
    lastAt[line] = at;
    const y = MARKS_TOP + line * -15;
    return `<g><title>${escaped(what)}</title><line class="mark" x1="${n(at)}" x2="${n(at)}" y1="${y + 7}" y2="${bottom}"/><circle class="${kind}" cx="${n(at)}" cy="${y}" r="7"/><text class="number on" x="${n(at)}" y="${y + 3.5}">${index + 1}</text></g>`;
  });
}

function markList(marks: readonly DrawnMark[], more: number, top: number): string[] {
  const lines = marks.map(({ atSeconds, text: what, kind }, index) => {
    const y = top + index * LIST_ROW;
    return `<circle class="${kind}" cx="${LEFT}" cy="${y - 4}" r="7"/><text class="number on" x="${LEFT}" y="${y - 0.5}">${index + 1}</text><text x="${LEFT + 16}" y="${y}">${escaped(`${timeText(atSeconds)}  ${what}`)}</text>`;
  });
  if (more > 0)
    lines.push(text(LEFT + 16, top + marks.length * LIST_ROW, `and ${more} more`, "small"));
  return lines;
}

/** Few enough points, each in the middle of what it stands for. */
function thinned(
  seconds: readonly number[],
  values: readonly number[],
  fold: (some: readonly number[]) => number,
): { readonly at: number; readonly value: number }[] {
  const width = Math.ceil(values.length / POINTS_MAX);
  return Array.from({ length: Math.ceil(values.length / width) }, (_, point) => {
    const from = point * width;
    const to = Math.min(values.length, from + width);
    const begin = from === 0 ? 0 : (seconds[from - 1] ?? 0);
    return { at: (begin + (seconds[to - 1] ?? 0)) / 2, value: fold(values.slice(from, to)) };
  });
}

function meanOf(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / Math.max(1, values.length);
}

function maxOf(values: readonly number[]): number {
  return values.reduce((most, value) => Math.max(most, value), 0);
}

function rangeText(shares: readonly number[]): string {
  const least = shares.reduce((min, share) => Math.min(min, share), Infinity);
  return `${percent(Number.isFinite(least) ? least : 0)} to ${percent(maxOf(shares))}`;
}

function percent(share: number): string {
  return `${Number((share * 100).toFixed(share < 0.1 ? 1 : 0))} %`;
}

/** `45 s`, `2:30` or `1:05:00`. */
export function timeText(seconds: number): string {
  if (seconds < 60) return `${Number(seconds.toFixed(seconds < 10 ? 1 : 0))} s`;
  const whole = Math.round(seconds);
  const [hours, minutes, rest] = [
    Math.floor(whole / 3600),
    Math.floor(whole / 60) % 60,
    whole % 60,
  ];
  const tail = String(rest).padStart(2, "0");
  return hours > 0 ? `${hours}:${String(minutes).padStart(2, "0")}:${tail}` : `${minutes}:${tail}`;
}
