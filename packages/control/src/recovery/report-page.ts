// SPDX-License-Identifier: Apache-2.0

// The report of a run as a page of its own: no script, nothing that is loaded. The timeline is drawn: what recovery time was spent on above, the
// steps below.

import type { RecoveryReport } from "./run-report.ts";

const WIDTH = 920;
const LEFT = 190;
const ROW = 24;
const colours: Readonly<Record<string, string>> = {
  detection: "#b45309",
  decision: "#7c3aed",
  propagation: "#0369a1",
  drain: "#0f766e",
  health: "#15803d",
  done: "#2563eb",
  undone: "#64748b",
  failed: "#b91c1c",
  running: "#d97706",
  undoing: "#d97706",
};

/** As of other drawings: of a page, or of a file of its own, on paper of either kind. */
const TIMELINE_STYLE =
  ".timeline text{fill:#222}.timeline .quiet{fill:#555}.timeline .grid{stroke:#ddd}" +
  "@media (prefers-color-scheme:dark){.timeline text{fill:#e6e6e6}.timeline .quiet{fill:#9aa3ad}.timeline .grid{stroke:#39404a}}";

interface Bar {
  readonly label: string;
  readonly fromMs: number;
  readonly toMs: number;
  readonly colour: string;
  readonly note: string;
}

/** The whole page. `nowMs` ends what is still under way. */
export function renderReportPage(report: RecoveryReport, nowMs: number): string {
  const { name, state, mode, actor, reason, recoveryMs, objectiveMs, isMet } = report;
  const verdict =
    recoveryMs === undefined
      ? "not measured"
      : `${lengthText(recoveryMs)}${objectiveMs === undefined ? "" : ` (objective ${lengthText(objectiveMs)}: ${isMet === true ? "met" : "missed"})`}`;
  const rows = [
    ["state", `${state}${report.isRollingBack ? ", rolling back" : ""}`],
    ["kind of run", mode],
    ["begun by", report.trigger === undefined ? actor : `${actor} (trigger ${report.trigger})`],
    ["reason", reason],
    ["since", new Date(report.sinceMs).toISOString()],
    ["recovery time", verdict],
    ["names", report.names.join(", ") || "none named: kept answers are not counted"],
  ] as const;
  const phases = report.phases.map((phase) => [phase.name, lengthText(phase.toMs - phase.fromMs)]);
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="color-scheme" content="light dark">
<title>${escaped(name)}</title>
<style>
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: ${WIDTH}px; }
table { border-collapse: collapse; margin: 1rem 0; }
td, th { border-bottom: 1px solid #8886; padding: .2rem .8rem .2rem 0; text-align: left; vertical-align: top; }
</style>
<h1>Recovery run ${escaped(name)}</h1>
${table(rows)}
${timelineSvg(report, nowMs)}
<h2>Where the time went</h2>
${table(phases)}
<h2>Steps</h2>
${table(
  report.steps.map(({ name: step, kind, state: each, tries, detail, canBeUndone }) => [
    step,
    `${kind}${canBeUndone ? "" : ", cannot be undone"}`,
    `${each}${tries > 1 ? `, ${tries} tries` : ""}`,
    detail,
  ]),
)}
<h2>What people did</h2>
${table(
  report.events.map(({ atMs, actor: who, what, step, reason: why }) => [
    new Date(atMs).toISOString(),
    who,
    `${what} ${step ?? ""}`,
    why,
  ]),
)}
</html>
`;
}

/** The timeline alone. */
export function timelineSvg(report: RecoveryReport, nowMs: number): string {
  const bars = barsOf(report, nowMs);
  const fromMs = Math.min(...bars.map((bar) => bar.fromMs));
  const toMs = Math.max(fromMs + 1, ...bars.map((bar) => bar.toMs));
  const x = (atMs: number): number =>
    LEFT + ((atMs - fromMs) / (toMs - fromMs)) * (WIDTH - LEFT - 80);
  const height = bars.length * ROW + 40;
  const lines = bars.map(({ label, colour, note, ...bar }, index) => {
    const y = 10 + index * ROW;
    const width = Math.max(2, x(bar.toMs) - x(bar.fromMs));
    return `<text x="${LEFT - 8}" y="${y + 13}" text-anchor="end">${escaped(label)}</text><rect x="${x(bar.fromMs).toFixed(1)}" y="${y + 2}" width="${width.toFixed(1)}" height="${ROW - 8}" rx="2" fill="${colour}"><title>${escaped(note)}</title></rect><text x="${(x(bar.fromMs) + width + 4).toFixed(1)}" y="${y + 13}" class="quiet">${lengthText(bar.toMs - bar.fromMs)}</text>`;
  });
  const axis = ticks(toMs - fromMs).map((atMs) => {
    const at = x(fromMs + atMs).toFixed(1);
    return `<line x1="${at}" x2="${at}" y1="4" y2="${height - 24}" class="grid"/><text x="${at}" y="${height - 8}" text-anchor="middle" class="quiet">${lengthText(atMs)}</text>`;
  });
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}" font-family="system-ui, sans-serif" font-size="12" role="img" aria-label="Timeline of the run" class="timeline">
<style>${TIMELINE_STYLE}</style>
${[...axis, ...lines].join("\n")}
</svg>`;
}

function barsOf({ phases, steps, sinceMs }: RecoveryReport, nowMs: number): Bar[] {
  const bars = [
    ...phases.map(({ name, ...times }): Bar => ({
      label: name,
      ...times,
      colour: colours[name] ?? "#64748b",
      note: name,
    })),
    ...steps.flatMap(({ name, kind, state, startedAtMs, endedAtMs, detail }): Bar[] =>
      startedAtMs === undefined
        ? []
        : [
            {
              label: name,
              fromMs: startedAtMs,
              toMs: endedAtMs ?? nowMs,
              colour: colours[state] ?? "#64748b",
              note: `${kind}, ${state}: ${detail}`,
            },
          ],
    ),
  ];
  return bars.length > 0
    ? bars
    : [{ label: "since", fromMs: sinceMs, toMs: nowMs, colour: "#64748b", note: "" }];
}

/** Round times that split a length in about six. */
function ticks(lengthMs: number): number[] {
  const rough = lengthMs / 6;
  const size = 10 ** Math.floor(Math.log10(Math.max(1, rough)));
  const step = ([1, 2, 5, 10].find((each) => each * size >= rough) ?? 10) * size;
  return Array.from({ length: Math.floor(lengthMs / step) + 1 }, (_, index) => index * step);
}

function lengthText(ms: number): string {
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 120_000) return `${(ms / 1000).toFixed(ms < 10_000 ? 2 : 1)} s`;
  return `${(ms / 60_000).toFixed(1)} min`;
}

function table(rows: readonly (readonly string[])[]): string {
  const lines = rows.map(
    (row) => `<tr>${row.map((cell) => `<td>${escaped(cell)}</td>`).join("")}</tr>`,
  );
  return rows.length === 0 ? "<p>None.</p>" : `<table>\n${lines.join("\n")}\n</table>`;
}

function escaped(text: string): string {
  return text
    .replaceAll("&", "&amp;")
    .replaceAll("<", "&lt;")
    .replaceAll(">", "&gt;")
    .replaceAll('"', "&quot;");
}
