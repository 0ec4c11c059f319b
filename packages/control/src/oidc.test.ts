// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { createServer } from "node:http";
import { test, type TestContext } from "node:test";
import { SignJWT, UnsecuredJWT, exportJWK, generateKeyPair, type CryptoKey, type JWK } from "jose";
import { Oidc } from "./access/oidc.ts";
import { ApiFixture } from "./testing/api-fixture.ts";

interface SigningKey {
  readonly id: string;
  readonly key: CryptoKey;
  readonly publicKey: JWK;
}

/** A small OpenID provider: its discovery document, its keys, and tokens that it signs. */
class Issuer {
  url = "";
  keys: SigningKey[] = [];
  /** Requests by path. */
  readonly asked: string[] = [];
  isDown = false;

  static async start(context: TestContext): Promise<Issuer> {
    const issuer = new Issuer();
    const server = createServer(({ url = "" }, response) => {
      issuer.asked.push(url);
      if (issuer.isDown) response.writeHead(500).end();
      else if (url === "/.well-known/openid-configuration")
        response.end(JSON.stringify({ issuer: issuer.url, jwks_uri: `${issuer.url}/keys` }));
      else response.end(JSON.stringify({ keys: issuer.keys.map(({ publicKey }) => publicKey) }));
    });
    const { promise, resolve } = Promise.withResolvers<void>();
    server.listen(0, "127.0.0.1", resolve);
    await promise;
    context.after(() => {
      server.closeAllConnections();
      server.close();
    });
    const address = server.address();
    const port = typeof address === "object" && address !== null ? address.port : 0;
    issuer.url = `http://127.0.0.1:${port}`;
    issuer.keys.push(await makeKey("first"));
    return issuer;
  }

  sign(claims: object, by: SigningKey | undefined = this.keys[0]): Promise<string> {
    assert.ok(by !== undefined);
    const seconds = Math.floor(Date.now() / 1000);
    const standard = {
      iss: this.url,
      aud: "meridian",
      sub: "u-1",
      iat: seconds,
      exp: seconds + 300,
    };
    return new SignJWT({ ...standard, ...claims })
      .setProtectedHeader({ alg: "ES256", kid: by.id })
      .sign(by.key);
  }
}

async function makeKey(id: string): Promise<SigningKey> {
  const { privateKey, publicKey } = await generateKeyPair("ES256");
  return { id, key: privateKey, publicKey: { ...(await exportJWK(publicKey)), kid: id } };
}

const settings = (issuer: Issuer) => ({
  issuer: issuer.url,
  audience: "meridian",
  subjectClaim: "email",
  groupsClaim: "groups",
});

test("tokens of an OpenID provider have the roles whose members they are, and no others", async (context) => {
  const issuer = await Issuer.start(context);
  const api = await ApiFixture.start(context, {}, { access: { oidc: settings(issuer) } });
  const role = (name: string, rules: readonly object[], members: readonly object[]): object => ({
    apiVersion: "meridian.dev/v1alpha1",
    kind: "Role",
    metadata: { name },
    spec: { rules, members },
  });
  const body = [
    role("ops", [{ verbs: ["*"] }], [{ group: "gtm-admins" }]),
    role(
      "shop",
      [{ verbs: ["apply", "list"], namespaces: ["shop"] }],
      [{ subject: "bo@example.org" }],
    ),
    role("certified", [{ verbs: ["*"] }], [{ certificate: "bo@example.org" }]),
  ];
  assert.equal((await api.local("POST", "/v1/apply", { body })).status, 200);
  const pool = (namespace: string): object => ({
    apiVersion: "meridian.dev/v1alpha1",
    kind: "Pool",
    metadata: { name: "web", namespace },
    spec: { members: { a: { address: "192.0.2.1" } } },
  });
  const apply = async (claims: object, namespace: string) => {
    const token = await issuer.sign(claims);
    return api.http("POST", "/v1/apply", { token, body: pool(namespace) });
  };
  const ann = { email: "ann@example.org", groups: ["staff", "gtm-admins"] };
  const bo = { email: "bo@example.org", groups: "staff" };
  assert.equal((await apply(ann, "default")).status, 200);
  assert.equal((await apply(bo, "shop")).status, 200);
  assert.deepEqual((await apply(bo, "default")).status, 403);
  assert.equal((await apply({ email: "eve@example.org" }, "shop")).status, 403);
  const who = await api.http("GET", "/v1/whoami", { token: await issuer.sign(ann) });
  assert.deepEqual([who.body.subject, who.body.isAdmin], ["oidc:ann@example.org", true]);
  const audit = await api.local("GET", "/v1/audit");
  assert.match(audit.text, /"subject":"oidc:ann@example\.org"/);

  // A change of the role counts at once.
  await api.local("POST", "/v1/apply", { body: role("ops", [{ verbs: ["*"] }], []) });
  assert.equal((await apply(ann, "default")).status, 403);
});

