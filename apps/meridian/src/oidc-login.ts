// SPDX-License-Identifier: Apache-2.0

// Tokens of an OpenID provider for whoever types commands: in the browser of this machine (authorization code with PKCE and a redirect to a
// loopback port, RFC 8252 and RFC 7636) or of any other (device authorization, RFC 8628). What goes to Meridian is the ID token, whose audience is
// the client; it is made anew with the refresh token, where the provider gave one.

import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import type * as openid from "openid-client";
import { CommandError, ExitCode } from "./exit-code.ts";

/** An ID token that holds for less than this is made anew. */
const RENEW_MS = 30_000;
/** Somebody who has not logged in by then has gone. */
const LOGIN_MS_MAX = 10 * 60_000;
const TIMEOUT_SECONDS = 15;

/** Where one logs in, and as which program. */
export interface Provider {
  readonly issuer: string;
  readonly clientId: string;
  readonly scope: string;
}

/** What a login left: kept with the context, readable by its owner alone. */
export interface Login extends Provider {
  readonly idToken: string;
  readonly refreshToken?: string;
  /** Wall time. */
  readonly expiresAtMs: number;
}

/** Logs in by a code that is typed on another device; `show` gets what to do. */
export async function loginByDevice(
  provider: Provider,
  show: (line: string) => void,
): Promise<Login> {
  return asked(provider, "log in", async (config, client) => {
    const device = await client.initiateDeviceAuthorization(config, { scope: provider.scope });
    show(`Open ${device.verification_uri_complete ?? device.verification_uri}`);
    show(`and enter the code ${device.user_code}`);
    const signal = AbortSignal.timeout(LOGIN_MS_MAX);
    return client.pollDeviceAuthorizationGrant(config, device, undefined, { signal });
  });
}

/** Logs in with a browser of this machine; `show` gets the address to open. */
export async function loginByBrowser(
  provider: Provider,
  show: (line: string) => void,
): Promise<Login> {
  return asked(provider, "log in", async (config, client) => {
    const verifier = client.randomPKCECodeVerifier();
    const state = client.randomState();
    const nonce = client.randomNonce();
    const redirect = await Redirect.listen();
    try {
      const address = client.buildAuthorizationUrl(config, {
        redirect_uri: redirect.address,
        scope: provider.scope,
        code_challenge: await client.calculatePKCECodeChallenge(verifier),
        code_challenge_method: "S256",
        state,
        nonce,
      });
      show("Open this address in a browser of this machine, or use --device:");
      show(address.href);
      const back = await redirect.comesBack;
      return await client.authorizationCodeGrant(config, back, {
        pkceCodeVerifier: verifier,
        expectedState: state,
        expectedNonce: nonce,
      });
    } finally {
      redirect.close();
    }
  });
}

/** A login that holds: itself, or what its refresh token gives. Throws where somebody has to log in again. */
export async function renewed(login: Login, nowMs: number): Promise<Login> {
  if (login.expiresAtMs - nowMs > RENEW_MS) return login;
  const { refreshToken } = login;
  if (refreshToken === undefined)
    throw new CommandError(
      ExitCode.refused,
      'Cannot ask as you: the login has expired; log in with "meridian login"',
    );
  const fresh = await asked(login, "renew the login", (config, client) =>
    client.refreshTokenGrant(config, refreshToken),
  );
  return { refreshToken, ...fresh };
}

/** Tells the provider that a login is over, where it wants to know. */
export async function revokeLogin(login: Login): Promise<void> {
  const { refreshToken } = login;
  if (refreshToken === undefined) return;
  const { client, config } = await found(login);
  if (config.serverMetadata().revocation_endpoint !== undefined)
    await client.tokenRevocation(config, refreshToken);
}

type Client = typeof openid;

async function asked(
  provider: Provider,
  what: string,
  ask: (config: openid.Configuration, client: Client) => Promise<openid.TokenEndpointResponse>,
): Promise<Login> {
  try {
    const { client, config } = await found(provider);
    return loginIn(provider, await ask(config, client));
  } catch (error) {
    if (error instanceof CommandError) throw error;
    const cause = error instanceof Error && error.cause instanceof Error ? error.cause : undefined;
    const reason = error instanceof Error ? error.message : String(error);
    throw new CommandError(
      ExitCode.refused,
      `Cannot ${what} at "${provider.issuer}": ${reason}${cause === undefined ? "" : `: ${cause.message}`}`,
    );
  }
}

async function found({
  issuer,
  clientId,
}: Provider): Promise<{ readonly client: Client; readonly config: openid.Configuration }> {
  const url = URL.canParse(issuer) ? new URL(issuer) : undefined;
  const isHere = url?.protocol === "http:" && ["127.0.0.1", "[::1]"].includes(url.hostname);
  if (url === undefined || (url.protocol !== "https:" && !isHere))
    throw new CommandError(
      ExitCode.invalid,
      `Cannot log in: the issuer is "${issuer}", expected an address with https`,
    );
  const client = await import("openid-client");
  const config = await client.discovery(url, clientId, undefined, client.None(), {
    timeout: TIMEOUT_SECONDS,
    // Tokens in clear never leave the machine.
    execute: isHere ? [client.allowInsecureRequests] : [],
  });
  return { client, config };
}

function loginIn(
  { issuer, clientId, scope }: Provider,
  { id_token: idToken, refresh_token: refreshToken }: openid.TokenEndpointResponse,
): Login {
  if (idToken === undefined)
    throw new CommandError(
      ExitCode.refused,
      `Cannot log in at "${issuer}": it gave no ID token, expected one for the scope "${scope}"`,
    );
  const common = { issuer, clientId, scope, idToken, expiresAtMs: expiryOf(idToken) };
  return refreshToken === undefined ? common : { ...common, refreshToken };
}

/** When a token ends; its signature is looked at by whom it is for. */
function expiryOf(token: string): number {
  const payload: unknown = JSON.parse(
    Buffer.from(token.split(".")[1] ?? "", "base64url").toString(),
  );
  const seconds: unknown =
    typeof payload === "object" && payload !== null ? Reflect.get(payload, "exp") : undefined;
  return typeof seconds === "number" ? seconds * 1000 : 0;
}

/** Where the browser comes back to: one request at a port of loopback. */
class Redirect {
  readonly address: string;
  /** The address that it came back with. */
  readonly comesBack: Promise<URL>;
  readonly close: () => void;

  private constructor(address: string, comesBack: Promise<URL>, close: () => void) {
    this.address = address;
    this.comesBack = comesBack;
    this.close = close;
  }

  static async listen(): Promise<Redirect> {
    const back = Promise.withResolvers<URL>();
    const server = createServer(({ url = "" }, response) => {
      const came = URL.canParse(url, address) ? new URL(url, address) : undefined;
      const isIt = came?.pathname === "/callback";
      response.writeHead(isIt ? 200 : 404, { "content-type": "text/plain", connection: "close" });
      response.end(isIt ? "Logged in: go back to the terminal.\n" : "There is nothing here.\n");
      if (came !== undefined && isIt) back.resolve(came);
    });
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    server.once("error", reject);
    server.listen(0, "127.0.0.1", resolve);
    await promise;
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- a server that listens on a port has this form of address
    const { port } = server.address() as AddressInfo;
    const address = `http://127.0.0.1:${port}/callback`;
    const timer = setTimeout(
      () => back.reject(new Error(`nobody logged in within ${LOGIN_MS_MAX / 60_000} minutes`)),
      LOGIN_MS_MAX,
    );
    return new Redirect(address, back.promise, () => {
      clearTimeout(timer);
      server.closeAllConnections();
      server.close();
    });
  }
}
