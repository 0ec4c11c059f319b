// SPDX-License-Identifier: Apache-2.0

// The commands about rollouts: a part of the table in commands.ts.

import type { CommandDefinition, OptionDefinition } from "./command.ts";
import { yes } from "./command-options.ts";
import { breakGlass, output, target } from "./document-commands.ts";

const namespace: OptionDefinition = {
  flags: "-n, --namespace <NAME>",
  summary: "Where the rollout is.",
  defaultValue: "default",
};
const reason: OptionDefinition = {
  flags: "--reason <TEXT>",
  summary: "Why; kept, shown and audited.",
};
const one = [{ name: "<NAME>", summary: "The rollout." }] as const;

function order(
  verb: "start" | "promote" | "pause" | "resume" | "abort",
  summary: string,
  example: string,
  options: readonly OptionDefinition[] = [],
): CommandDefinition {
  return {
    ...{ name: `rollout ${verb}`, summary, arguments: one, examples: [example] },
    options: [...options, reason, namespace, ...target, output],
    run: async (input) => (await import("./commands/rollout.ts")).orderRollout(verb, input),
  };
}

/** In the order of the help. */
export const rolloutCommands: readonly CommandDefinition[] = [
  order(
    "start",
    "Begin a rollout: from now on it takes its steps.",
    "meridian rollout start shop",
    [breakGlass],
  ),
  order(
    "promote",
    "Have a rollout go on at once, without the rest of the step that it is in.",
    "meridian rollout promote shop",
    [
      {
        flags: "--full",
        summary: "Without all the steps that are left: the canary gets all traffic.",
      },
      breakGlass,
    ],
  ),
  order(
    "pause",
    "Have a rollout stay where it is; what it watches still rolls it back.",
    'meridian rollout pause shop --reason "a release freeze"',
  ),
  order("resume", "Have a paused rollout go on.", "meridian rollout resume shop", [breakGlass]),
  order(
    "abort",
    "End a rollout: its branches have their own weights again, and clients return.",
    'meridian rollout abort shop --reason "INC-7"',
    [yes],
  ),
  {
    name: "rollout status",
    summary: "Show how far rollouts are, and what was measured.",
    arguments: [{ name: "[NAME...]", summary: "Some of them; all of them unless given." }],
    options: [
      { flags: "-w, --watch", summary: "Show each change, until they have ended." },
      namespace,
      ...target,
      output,
    ],
    examples: ["meridian rollout status", "meridian rollout status shop --watch"],
    run: async (input) => (await import("./commands/rollout.ts")).showRollouts(input),
  },
];
