// SPDX-License-Identifier: Apache-2.0

import assert from "node:assert/strict";
import { createHash, generateKeyPairSync, sign, type KeyObject } from "node:crypto";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { test, type TestContext } from "node:test";
import { ApiClient } from "./api-client.ts";
import { readContexts } from "./api-target.ts";
import { CommandInput } from "./command.ts";
import { commands } from "./commands.ts";
import { ExitCode, exitCodeOf } from "./exit-code.ts";
import { Server } from "./server.ts";

/** An OpenID provider that lets everybody in as `ann`, and looks at what it is sent as the specifications want it. */
class Issuer {
  url = "";
  /** Seconds for which its ID tokens hold. */
  lengthSeconds = 300;
  /** Grants and revocations in the order in which they came. */
  readonly seen: string[] = [];
  readonly #key: KeyObject;
  readonly #publicKey: object;
  #pending = 1;
  #challenge = "";
  #nonce: string | undefined;
  #refresh = 0;

  private constructor() {
    const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
    this.#key = privateKey;
    this.#publicKey = { ...publicKey.export({ format: "jwk" }), kid: "k", alg: "ES256" };
  }

  static async start(t: TestContext): Promise<Issuer> {
    const issuer = new Issuer();
    const server = createServer((request, response) => void issuer.#answer(request, response));
    const { promise, resolve } = Promise.withResolvers<void>();
    server.listen(0, "127.0.0.1", resolve);
    await promise;
    t.after(() => {
      server.closeAllConnections();
      server.close();
    });
    const address = server.address();
    issuer.url = `http://127.0.0.1:${typeof address === "object" ? (address?.port ?? 0) : 0}`;
    return issuer;
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { pathname, searchParams } = new URL(request.url ?? "", this.url);
    const form = new URLSearchParams(await text(request));
    const json = (body: object, status: number = 200): void => {
      response.writeHead(status, { "content-type": "application/json" });
      response.end(JSON.stringify(body));
    };
    if (pathname === "/.well-known/openid-configuration") json(this.#description());
    else if (pathname === "/keys") json({ keys: [this.#publicKey] });
    else if (pathname === "/device")
      json({
        device_code: "d-1",
        user_code: "WDJB-MJHT",
        verification_uri: `${this.url}/go`,
        expires_in: 60,
        interval: 1,
      });
    else if (pathname === "/authorize") {
      this.#challenge = searchParams.get("code_challenge") ?? "";
      this.#nonce = searchParams.get("nonce") ?? undefined;
      const back = new URL(searchParams.get("redirect_uri") ?? "");
      back.searchParams.set("code", "c-1");
      back.searchParams.set("state", searchParams.get("state") ?? "");
      response.writeHead(302, { location: back.href }).end();
    } else if (pathname === "/revoke") {
      this.seen.push(`revoke ${form.get("token") ?? ""}`);
      response.end();
    } else this.#token(form, json);
  }

  #token(form: URLSearchParams, json: (body: object, status?: number) => void): void {
    const grant = form.get("grant_type") ?? "";
    this.seen.push(grant);
    const isDevice = grant === "urn:ietf:params:oauth:grant-type:device_code";
    if (isDevice && this.#pending-- > 0) {
      json({ error: "authorization_pending" }, 400);
      return;
    }
    const verifier = createHash("sha256").update(form.get("code_verifier") ?? "");
    const isGood =
      (isDevice && form.get("device_code") === "d-1") ||
      (grant === "authorization_code" && verifier.digest("base64url") === this.#challenge) ||
      (grant === "refresh_token" && form.get("refresh_token") === `r-${this.#refresh}`);
    if (!isGood) {
      json({ error: "invalid_grant" }, 400);
      return;
    }
    this.#refresh += 1;
    json({
      access_token: "opaque",
      token_type: "bearer",
      id_token: this.#idToken(grant === "authorization_code" ? this.#nonce : undefined),
      refresh_token: `r-${this.#refresh}`,
    });
  }

  #idToken(nonce: string | undefined): string {
    const seconds = Math.floor(Date.now() / 1000);
    const part = (value: object): string =>
      Buffer.from(JSON.stringify(value)).toString("base64url");
    const claims = {
      iss: this.url,
      aud: "meridian",
      sub: "ann",
      iat: seconds,
      exp: seconds + this.lengthSeconds,
      ...(nonce === undefined ? {} : { nonce }),
    };
    const signed = `${part({ alg: "ES256", kid: "k" })}.${part(claims)}`;
    const key = { key: this.#key, dsaEncoding: "ieee-p1363" } as const;
    return `${signed}.${sign("sha256", Buffer.from(signed), key).toString("base64url")}`;
  }

  #description(): object {
    return {
      issuer: this.url,
      jwks_uri: `${this.url}/keys`,
      authorization_endpoint: `${this.url}/authorize`,
      token_endpoint: `${this.url}/token`,
      device_authorization_endpoint: `${this.url}/device`,
      revocation_endpoint: `${this.url}/revoke`,
      response_types_supported: ["code"],
      id_token_signing_alg_values_supported: ["ES256"],
    };
  }
}

/** A server that believes the issuer, in the context `here`; and what runs commands, with what they print. */
async function running(t: TestContext, issuer: Issuer) {
  const folder = mkdtempSync(join(tmpdir(), "meridian-login-"));
  mkdirSync(join(folder, "files"));
  const oidc = {
    issuer: issuer.url,
    audience: "meridian",
    subjectClaim: "sub",
    groupsClaim: "groups",
  };
  const stateDir = join(folder, "state");
  const server = await Server.start({
    files: [join(folder, "files")],
    stateDir,
    listen: [],
    http: "127.0.0.1:0",
    access: { oidc },
    workers: 1,
    transport: "auto",
    logLevel: "silent",
    queryLog: undefined,
    replace: false,
    allowEmpty: true,
    probing: false,
  });
  const before = process.env["XDG_CONFIG_HOME"];
  process.env["XDG_CONFIG_HOME"] = folder;
  t.after(async () => {
    if (before === undefined) delete process.env["XDG_CONFIG_HOME"];
    else process.env["XDG_CONFIG_HOME"] = before;
    await server.close();
    rmSync(folder, { recursive: true });
  });
  await new ApiClient({ stateDir }).post("/v1/apply", {
    apiVersion: "meridian.dev/v1alpha1",
    kind: "Role",
    metadata: { name: "ops" },
    spec: { rules: [{ verbs: ["*"] }], members: [{ subject: "ann" }] },
  });
  const shown: string[] = [];
  const catchText = (piece: unknown): boolean => shown.push(String(piece)) > 0;
  t.mock.method(process.stdout, "write", catchText);
  t.mock.method(process.stderr, "write", catchText);
  const run = async (
    name: string,
    options: Readonly<Record<string, unknown>> = {},
    words: readonly string[] = [],
  ): Promise<ExitCode> => {
    const command = commands.find((each) => each.name === name);
    assert.ok(command !== undefined, name);
    return command.run(new CommandInput(words, options)).catch(exitCodeOf);
  };
  await run("context set", { server: server.httpAddress ?? "" }, ["here"]);
  const file = join(folder, "meridian", "contexts.json");
  return { run, shown, file };
}

test("login by a device gives commands who one is, renews it, and logout ends it", async (t) => {
  const issuer = await Issuer.start(t);
  // For less than commands want it to hold: the next one renews it.
  issuer.lengthSeconds = 20;
  const { run, shown, file } = await running(t, issuer);
  assert.equal(await run("whoami"), ExitCode.done);
  assert.match(shown.splice(0).join(""), /anonymous/);

  assert.equal(await run("login", { issuer: issuer.url, device: true }), ExitCode.done);
  assert.match(shown.splice(0).join(""), /\/go\nand enter the code WDJB-MJHT\nLogged in for here/);
  const device = "urn:ietf:params:oauth:grant-type:device_code";
  assert.deepEqual(issuer.seen.splice(0), [device, device]);
  assert.equal(statSync(file).mode & 0o777, 0o600);

  issuer.lengthSeconds = 300;
  for (let turn = 0; turn < 2; turn++) assert.equal(await run("whoami"), ExitCode.done);
  assert.match(shown.splice(0).join(""), /^(oidc:ann, who may do everything\n){2}$/);
  assert.deepEqual(issuer.seen.splice(0), ["refresh_token"], "renewed once, and kept");
  assert.equal(await run("token list"), ExitCode.done);

  assert.equal(await run("logout"), ExitCode.done);
  assert.deepEqual(issuer.seen.splice(0), ["revoke r-2"]);
  assert.ok(!readFileSync(file, "utf8").includes("r-2"));
  assert.equal(await run("token list"), ExitCode.refused);
});

test("login with a browser comes back to a port of loopback, with PKCE; what cannot be renewed is refused", async (t) => {
  const issuer = await Issuer.start(t);
  const { run, shown } = await running(t, issuer);
  const login = run("login", { issuer: issuer.url });
  let address: string | undefined;
  for (let tries = 0; address === undefined && tries < 1000; tries++) {
    address = /http:\/\/127\.0\.0\.1:[0-9]+\/authorize\?\S+/.exec(shown.join(""))?.[0];
    await new Promise((resolve) => {
      setTimeout(resolve, 10);
    });
  }
  assert.ok(address !== undefined);
  assert.match(await (await fetch(address)).text(), /Logged in/);
  assert.equal(await login, ExitCode.done);
  assert.deepEqual(issuer.seen, ["authorization_code"]);
  assert.equal(await run("token list"), ExitCode.done);
  assert.equal(readContexts().contexts["here"]?.login?.issuer, issuer.url);
  // Nobody's address, and one in clear.
  for (const other of ["http://127.0.0.1:9", "http://login.example.org"])
    assert.notEqual(await run("login", { issuer: other }), ExitCode.done);
});
