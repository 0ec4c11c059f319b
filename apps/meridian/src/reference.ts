// SPDX-License-Identifier: Apache-2.0

import type { CommandDefinition, OptionDefinition } from "./command.ts";
import { commands } from "./commands.ts";

const exitCodes: readonly (readonly [code: number, meaning: string])[] = [
  [0, "Done, or equal."],
  [1, "Failed."],
  [2, "The input is invalid: flags, documents, names."],
  [3, "Refused: a rule, a conflict, a permission, or nobody said yes."],
  [4, "Not found."],
  [5, "No server answers, or the store cannot be asked."],
  [10, "There are differences (`diff`, `snapshot diff`, `explain --replay`)."],
  [130, "Interrupted."],
];

/** docs/reference/cli.md, from the table of commands. */
export function renderCliReference(): string {
  const lines = [
    "# The `meridian` command",
    "",
    "From a checkout it is `./bin/meridian`. Commands that ask a running server find it by its state folder, whose Unix socket only the",
    "server's own user may open, or by `--server` with a token, or by a context. Results go to standard output, everything else to",
    "standard error. Colours are for terminals, and not where `NO_COLOR` is set. A flag wins over its environment variable. This page",
    "is made from the table that the command itself is made from.",
    "",
    ...commands.flatMap(commandLines),
    "## Exit codes",
    "",
    "| code | meaning |",
    "| --- | --- |",
    ...exitCodes.map(([code, meaning]) => `| ${code} | ${meaning} |`),
    "",
    "## Environment variables",
    "",
    "| variable | stands for | in |",
    "| --- | --- | --- |",
    ...environmentRows(),
  ];
  return `${lines.join("\n")}\n`;
}

function commandLines(command: CommandDefinition): string[] {
  const usage = ["meridian", command.name, ...command.arguments.map(({ name }) => name)].join(" ");
  const options = command.options.filter(({ isHidden }) => isHidden !== true);
  return [
    `## ${command.name}`,
    "",
    command.summary,
    "",
    "```text",
    options.length === 0 ? usage : `${usage} [flags]`,
    "```",
    "",
    ...rows(
      "argument",
      command.arguments.map(({ name, summary, choices }) => [
        name,
        `${escaped(summary)}${choicesText(choices)}`,
      ]),
    ),
    ...rows(
      "flag",
      options.map((option) => [option.flags, optionText(option)]),
    ),
    "```sh",
    ...command.examples,
    "```",
    "",
  ];
}

function rows(title: string, entries: readonly (readonly [string, string])[]): string[] {
  if (entries.length === 0) return [];
  const lines = entries.map(([name, text]) => `| \`${name}\` | ${text} |`);
  return [`| ${title} | meaning |`, "| --- | --- |", ...lines, ""];
}

function optionText({
  summary,
  environment,
  defaultValue,
  defaultText,
  choices,
}: OptionDefinition): string {
  const preset = defaultValue === undefined ? defaultText : `\`${defaultValue}\``;
  return [
    `${escaped(summary)}${choicesText(choices)}`,
    ...(preset === undefined ? [] : [`Default: ${escaped(preset)}.`]),
    ...(environment === undefined ? [] : [`Environment: \`${environment}\`.`]),
  ].join(" ");
}

function choicesText(choices: readonly string[] | undefined): string {
  if (choices === undefined) return "";
  return ` One of ${choices.map((choice) => `\`${choice}\``).join(", ")}.`;
}

function environmentRows(): string[] {
  const uses = new Map<string, { flag: string; commands: string[] }>();
  for (const { name, options } of commands) {
    for (const { environment, flags } of options) {
      if (environment === undefined) continue;
      const flag = /--[a-z-]+/.exec(flags)?.[0] ?? flags;
      const use = uses.get(environment) ?? { flag, commands: [] };
      use.commands.push(`\`${name}\``);
      uses.set(environment, use);
    }
  }
  return [...uses]
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([variable, use]) => `| \`${variable}\` | \`${use.flag}\` | ${use.commands.join(", ")} |`);
}

/** Text that means itself in Markdown. */
function escaped(text: string): string {
  return text.replaceAll(/(?<!`)([*<>|[\]])(?![^`]*`)/g, "\\$1");
}
