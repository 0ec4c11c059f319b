// SPDX-License-Identifier: Apache-2.0

// The commands about approval by others, and about drills: a part of the table in commands.ts.

import type { CommandDefinition } from "./command.ts";
import { yes } from "./command-options.ts";
import { breakGlass, output, target } from "./document-commands.ts";

const id = { name: "<ID>", summary: "The request, as get approvals shows it." };

const drill = { name: "<NAME>", summary: "NAMESPACE/NAME of the drill, or NAME." };

/** In the order of the help. */
export const approvalCommands: readonly CommandDefinition[] = [
  {
    name: "approve",
    summary: "Approve what somebody else wants to do, after showing it.",
    arguments: [id],
    options: [
      { flags: "--reason <TEXT>", summary: "Why; kept and shown." },
      yes,
      ...target,
      output,
    ],
    examples: ["meridian get approvals", "meridian approve 3f9a12c07b4e"],
    run: async (input) => (await import("./commands/approvals.ts")).approve(input),
  },
  {
    name: "reject",
    summary: "Reject what somebody else wants to do.",
    arguments: [id],
    options: [
      { flags: "--reason <TEXT>", summary: "Why; its author reads it." },
      ...target,
      output,
    ],
    examples: ['meridian reject 3f9a12c07b4e --reason "not before the sale"'],
    run: async (input) => (await import("./commands/approvals.ts")).reject(input),
  },
  {
    name: "drill run",
    summary: "Begin a drill now, whatever its windows say; alarms and capacity are looked at.",
    arguments: [drill],
    options: [
      { flags: "--reason <TEXT>", summary: "Why, for those who approve." },
      breakGlass,
      ...target,
      output,
    ],
    examples: ["meridian drill run without-eu", "meridian get drills"],
    run: async (input) => (await import("./commands/drills.ts")).runDrill(input),
  },
  {
    name: "drill cancel",
    summary: "End a drill that is running; traffic comes back at once.",
    arguments: [drill],
    options: [{ flags: "--reason <TEXT>", summary: "Why; kept and shown." }, ...target, output],
    examples: ['meridian drill cancel without-eu --reason "the phone rings"'],
    run: async (input) => (await import("./commands/drills.ts")).cancelDrill(input),
  },
];
