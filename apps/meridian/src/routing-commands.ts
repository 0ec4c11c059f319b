// SPDX-License-Identifier: Apache-2.0

// The commands about routing controls: a part of the table in commands.ts.

import type { CommandDefinition, OptionDefinition } from "./command.ts";
import { yes } from "./command-options.ts";
import { breakGlass, output, target } from "./document-commands.ts";

const namespace: OptionDefinition = {
  flags: "-n, --namespace <NAME>",
  summary: "Where the controls are.",
  defaultValue: "default",
};

/** In the order of the help. */
export const routingCommands: readonly CommandDefinition[] = [
  {
    name: "control get",
    summary: "Show routing controls: whether they are On, since when, who set them and why.",
    arguments: [{ name: "[NAME...]", summary: "Some of them; all of them unless given." }],
    options: [namespace, ...target, output],
    examples: ["meridian control get", "meridian control get shop-eu -n shop"],
    run: async (input) => (await import("./commands/routing.ts")).getControls(input),
  },
  {
    name: "control set",
    summary: "Turn routing controls of one panel On or Off, all or none, as safety rules allow.",
    arguments: [{ name: "<NAME=STATE...>", summary: "What is to be On or Off." }],
    options: [
      { flags: "--reason <TEXT>", summary: "Why; kept, shown and audited." },
      {
        flags: "--override <RULE...>",
        summary: "A safety rule that is not to object, this once.",
      },
      breakGlass,
      namespace,
      yes,
      ...target,
      output,
    ],
    examples: [
      'meridian control set shop-eu=Off shop-us=On --reason "eu is being patched"',
      'meridian control set shop-eu=Off --override shop-somewhere --reason "INC-7"',
    ],
    run: async (input) => (await import("./commands/routing.ts")).setControls(input),
  },
];
