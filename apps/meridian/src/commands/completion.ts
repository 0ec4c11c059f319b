// SPDX-License-Identifier: Apache-2.0

import type { CommandDefinition, CommandInput, OptionDefinition } from "../command.ts";
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
  return shell === "zsh" ? `${zshBeginning}\n${bashScript()}` : bashScript();
}

/** zsh completes what is said as to bash, once its own completion is there: not every .zshrc has loaded it. */
const zshBeginning = `(( $+functions[compdef] )) || { autoload -Uz compinit && compinit; }
autoload -Uz +X bashcompinit && bashcompinit`;

function choicesOf(command: CommandDefinition): string[] {
  return command.arguments.flatMap(({ choices }) => choices ?? []);
}

function flagsOf(command: CommandDefinition): string[] {
  return command.options
    .filter(({ isHidden }) => isHidden !== true)
    .flatMap(({ flags }) => flags.match(/--[a-z-]+/g) ?? []);
}

/** Lines of a `case` over command and the word before the one that is typed: what may follow an option. */
function optionCases({ name, options }: CommandDefinition): string[] {
  const begin = name.includes(" ") ? `"${name}|` : `"${name} "*"|`;
  return options.flatMap(({ flags, choices }) => {
    if (choices === undefined) return [];
    const names = flags.match(/(?<![a-z-])--?[a-z-]+/g) ?? [];
    const patterns = names.map((flag) => `${begin}${flag}"`).join("|");
    return [`    ${patterns}) words="${choices.join(" ")}"; flags="" ;;`];
  });
}

/** First words of commands, each once. */
function firstWords(): string[] {
  return [...new Set(commands.map(({ name }) => name.split(" ")[0] ?? ""))];
}

/** Second words of the commands that begin with `first`. */
function secondWords(first: string): string[] {
  return commands.flatMap(({ name }) =>
    name.startsWith(`${first} `) ? [name.slice(first.length + 1)] : [],
  );
}

function bashScript(): string {
  const isLong = ({ name }: CommandDefinition): boolean => name.includes(" ");
  const casesOf = (pattern: string, words: readonly string[], flags: readonly string[]): string =>
    `    ${pattern}) words="${words.join(" ")}"; flags="${flags.join(" ")}" ;;`;
  const cases = [
    ...commands
      .filter(isLong)
      .map((command) => casesOf(`"${command.name}"`, choicesOf(command), flagsOf(command))),
    ...firstWords().map((first) => {
      const own = commands.find(({ name }) => name === first);
      const choices = own === undefined ? [] : choicesOf(own);
      const flags = own === undefined ? [] : flagsOf(own);
      return casesOf(`"${first} "*`, [...choices, ...secondWords(first)], flags);
    }),
  ];
  return `_meridian() {
  local current="\${COMP_WORDS[COMP_CWORD]}" words="" flags="" first="" second=""
  # Words before the one that is typed.
  if [ "$COMP_CWORD" -gt 1 ]; then first="\${COMP_WORDS[1]}"; fi
  if [ "$COMP_CWORD" -gt 2 ]; then second="\${COMP_WORDS[2]}"; fi
  case "$first $second" in
${cases.join("\n")}
    *) words="${firstWords().join(" ")}" ;;
  esac
  case "$first $second|\${COMP_WORDS[COMP_CWORD - 1]}" in
${[...commands.filter(isLong), ...commands.filter((each) => !isLong(each))].flatMap(optionCases).join("\n")}
  esac
  # Flags are offered once a word begins like one: before that files may be meant.
  case "$current" in -*) words="$flags" ;; esac
  COMPREPLY=($(compgen -W "$words" -- "$current"))
}
complete -o default -F _meridian meridian`;
}

function fishScript(): string {
  const offer = (condition: string, more: string): string =>
    `complete -c meridian -n "${condition}" ${more}`;
  const firsts = firstWords().map((first) => {
    const own = commands.find(({ name }) => name === first);
    const summary = own === undefined ? "" : ` -d ${quoted(own.summary)}`;
    return offer("__meridian_after", `-f -a ${first}${summary}`);
  });
  const others = commands.flatMap((command) => {
    const [first = "", second] = command.name.split(" ");
    const seconds = secondWords(first).join(" ");
    const isAlone = `__meridian_alone ${first} ${seconds}`;
    const condition = second === undefined ? isAlone : `__meridian_is ${command.name}`;
    return [
      ...(second === undefined
        ? []
        : [offer(`__meridian_after ${first}`, `-f -a ${second} -d ${quoted(command.summary)}`)]),
      ...choicesOf(command).map((word) => offer(condition, `-f -a ${word}`)),
      ...command.options
        .filter(({ isHidden }) => isHidden !== true)
        .map((option) => offer(condition, fishOption(option))),
    ];
  });
  return [fishConditions, ...firsts, ...others].join("\n");
}

/** Of the words before the one that is typed: whether they are just these; whether they begin with these; and with one that no other follows. */
const fishConditions = `function __meridian_after
  set -l typed (commandline -opc)
  test "$typed[2..-1]" = "$argv"
end
function __meridian_is
  set -l typed (commandline -opc)
  string match -q -- "$argv *" "$typed[2..-1] "
end
function __meridian_alone
  set -l typed (commandline -opc)
  test "$typed[2]" = "$argv[1]"; and not contains -- "$typed[3]" $argv[2..-1]
end`;

function fishOption({ flags, choices, summary }: OptionDefinition): string {
  const [long = ""] = flags.match(/--[a-z-]+/) ?? [];
  const [, short] = /^-([a-zA-Z])\b/.exec(flags) ?? [];
  const name = `-l ${long.slice(2)}${short === undefined ? "" : ` -s ${short}`}`;
  const value = choices === undefined ? "-r" : `-x -a ${quoted(choices.join(" "))}`;
  return `${name}${flags.includes("<") ? ` ${value}` : ""} -d ${quoted(summary)}`;
}

function quoted(text: string): string {
  return `'${text.replaceAll("\\", "\\\\").replaceAll("'", "\\'")}'`;
}
