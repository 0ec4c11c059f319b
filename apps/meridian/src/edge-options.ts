// SPDX-License-Identifier: Apache-2.0

// The options of `meridian edge` and `meridian probe`, for commands.ts, and their reading without a third-party module: an edge process holds none.

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

export const siteOption: OptionDefinition = {
  flags: "--site <NAME>",
  summary:
    "Where this process probes from: vantages of different sites are chosen for an endpoint. A site of its own unless given.",
  environment: "MERIDIAN_SITE",
  defaultValue: "",
};

export const queryLogOptions: readonly OptionDefinition[] = [
  {
    flags: "--query-log <FILE>",
    summary: "File to which sampled queries are appended as JSON lines.",
    environment: "MERIDIAN_QUERY_LOG",
  },
  {
    flags: "--query-log-sample <N>",
    summary: "One query in N is logged.",
    environment: "MERIDIAN_QUERY_LOG_SAMPLE",
    defaultValue: "100",
  },
];

/** What is done about who asks: of `up` and `edge` alike. */
export const frontOptions: readonly OptionDefinition[] = [
  {
    flags: "--dot <ADDRESS:PORT...>",
    summary: "Where DNS is answered over TLS; may be given several times. Needs a certificate.",
    environment: "MERIDIAN_DOT",
  },
  {
    flags: "--doh <ADDRESS:PORT...>",
    summary:
      "Where DNS is answered over HTTP/2 at /dns-query; may be given several times. Needs a certificate.",
    environment: "MERIDIAN_DOH",
  },
  {
    flags: "--dns-cert <FILE>",
    summary:
      "Certificate with its chain for encrypted DNS, as PEM; read again when it changes, and so is its key.",
    environment: "MERIDIAN_DNS_CERT",
  },
  {
    flags: "--dns-key <FILE>",
    summary: "Key of that certificate, as PEM.",
    environment: "MERIDIAN_DNS_KEY",
  },
  {
    flags: "--dns-client-ca <FILE>",
    summary:
      "Authorities of the certificates that clients of --dot are asked for, as PEM, for rules of `transfers` that want one; read again when it changes.",
    environment: "MERIDIAN_DNS_CLIENT_CA",
  },
  {
    flags: "--proxy <PREFIX...>",
    summary:
      "Proxies that state the client by the PROXY protocol, version 2, and always do: over UDP, TCP, TLS and HTTPS; may be given several times.",
    environment: "MERIDIAN_PROXY",
  },
  {
    flags: "--cookie-secrets <FILE>",
    summary:
      "Secrets of DNS cookies, 32 hexadecimal digits a line, the first of which makes them; read again when it changes. The servers of an anycast set share it.",
    environment: "MERIDIAN_COOKIE_SECRETS",
    defaultText: "a secret of this process's own",
  },
  {
    flags: "--rate-limit <N>",
    summary:
      "Responses a second over UDP for a client prefix (/24, /56) without a valid cookie; past it they are truncated or left out.",
    environment: "MERIDIAN_RATE_LIMIT",
    defaultText: "no limit",
  },
  {
    flags: "--rate-exempt <PREFIX...>",
    summary: "Client prefixes that are never limited; may be given several times.",
    environment: "MERIDIAN_RATE_EXEMPT",
  },
];

export const replaceOption: OptionDefinition = {
  flags: "--replace",
  summary: "Take the sockets over from the process that holds the state folder; no query is lost.",
};

const edgeHttpOption: OptionDefinition = {
  flags: "--http <ADDRESS:PORT>",
  summary:
    "Where `/metrics`, `/healthz` and `/readyz` are; `none` for nowhere. Everything else is asked over the socket in the state folder.",
  environment: "MERIDIAN_HTTP",
  defaultText: "127.0.0.1:8055, and nowhere where that is taken",
};

const controlOption: OptionDefinition = {
  flags: "--control <URL...>",
  summary:
    "Controls to dial, as `https://HOST:PORT`; one of them is enough. May be given several times.",
  environment: "MERIDIAN_CONTROL",
};

export const edgeOptions: readonly OptionDefinition[] = [
  controlOption,
  stateOption,
  listenOption,
  workersOption,
  transportOption,
  edgeHttpOption,
  ...frontOptions,
  ...queryLogOptions,
  siteOption,
  {
    flags: "--isolation <MODE>",
    summary:
      "What it does where no control is heard of for 5 s: judge by its own probes, or hold every verdict.",
    environment: "MERIDIAN_ISOLATION",
    defaultValue: "local",
    choices: ["local", "freeze"],
  },
  logLevelOption,
  replaceOption,
];

export const probeOptions: readonly OptionDefinition[] = [
  controlOption,
  stateOption,
  siteOption,
  logLevelOption,
];

/** Reads the arguments after `meridian edge` or `meridian probe`. Throws a CommandError. */
export function readProcessArguments(
  options: readonly OptionDefinition[],
  given: readonly string[],
  environment: Readonly<Record<string, string | undefined>>,
): CommandInput {
  const { values } = parsed(options, given);
  const read = options.map((option): readonly [string, unknown] => {
    const { environment: variable = "", defaultValue, choices } = option;
    const flag = flagOf(option);
    const value = values[flag] ?? environment[variable] ?? defaultValue;
    if (choices !== undefined && (typeof value !== "string" || !choices.includes(value)))
      throw invalid(`--${flag} is ${JSON.stringify(value)}, expected one of ${choices.join(", ")}`);
    return [flag.replaceAll(/-[a-z]/g, (text) => text.slice(1).toUpperCase()), value];
  });
  return new CommandInput([], Object.fromEntries(read));
}

function parsed(
  known: readonly OptionDefinition[],
  given: readonly string[],
): { readonly values: Record<string, unknown> } {
  const options = Object.fromEntries(
    known.map((option) => [
      flagOf(option),
      {
        type: option.flags.includes("<") ? ("string" as const) : ("boolean" as const),
        multiple: option.flags.includes("..."),
      },
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
  return new CommandError(ExitCode.invalid, `Cannot start: ${reason}`);
}
