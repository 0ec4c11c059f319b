// SPDX-License-Identifier: Apache-2.0

// What pictures of reports have in common: colours, words, and a look for light and for dark paper.

/** Colours that colour-blind people tell apart, on light and on dark. */
export const placeColours: readonly string[] = [
  ...["#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#8c7ae6"],
];
/** What is no place. */
export const NOWHERE_COLOUR = "#888888";

/** Paper, ink, grids, axes and words of two sizes; viewers choose light or dark. */
const look = `.paper{fill:#fff}.ink,text{fill:#222}.grid{stroke:#ddd}.axis{stroke:#888;fill:none}.mark{stroke:#555;stroke-dasharray:3 3}.bound{stroke:#b00020;stroke-dasharray:6 3}
text{font:12px system-ui,sans-serif}.title{font-size:16px;font-weight:600}.head{font-size:13px;font-weight:600}.small{font-size:11px}.number{font-size:10px;font-weight:600;text-anchor:middle}
.over{fill:#b00020;font-weight:600}.world{fill:#b00020}.operator{fill:#0b5394}.meridian{fill:#3d7a37}.on{fill:#fff}
@media (prefers-color-scheme:dark){.paper{fill:#14181d}.ink,text{fill:#e6e6e6}.grid{stroke:#39404a}.axis,.mark{stroke:#9aa3ad}.bound{stroke:#ff7a7a}.over,.world{fill:#ff7a7a}.operator{fill:#7ab8ff}.meridian{fill:#7fd07a}.on{fill:#14181d}}`;

export interface Picture {
  readonly title: string;
  /** What it shows, for those who do not see it. */
  readonly description: string;
  readonly width: number;
  readonly height: number;
  readonly parts: readonly string[];
}

/** A whole picture as an SVG document. */
export function drawPicture({ title, description, width, height, parts }: Picture): string {
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img" aria-labelledby="picture-title picture-description">
<title id="picture-title">${escaped(title)}</title>
<desc id="picture-description">${escaped(description)}</desc>
<style>
${look}
</style>
<rect class="paper" width="100%" height="100%"/>
${parts.join("\n")}
</svg>
`;
}

/** Words of a class at a place. */
export function svgText(x: number, y: number, words: string, look: string): string {
  return `<text x="${svgNumber(x)}" y="${svgNumber(y)}" class="${look}">${escaped(words)}</text>`;
}

/** A tenth of a pixel is fine enough. */
export function svgNumber(value: number): string {
  return value.toFixed(1);
}

/** Text that means nothing but itself, in elements and attributes of SVG and HTML. */
export function escaped(words: string): string {
  return words
    .replaceAll("&", "&amp;")
    .replaceAll("<", "&lt;")
    .replaceAll(">", "&gt;")
    .replaceAll('"', "&quot;");
}
