// SPDX-License-Identifier: Apache-2.0

// The command that plays scenarios: a part of the table in commands.ts.

import type { CommandDefinition } from "./command.ts";
import { output } from "./document-commands.ts";

/** In the order of the help. */
export const simulateCommands: readonly CommandDefinition[] = [
  {
    name: "simulate",
    summary:
      "Play a scenario faster than life, without a server: failures, clients, operators; 1 where it does not go as it expects.",
    arguments: [
      {
        name: "[SCENARIO]",
        summary: "File or folder with a Scenario and its documents, or the name of one of --list.",
      },
    ],
    options: [
      { flags: "--list", summary: "List the scenarios that come with Meridian." },
      {
        flags: "-f, --file <PATH...>",
        summary: "Documents to play it with, instead of those beside it.",
      },
      {
        flags: "--seed <N>",
        summary: "What all that is random follows from; else the scenario's.",
      },
      { flags: "--svg <FILE>", summary: "Draw shares, load and errors over time." },
      { flags: "--page <FILE>", summary: "Write the report as a page of HTML." },
      output,
    ],
    examples: [
      "meridian simulate --list",
      "meridian simulate region-lost-at-peak --page report.html",
      "meridian simulate region-lost-at-peak -f documents --seed 7",
    ],
    run: async (input) => (await import("./commands/simulate.ts")).simulateScenario(input),
  },
];
