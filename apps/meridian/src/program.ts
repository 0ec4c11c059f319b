// SPDX-License-Identifier: Apache-2.0

// Parses the command line by the table in commands.ts and runs what it names.

import { Argument, Command, CommanderError, Option } from "commander";
import { CommandInput, type CommandDefinition } from "./command.ts";
import { commands } from "./commands.ts";
import { ExitCode, exitCodeOf } from "./exit-code.ts";
import { complain } from "./output.ts";
import { ownVersion } from "./version.ts";

const groups: Readonly<Record<string, string>> = {
  health: "What was judged.",
  bench: "Measure a server.",
  control: "Compile, judge and keep the documents for edges, without answering DNS here.",
  edge: "Answer DNS with what control publishes.",
  snapshot: "Look into a state folder.",
  token: "Who may use the API over HTTP.",
  audit: "Who changed what, and why.",
  context: "Servers that have names.",
};

function buildProgram(): Command {
  const program = new Command("meridian")
    .description("A global traffic manager that a team runs itself.")
    .version(ownVersion(), "-V, --version", "Print the version.")
    .helpOption("-h, --help", "Print this help.")
    .helpCommand(false)
    .showSuggestionAfterError()
    .enablePositionalOptions()
    .exitOverride();
  for (const definition of commands) addCommand(program, definition);
  return program;
}

function addCommand(program: Command, definition: CommandDefinition): void {
  const words = definition.name.split(" ");
  const [first = "", second] = words;
  const parent = second === undefined ? program : groupOf(program, first);
  const command = parent.command(second ?? first).description(definition.summary);
  // So that a command of the same name as its group leaves the flags of the others to them.
  command.enablePositionalOptions().helpCommand(false);
  command.helpOption("-h, --help", "Print this help.").exitOverride();
  for (const { name, summary, choices } of definition.arguments) {
    const argument = new Argument(name, summary);
    command.addArgument(choices === undefined ? argument : argument.choices([...choices]));
  }
  for (const option of definition.options) {
    const made = new Option(option.flags, option.summary);
    if (option.environment !== undefined) made.env(option.environment);
    if (option.choices !== undefined) made.choices([...option.choices]);
    if (option.defaultValue !== undefined) made.default(option.defaultValue);
    if (option.isHidden === true) made.hideHelp();
    if (option.defaultText !== undefined) made.description += ` (default: ${option.defaultText})`;
    command.addOption(made);
  }
  const examples = definition.examples.map((example) => `  ${example}`).join("\n");
  command.addHelpText("after", `\nExamples:\n${examples}`);
  command.action(async () => {
    process.exitCode = await definition.run(new CommandInput(command.args, command.opts()));
  });
}

function groupOf(program: Command, name: string): Command {
  const known = program.commands.find((command) => command.name() === name);
  if (known !== undefined) return known;
  return program
    .command(name)
    .description(groups[name] ?? "")
    .helpOption("-h, --help", "Print this help.")
    .helpCommand(false)
    .exitOverride();
}

/** Runs the command line of this process; sets its exit code. */
export async function runProgram(): Promise<void> {
  // A reader that went away, as in `meridian get pools | head`, is no failure.
  process.stdout.on("error", (error: Error) => {
    if ("code" in error && error.code === "EPIPE") process.exit(ExitCode.done);
    throw error;
  });
  try {
    await buildProgram().parseAsync();
  } catch (error) {
    if (error instanceof CommanderError) {
      // Help and version end here too, with 0; every other complaint of the parser is about what was typed.
      process.exitCode = error.exitCode === 0 ? ExitCode.done : ExitCode.invalid;
      return;
    }
    complain(error instanceof Error ? error.message : String(error));
    // At once: what a server had begun when its start failed must not keep the process.
    process.exit(exitCodeOf(error));
  }
}