test("a token that is foreign, expired, forged or for somebody else is not taken, and never shown", async (context) => {
  const issuer = await Issuer.start(context);
  const api = await ApiFixture.start(context, {}, { access: { oidc: settings(issuer) } });
  const past = Math.floor(Date.now() / 1000) - 3600;
  const email = "ann@example.org";
  const good = await issuer.sign({ email });
  const [header = "", payload = "", signature = ""] = good.split(".");
  const forged = Buffer.from(
    JSON.stringify({ ...JSON.parse(Buffer.from(payload, "base64url").toString()), email: "eve" }),
  ).toString("base64url");
  const unsigned = new UnsecuredJWT({ email, sub: "u-1" })
    .setIssuer(issuer.url)
    .setAudience("meridian")
    .setExpirationTime("5m")
    .encode();
  const wrong: readonly (readonly [string, RegExp])[] = [
    [await issuer.sign({ email, exp: past }), /it has expired/],
    [await issuer.sign({ email, iss: "http://127.0.0.1:9" }), /"iss"/],
    [await issuer.sign({ email, aud: "other" }), /"aud"/],
    [await issuer.sign({ email, nbf: Date.now() }), /"nbf"/],
    [await issuer.sign({ email: 7 }), /its claim "email" is no text/],
    [await issuer.sign({ email }, await makeKey("first")), /signature/],
    [await issuer.sign({ email }, await makeKey("unknown")), /no applicable key/],
    [`${header}.${forged}.${signature}`, /signature/],
    [`${unsigned}AA`, /it is not good/],
  ];
  for (const [token, reason] of wrong) {
    const answer = await api.http("GET", "/v1/status", { token });
    assert.deepEqual([answer.status, answer.body.code], [401, "ACCESS_UNAUTHENTICATED"]);
    assert.match(answer.body.error, reason);
    assert.ok(!answer.text.includes(token.slice(-20)));
  }
  const log = await api.local("GET", "/v1/audit/refusals");
  assert.equal(log.rows.length, wrong.length);
  assert.equal((await api.http("GET", "/v1/whoami", { token: good })).status, 200);
});

test("keys are kept, read again for one that is not known, and a provider that is away is told apart", async (context) => {
  const issuer = await Issuer.start(context);
  const oidc = new Oidc({ ...settings(issuer), subjectClaim: "sub" }, Date.now, 0);
  const first = await issuer.sign({});
  issuer.isDown = true;
  await assert.rejects(oidc.read(first), { code: "ACCESS_ISSUER_UNREACHABLE" });
  issuer.isDown = false;
  for (let turn = 0; turn < 3; turn++)
    assert.deepEqual(await oidc.read(first), { subject: "oidc:u-1", proofs: [{ subject: "u-1" }] });
  assert.equal(issuer.asked.filter((path) => path === "/keys").length, 1);
  const next = await makeKey("second");
  issuer.keys = [next];
  assert.equal(typeof (await oidc.read(await issuer.sign({}, next))), "object");
  assert.equal(issuer.asked.filter((path) => path === "/keys").length, 2);
  issuer.isDown = true;
  assert.equal(typeof (await oidc.read(await issuer.sign({}, next))), "object", "known keys hold");
  const unknown = issuer.sign({}, await makeKey("third"));
  await assert.rejects(oidc.read(await unknown), { code: "ACCESS_ISSUER_UNREACHABLE" });
});
