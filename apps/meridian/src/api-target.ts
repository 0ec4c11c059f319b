// SPDX-License-Identifier: Apache-2.0

// Which server a command means: --server, --state, a context named by --context, the context in use, or the default state folder.

import { mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { dirname, join } from "node:path";
import { ApiClient, memberOf, type ApiTarget } from "./api-client.ts";
import type { CommandInput } from "./command.ts";
import { CommandError, ExitCode } from "./exit-code.ts";
import { stateDirOf } from "./server-settings.ts";

/** A named server. */
export interface Context {
  readonly server: string;
  readonly tokenFile?: string;
}

export interface Contexts {
  readonly current?: string;
  readonly contexts: Readonly<Record<string, Context>>;
}

/** The client of the server that a command means. */
export function clientOf(input: CommandInput): ApiClient {
  return new ApiClient(targetOf(input));
}

function targetOf(input: CommandInput): ApiTarget {
  const server = input.text("server");
  const tokenFile = input.text("tokenFile");
  if (server !== undefined)
    return remote({ server, ...(tokenFile === undefined ? {} : { tokenFile }) });
  const named = input.text("context");
  if (named === undefined && input.text("state") !== undefined)
    return { stateDir: stateDirOf(input) };
  const { current, contexts } = readContexts();
  const name = named ?? current;
  if (name === undefined) return { stateDir: stateDirOf(input) };
  const context = contexts[name];
  if (context === undefined)
    throw new CommandError(
      ExitCode.invalid,
      `Cannot use the context "${name}": it is not set, expected one of ${Object.keys(contexts).join(", ") || "none yet"}`,
    );
  return remote(context);
}

function remote({ server, tokenFile }: Context): ApiTarget {
  const url = URL.canParse(server) ? new URL(server) : undefined;
  if (url === undefined || !["http:", "https:"].includes(url.protocol))
    throw new CommandError(
      ExitCode.invalid,
      `Cannot reach Meridian: the server is "${server}", expected an address such as https://gtm.example.org:8053`,
    );
  return { server: url, token: tokenFile === undefined ? undefined : readToken(tokenFile) };
}

function readToken(path: string): string {
  try {
    return readFileSync(path, "utf8").trim();
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new CommandError(ExitCode.invalid, `Cannot read the token in "${path}": ${reason}`);
  }
}

/** `$XDG_CONFIG_HOME/meridian/contexts.json`. */
function contextsPath(): string {
  const config = process.env["XDG_CONFIG_HOME"] ?? join(homedir(), ".config");
  return join(config, "meridian", "contexts.json");
}

/** The contexts that are set; none where there is no file. */
export function readContexts(): Contexts {
  let text: string;
  try {
    text = readFileSync(contextsPath(), "utf8");
  } catch {
    return { contexts: {} };
  }
  try {
    const value: unknown = JSON.parse(text);
    const current = memberOf(value, "current");
    const named = memberOf(value, "contexts");
    const entries = typeof named === "object" && named !== null ? Object.entries(named) : [];
    const contexts = Object.fromEntries(
      entries.map(([name, each]) => [name, contextOf(each)] as const),
    );
    return { contexts, ...(typeof current === "string" ? { current } : {}) };
  } catch {
    throw new CommandError(
      ExitCode.invalid,
      `Cannot read the contexts in "${contextsPath()}": it is no JSON; remove it and set them again`,
    );
  }
}

export function writeContexts(contexts: Contexts): void {
  const path = contextsPath();
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  writeFileSync(`${path}.new`, `${JSON.stringify(contexts, undefined, 2)}\n`, { mode: 0o600 });
  renameSync(`${path}.new`, path);
}

function contextOf(value: unknown): Context {
  const server = memberOf(value, "server");
  const tokenFile = memberOf(value, "tokenFile");
  return {
    server: typeof server === "string" ? server : "",
    ...(typeof tokenFile === "string" ? { tokenFile } : {}),
  };
}
