// SPDX-License-Identifier: Apache-2.0

// The options of `meridian edge`, for commands.ts, and their reading without a third-party module: an edge process holds none.

import { parseArgs } from "node:util";
import { CommandInput, type OptionDefinition } from "./command.ts";
import { CommandError, ExitCode } from "./exit-code.ts";
import { logLevels } from "./log-level.ts";

export const stateOption: OptionDefinition = {
  flags: "--state <DIR>",
  summary:
    "Folder that holds snapshot, overlay, shifts and history, and the socket for local commands.",
  environment: "MERIDIAN_STATE",
  defaultText: "$XDG_STATE_HOME/meridian, else ~/.local/state/meridian",
};

export const listenOption: OptionDefinition = {
  flags: "--listen <ADDRESS:PORT...>",
  summary:
    "Where DNS is answered, over UDP and TCP; may be given several times. Besides the sockets that a service manager passes (LISTEN_FDS).",
  environment: "MERIDIAN_LISTEN",
  defaultText: "127.0.0.1:5300, and [::1]:5300 where IPv6 exists",
};

export const workersOption: OptionDefinition = {
  flags: "--workers <N>",
  summary: "Threads that answer over UDP.",
  environment: "MERIDIAN_WORKERS",
  defaultText: "the number of processors, at most 4",
};

export const transportOption: OptionDefinition = {
  flags: "--transport <KIND>",
  summary: "How packets are moved: the native add-on, node:dgram, or the first where it exists.",
  environment: "MERIDIAN_TRANSPORT",
  defaultValue: "auto",
  choices: ["auto", "native", "dgram"],
};

export const logLevelOption: OptionDefinition = {
  flags: "--log-level <LEVEL>",
  summary: "Least severe lines of the log on standard error.",
  environment: "MERIDIAN_LOG_LEVEL",
  defaultValue: "info",
  choices: logLevels,
};

export const edgeOptions: readonly OptionDefinition[] = [
  {
    flags: "--control <URL...>",
    summary:
      "Controls to dial, as `https://HOST:PORT`; one of them is enough. May be given several times.",
    environment: "MERIDIAN_CONTROL",
  },
  stateOption,
  listenOption,
  workersOption,
  transportOption,
  logLevelOption,
];

/** Reads the arguments after `meridian edge`. Throws a CommandError. */
export function readEdgeArguments(
  given: readonly string[],
  environment: Readonly<Record<string, string | undefined>>,
): CommandInput {
  const { values } = parsed(given);
  const read = edgeOptions.map((option): readonly [string, unknown] => {
    const { environment: variable = "", defaultValue, choices } = option;
    const flag = flagOf(option);
    const value = values[flag] ?? environment[variable] ?? defaultValue;
    if (choices !== undefined && (typeof value !== "string" || !choices.includes(value)))
      throw invalid(`--${flag} is ${JSON.stringify(value)}, expected one of ${choices.join(", ")}`);
    return [flag.replaceAll(/-[a-z]/g, (text) => text.slice(1).toUpperCase()), value];
  });
  return new CommandInput([], Object.fromEntries(read));
}

function parsed(given: readonly string[]): { readonly values: Record<string, unknown> } {
  const options = Object.fromEntries(
    edgeOptions.map((option) => [
      flagOf(option),
      { type: "string" as const, multiple: option.flags.includes("...") },
    ]),
  );
  try {
    return parseArgs({ args: [...given], options, allowPositionals: false });
  } catch (error) {
    throw invalid(error instanceof Error ? error.message : String(error));
  }
}

function flagOf({ flags }: OptionDefinition): string {
  return /--([a-z-]+)/.exec(flags)?.[1] ?? "";
}

function invalid(reason: string): CommandError {
  return new CommandError(ExitCode.invalid, `Cannot start the edge: ${reason}`);
}
