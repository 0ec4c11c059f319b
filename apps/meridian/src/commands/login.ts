// SPDX-License-Identifier: Apache-2.0

import { clientOf, namedContext, readContexts, writeContexts } from "../api-target.ts";
import type { CommandInput } from "../command.ts";
import { ExitCode } from "../exit-code.ts";
import { loginByBrowser, loginByDevice, revokeLogin } from "../oidc-login.ts";
import { complain, print, printJson } from "../output.ts";

/** Logs in at an OpenID provider, for the server of a context. */
export async function login(input: CommandInput): Promise<ExitCode> {
  const { name, context } = namedContext(input);
  const provider = {
    issuer: input.text("issuer") ?? context.login?.issuer ?? input.requiredText("issuer"),
    clientId: input.text("clientId") ?? context.login?.clientId ?? "meridian",
    scope: input.text("scope") ?? context.login?.scope ?? "openid profile email offline_access",
  };
  const made = await (input.flag("device") ? loginByDevice : loginByBrowser)(provider, complain);
  const { contexts, ...rest } = readContexts();
  const { tokenFile: _tokenFile, ...others } = contexts[name] ?? context;
  writeContexts({ ...rest, contexts: { ...contexts, [name]: { ...others, login: made } } });
  if (input.isJson()) printJson({ context: name, expiresAtMs: made.expiresAtMs });
  else print(`Logged in for ${name} until ${new Date(made.expiresAtMs).toISOString()}`);
  return ExitCode.done;
}

/** Forgets a login, here and at the provider. */
export async function logout(input: CommandInput): Promise<ExitCode> {
  const { name, context } = namedContext(input);
  const { login: held, ...others } = context;
  const { contexts, ...rest } = readContexts();
  writeContexts({ ...rest, contexts: { ...contexts, [name]: others } });
  if (held !== undefined) {
    try {
      await revokeLogin(held);
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      complain(`The provider could not be told: ${reason}`);
    }
  }
  const text = held === undefined ? `Nobody was logged in for ${name}` : `Logged out of ${name}`;
  if (input.isJson()) printJson({ context: name, wasLoggedIn: held !== undefined });
  else print(text);
  return ExitCode.done;
}

/** Says whom the server takes one for. */
export async function whoami(input: CommandInput): Promise<ExitCode> {
  const answer = await clientOf(input).get("/v1/whoami");
  const { subject, token, isAdmin } = answer;
  if (input.isJson()) printJson(answer);
  else
    print(
      `${subject}${token === undefined ? "" : ` by token ${token}`}${isAdmin ? ", who may do everything" : ""}`,
    );
  return ExitCode.done;
}
