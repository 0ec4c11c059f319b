// SPDX-License-Identifier: Apache-2.0

// The commands about recovery plans: a part of the table in commands.ts.

import type { CommandDefinition, OptionDefinition } from "./command.ts";
import { yes } from "./command-options.ts";
import { breakGlass, output, target } from "./document-commands.ts";

const namespace: OptionDefinition = {
  flags: "-n, --namespace <NAME>",
  summary: "Where the plan is.",
  defaultValue: "default",
};
const reason: OptionDefinition = {
  flags: "--reason <TEXT>",
  summary: "Why; kept, shown and audited.",
};
const step: OptionDefinition = {
  flags: "--step <NAME>",
  summary: "Which step, where more than one comes into question.",
};
const plan = { name: "<PLAN>", summary: "Name of the plan, for its newest run, or id of a run." };

function ordering(
  order: string,
  summary: string,
  example: string,
  more: readonly OptionDefinition[] = [],
): CommandDefinition {
  return {
    name: `recovery ${order}`,
    summary,
    arguments: [plan],
    options: [...more, reason, namespace, yes, ...target, output],
    examples: [`meridian recovery ${order} ${example}`],
    run: async (input) => (await import("./commands/recovery.ts")).changeRun(input, order),
  };
}

/** In the order of the help. */
export const recoveryCommands: readonly CommandDefinition[] = [
  {
    name: "recovery run",
    summary: "Run a recovery plan. It goes on by itself; --wait shows how until it ends.",
    arguments: [{ name: "<PLAN>", summary: "Name of the RecoveryPlan." }],
    options: [
      { flags: "--ungraceful", summary: "Skip what needs the place that is lost." },
      {
        flags: "--since <TIME>",
        summary:
          "When what it recovers from began, such as 2026-01-31T12:00:00Z; now unless given.",
      },
      { flags: "--wait", summary: "Show each step until it ends or people are needed." },
      { flags: "--page <FILE>", summary: "With --wait: write the report as a page of HTML." },
      reason,
      breakGlass,
      namespace,
      yes,
      ...target,
      output,
    ],
    examples: ['meridian recovery run shop-to-us --ungraceful --wait --reason "eu is dark"'],
    run: async (input) => (await import("./commands/recovery.ts")).runPlan(input),
  },
  ordering("pause", "Have a run begin no more steps.", 'shop-to-us --reason "a look at eu"'),
  ordering("resume", "Have a run go on; a step that failed is tried again.", "shop-to-us"),
  ordering("skip", "Go on without a step.", "shop-to-us --step grow", [step]),
  ordering("cancel", "End a run as it is; nothing is undone.", "shop-to-us"),
  ordering("rollback", "Undo what a run has done, the last first.", "shop-to-us"),
  ordering("approve", "Answer yes to a step that asks.", "shop-to-us", [step]),
  ordering("decline", "Answer no to a step that asks.", "shop-to-us", [step]),
  ordering("graceful", "Take the rest of a run as in graceful ones.", "shop-to-us"),
  ordering("ungraceful", "Take the rest of a run as in ungraceful ones.", "shop-to-us"),
  {
    name: "recovery report",
    summary: "Show what a run came to: recovery time, what of it was what, and each step.",
    arguments: [plan],
    options: [
      { flags: "--page <FILE>", summary: "Write it as a page of HTML with its timeline drawn." },
      namespace,
      ...target,
      output,
    ],
    examples: ["meridian recovery report shop-to-us --page report.html"],
    run: async (input) => (await import("./commands/recovery.ts")).report(input),
  },
];
