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
  const flags = command.options
    .filter(({ isHidden }) => isHidden !== true)
    .flatMap(({ flags: text }) => text.match(/--[a-z-]+/g) ?? []);
  return [...command.arguments.flatMap(({ choices }) => choices ?? []), ...flags];
}

function bashScript(): string {
  const firsts = [...new Set(commands.map(({ name }) => name.split(" ")[0] ?? ""))];
  const groups = firsts.filter((first) =>
    commands.some(({ name }) => name.startsWith(`${first} `)),
  );
  const cases = [
    ...commands.map(
      (command) => `    "${command.name}"*) words="${wordsOf(command).join(" ")}" ;;`,
    ),
    ...groups.map((group) => {
      const seconds = commands.flatMap(({ name }) =>
        name.startsWith(`${group} `) ? [name.slice(group.length + 1)] : [],
      );
      return `    "${group}"*) words="${seconds.join(" ")}" ;;`;
    }),
  ];
  return `_meridian() {
  local current="\${COMP_WORDS[COMP_CWORD]}" words
  case "\${COMP_WORDS[*]:1:2}" in
${cases.join("\n")}
    *) words="${firsts.join(" ")}" ;;
  esac
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
