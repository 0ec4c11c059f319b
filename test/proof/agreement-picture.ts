// SPDX-License-Identifier: Apache-2.0

// Shares as they were measured, with their interval, and as they were foretold.

import type { Measured, MeasuredRegion } from "./demo-agreement.ts";

const WIDTH = 920;
const LEFT = 58;
const PLOT = 740;
const HEIGHT = 200;
const GAP = 70;
const TOP = 84;
const colours = ["#0072b2", "#e69f00", "#009e73"];

export function agreementPicture({ names, steps, stepSeconds }: Measured): string {
  const last = steps.length * stepSeconds;
  const x = (second: number): string => (LEFT + (second / last) * PLOT).toFixed(1);
  const panels = names.flatMap(({ name, regions }, at) => {
    const top = TOP + at * (HEIGHT + GAP);
    const y = (share: number): string => (top + HEIGHT * (1 - Math.min(1, share))).toFixed(1);
    return [
      `<text x="${LEFT}" y="${top - 26}" class="head">${name}: share of clients by region</text>`,
      ...[0, 0.25, 0.5, 0.75, 1].map(
        (share) =>
          `<line class="grid" x1="${LEFT}" x2="${LEFT + PLOT}" y1="${y(share)}" y2="${y(share)}"/><text x="${LEFT - 6}" y="${Number(y(share)) + 4}" text-anchor="end">${share * 100} %</text>`,
      ),
      ...steps.map((what, step) => {
        const from = step * stepSeconds;
        return `<line class="mark" x1="${x(from)}" x2="${x(from)}" y1="${top - 16}" y2="${top + HEIGHT}"/><text x="${Number(x(from)) + 4}" y="${top - 8}">${from} s: ${what}</text>`;
      }),
      ...regions.flatMap((region, index) => lines(region, colours[index] ?? "#888888", x, y)),
      ...regions.map(
        ({ region }, index) =>
          `<rect x="${LEFT + PLOT + 12}" y="${top + 10 + index * 18}" width="10" height="10" fill="${colours[index] ?? "#888888"}"/><text x="${LEFT + PLOT + 28}" y="${top + 19 + index * 18}">${region}</text>`,
      ),
    ];
  });
  const height = TOP + names.length * (HEIGHT + GAP);
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}" role="img" aria-labelledby="t">
<title id="t">The demo as measured through real resolvers, and as simulated</title>
<style>
.paper{fill:#fff}text{font:12px system-ui,sans-serif;fill:#222}.title{font-size:16px;font-weight:600}.head{font-size:13px;font-weight:600}.grid{stroke:#ddd}.mark{stroke:#555;stroke-dasharray:3 3}
@media (prefers-color-scheme:dark){.paper{fill:#14181d}text{fill:#e6e6e6}.grid{stroke:#39404a}.mark{stroke:#9aa3ad}}
</style>
<rect class="paper" width="100%" height="100%"/>
<text x="20" y="30" class="title">The demo: measured through real resolvers (band: 95 % interval), simulated (dashed)</text>
${panels.join("\n")}
</svg>
`;
}

function lines(
  { share, error, foretold }: MeasuredRegion,
  colour: string,
  x: (second: number) => string,
  y: (share: number) => string,
): string[] {
  const at = (values: readonly number[]): string[] =>
    values.map((value, second) => `${x(second + 0.5)},${y(Math.max(0, value))}`);
  const low = at(share.map((value, second) => value - (error[second] ?? 0)));
  const high = at(share.map((value, second) => value + (error[second] ?? 0)));
  return [
    `<polygon points="${[...high, ...low.toReversed()].join(" ")}" fill="${colour}" fill-opacity="0.25"/>`,
    `<polyline points="${at(share).join(" ")}" fill="none" stroke="${colour}" stroke-width="1.6"/>`,
    `<polyline points="${at(foretold ?? []).join(" ")}" fill="none" stroke="${colour}" stroke-width="1.6" stroke-dasharray="4 3"/>`,
  ];
}
