// SPDX-License-Identifier: Apache-2.0

// Which server a command means: --server, --state, a context named by --context, the context in use, or the default state folder.

import { mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { ApiClient, memberOf, type ApiTarget } from "./api-client.ts";
import type { CommandInput } from "./command.ts";
import { CommandError, ExitCode } from "./exit-code.ts";
import { renewed, type Login } from "./oidc-login.ts";
import { stateDirOf } from "./server-settings.ts";

/** A named server. */
export interface Context {
  readonly server: string;
  readonly tokenFile?: string;
  readonly caFile?: string;
  readonly certFile?: string;
  readonly keyFile?: string;
  /** At an OpenID provider; a token in a file comes before it. */
  readonly login?: Login;
}

const fileFields = ["tokenFile", "caFile", "certFile", "keyFile"] as const;

/** The files that flags name. */
export function contextFiles(input: CommandInput): Omit<Context, "server"> {
  const named = {
    tokenFile: input.text("tokenFile"),
    caFile: input.text("ca"),
    certFile: input.text("clientCert"),
    keyFile: input.text("clientKey"),
  };
  return Object.fromEntries(
    fileFields.flatMap((field) => {
      const path = named[field];
      return path === undefined ? [] : [[field, resolve(path)]];
    }),
  );
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
  if (server !== undefined) return remote({ server, ...contextFiles(input) });
  const named = input.text("context");
  if (named === undefined && input.text("state") !== undefined)
    return { stateDir: stateDirOf(input) };
  const { current, contexts } = readContexts();
  const name = named ?? current;
  if (name === undefined) return { stateDir: stateDirOf(input) };
  return remote(contextOfName(name, contexts), name);
}

/** The context that a command names, or the one in use. */
export function namedContext(input: CommandInput): {
  readonly name: string;
  readonly context: Context;
} {
  const { current, contexts } = readContexts();
  const name = input.text("context") ?? current;
  if (name === undefined)
    throw new CommandError(
      ExitCode.invalid,
      'Cannot log in: no context is in use; set one with "meridian context set NAME --server URL"',
    );
  return { name, context: contextOfName(name, contexts) };
}

function contextOfName(name: string, contexts: Contexts["contexts"]): Context {
  const context = contexts[name];
  if (context !== undefined) return context;
  throw new CommandError(
    ExitCode.invalid,
    `Cannot use the context "${name}": it is not set, expected one of ${Object.keys(contexts).join(", ") || "none yet"}`,
  );
}

/** The ID token of a login, made anew where it is about to end; the context keeps what comes of it. */
async function tokenOf(name: string, login: Login): Promise<string> {
  const fresh = await renewed(login, Date.now());
  if (fresh !== login) {
    const { contexts, ...rest } = readContexts();
    const context = contexts[name];
    if (context !== undefined)
      writeContexts({ ...rest, contexts: { ...contexts, [name]: { ...context, login: fresh } } });
  }
  return fresh.idToken;
}

function remote(
  { server, tokenFile, caFile, certFile, keyFile, login }: Context,
  name: string = "",
): ApiTarget {
  const url = URL.canParse(server) ? new URL(server) : undefined;
  if (url === undefined || !["http:", "https:"].includes(url.protocol))
    throw new CommandError(
      ExitCode.invalid,
      `Cannot reach Meridian: the server is "${server}", expected an address such as https://gtm.example.org:8053`,
    );
  const token = tokenFile === undefined ? undefined : readText("token", tokenFile).trim();
  const tls = {
    ...(caFile === undefined ? {} : { ca: readText("authority", caFile) }),
    ...(certFile === undefined ? {} : { cert: readText("certificate", certFile) }),
    ...(keyFile === undefined ? {} : { key: readText("key", keyFile) }),
  };
  return login === undefined || token !== undefined
    ? { server: url, token, tls }
    : { server: url, token: () => tokenOf(name, login), tls };
}

function readText(what: string, path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new CommandError(ExitCode.invalid, `Cannot read the ${what} in "${path}": ${reason}`);
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
  const files = fileFields.flatMap((field) => {
    const path = memberOf(value, field);
    return typeof path === "string" ? [[field, path] as const] : [];
  });
  const login = loginOf(memberOf(value, "login"));
  return {
    server: typeof server === "string" ? server : "",
    ...Object.fromEntries(files),
    ...(login === undefined ? {} : { login }),
  };
}

function loginOf(value: unknown): Login | undefined {
  const [issuer, clientId, scope, idToken, refreshToken] = [
    "issuer",
    "clientId",
    "scope",
    "idToken",
    "refreshToken",
  ].map((name) => {
    const text = memberOf(value, name);
    return typeof text === "string" ? text : undefined;
  });
  const expiresAtMs = Number(memberOf(value, "expiresAtMs"));
  if (
    issuer === undefined ||
    clientId === undefined ||
    scope === undefined ||
    idToken === undefined
  )
    return undefined;
  const login = { issuer, clientId, scope, idToken, expiresAtMs };
  return refreshToken === undefined ? login : { ...login, refreshToken };
}
