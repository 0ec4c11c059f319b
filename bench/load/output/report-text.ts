// SPDX-License-Identifier: Apache-2.0
import { budgetsOf } from "./budgets.ts";
import type { ScenarioResult } from "./results.ts";
import { formatResult, markdownTable } from "./table.ts";

const BEGIN = "<!-- bench:begin -->";
const END = "<!-- bench:end -->";

/** A result and the name of its file without the ending. */
export interface FoundResult {
  readonly file: string;
  readonly result: ScenarioResult;
}

/** The newest results as Markdown: the overview, what was promised and found, then a table and a plot for each scenario. */
export function formatReport(found: readonly FoundResult[]): string {
  if (found.length === 0) return "No benchmark has been run yet: `npm run bench:dns`.";
  const hasOverview = found.some(({ result }) => result.servers.length > 0);
  return [
    ...(hasOverview
      ? [
          "![CPU time a query of Meridian, gdnsd and Knot in every scenario](bench/results/overview.svg)",
        ]
      : []),
    budgetTable(found.map(({ result }) => result)),
    ...found.map(scenarioText),
  ].join("\n\n");
}

function budgetTable(results: readonly ScenarioResult[]): string {
  const rows = budgetsOf(results).map(({ goal, bound, found, verdict }) => [
    goal,
    bound,
    found,
    verdict,
  ]);
  return markdownTable(["goal", "bound", "found", "verdict"], rows);
}

function scenarioText({ file, result }: FoundResult): string {
  const { machine, settings, title, date } = result;
  const load =
    machine.loadAverage === undefined ? "" : `, load average ${machine.loadAverage.toFixed(1)}`;
  return [
    `**${title}** (${madeBy(result)}${date.slice(0, 10)};\n` +
      `${machine.cpu}, ${machine.cores} cores${load}, Linux ${machine.kernel.split(" ")[0] ?? ""}, dnsperf ${machine.dnsperf};\n` +
      `[every round](bench/results/${file}.json), [plot](bench/results/${file}.svg)${settings.isQuick ? ", a quick run that shows nothing but that it works" : ""})`,
    formatResult(result),
  ].join("\n\n");
}

/** Rounds mean something only where servers take turns. */
function madeBy({ servers, settings }: ScenarioResult): string {
  return servers.length === 0 ? "" : `${settings.rounds} rounds of ${settings.seconds} s, `;
}

/** The text with another section between the markers; undefined where the markers are not there in order. */
export function replaceSection(text: string, section: string): string | undefined {
  const begin = text.indexOf(BEGIN);
  const end = text.indexOf(END);
  if (begin < 0 || end < begin) return undefined;
  return `${text.slice(0, begin + BEGIN.length)}\n\n${section}\n\n${text.slice(end)}`;
}
