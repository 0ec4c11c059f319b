// SPDX-License-Identifier: Apache-2.0

import type { CommandDefinition, CommandInput } from "../command.ts";
import { commands } from "../commands.ts";
import { ExitCode } from "../exit-code.ts";
import { print } from "../output.ts";

/** Prints a script that completes commands, flags and fixed values. */
export function completion(input: CommandInput): Promise<ExitCode> {
  print(completionScript(input.argument(0)));
  return Promise.resolve(ExitCode.done);
}

/** The script of a shell: bash, zsh or fish. */
export function completionScript(shell: string): string {
  if (shell === "fish") return fishScript();
  const script = bashScript();
  return shell === "zsh" ? `autoload -U +X bashcompinit && bashcompinit\n${script}` : script;
}

/** Words that may follow a command: its flags and the choices of its arguments. */
function wordsOf(command: CommandDefinition): string[] {
  return [...choicesOf(command), ...flagsOf(command)];
}

function choicesOf(command: CommandDefinition): string[] {
  return command.arguments.flatMap(({ choices }) => choices ?? []);
}

function flagsOf(command: CommandDefinition): string[] {
  return command.options
    .filter(({ isHidden }) => isHidden !== true)
    .flatMap(({ flags }) => flags.match(/--[a-z-]+/g) ?? []);
}

/** Lines of a `case` over the word before the one that is typed: what may follow an option. */
function optionCases(): string[] {
  const choices = new Map<string, readonly string[]>();
  for (const { options } of commands)
    for (const { flags, choices: own } of options)
      if (own !== undefined)
        choices.set((flags.match(/(?<![a-z-])--?[a-z-]+/g) ?? []).join("|"), own);
  return [...choices].map(([flags, own]) => `    ${flags}) words="${own.join(" ")}"; flags="" ;;`);
}

function bashScript(): string {
  const firsts = [...new Set(commands.map(({ name }) => name.split(" ")[0] ?? ""))];
  const groups = firsts.filter((first) =>
    commands.some(({ name }) => name.startsWith(`${first} `)),
  );
  const cases = [
    ...commands.map(
      (command) =>
        `    "${command.name}"*) words="${choicesOf(command).join(" ")}"; flags="${flagsOf(command).join(" ")}" ;;`,
    ),
    ...groups.map((group) => {
      const seconds = commands.flatMap(({ name }) =>
        name.startsWith(`${group} `) ? [name.slice(group.length + 1)] : [],
      );
      return `    "${group}"*) words="${seconds.join(" ")}" ;;`;
    }),
  ];
  return `_meridian() {
  local current="\${COMP_WORDS[COMP_CWORD]}" words="" flags=""
  case "\${COMP_WORDS[*]:1:2}" in
${cases.join("\n")}
    *) words="${firsts.join(" ")}" ;;
  esac
  case "\${COMP_WORDS[COMP_CWORD - 1]}" in
${optionCases().join("\n")}
  esac
  # Flags are offered once a word begins like one: before that files may be meant.
  case "$current" in -*) words="$flags" ;; esac
  COMPREPLY=($(compgen -W "$words" -- "$current"))
}
complete -o default -F _meridian meridian`;
}

function fishScript(): string {
  const lines = commands.flatMap((command) => {
    const [first = "", second] = command.name.split(" ");
    const after =
      second === undefined ? first : `${first}; and __fish_seen_subcommand_from ${second}`;
    const start =
      second === undefined
        ? `complete -c meridian -f -n __fish_use_subcommand -a ${first} -d ${quoted(command.summary)}`
        : `complete -c meridian -f -n "__fish_seen_subcommand_from ${first}" -a ${second} -d ${quoted(command.summary)}`;
    const group =
      second === undefined ? [] : [`complete -c meridian -f -n __fish_use_subcommand -a ${first}`];
    return [
      ...group,
      start,
      ...wordsOf(command).map((word) =>
        word.startsWith("--")
          ? `complete -c meridian -n "__fish_seen_subcommand_from ${after}" -l ${word.slice(2)}`
          : `complete -c meridian -f -n "__fish_seen_subcommand_from ${after}" -a ${word}`,
      ),
    ];
  });
  return [...new Set(lines)].join("\n");
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", "\\'")}'`;
}
