// SPDX-License-Identifier: Apache-2.0
import type { ScenarioResult } from "./results.ts";
import { formatResult } from "./table.ts";

const BEGIN = "<!-- bench:begin -->";
const END = "<!-- bench:end -->";

/** The newest results as Markdown: machine and settings, then a table and a link to plot and rounds for each scenario. */
export function formatReport(
  found: readonly { readonly file: string; readonly result: ScenarioResult }[],
): string {
  if (found.length === 0) return "No benchmark has been run yet: `npm run bench:dns`.";
  return found
    .map(({ file, result }) => {
      const { machine, settings } = result;
      const plot = result.servers.length > 0 ? `, [plot](bench/results/${file}.svg)` : "";
      return [
        `**${result.title}** (${settings.rounds} rounds of ${settings.seconds} s; ` +
          `${machine.cpu}, ${machine.cores} cores, Linux ${machine.kernel.split(" ")[0] ?? ""}, dnsperf ${machine.dnsperf};\n` +
          `[every round](bench/results/${file}.json)${plot})`,
        formatResult(result),
      ].join("\n\n");
    })
    .join("\n\n");
}

/** The text with another section between the markers; undefined where the markers are not there in order. */
export function replaceSection(text: string, section: string): string | undefined {
  const begin = text.indexOf(BEGIN);
  const end = text.indexOf(END);
  if (begin < 0 || end < begin) return undefined;
  return `${text.slice(0, begin + BEGIN.length)}\n\n${section}\n\n${text.slice(end)}`;
}
