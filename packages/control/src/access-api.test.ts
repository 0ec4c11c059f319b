// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { request } from "node:http";
import { join } from "node:path";
import { test } from "node:test";
import { ApiFixture } from "./testing/api-fixture.ts";

const apiVersion = "meridian.dev/v1alpha1";
const zone = (origin: string, namespace: string): object => ({
  apiVersion,
  kind: "Zone",
  metadata: { name: origin, namespace },
  spec: { origin, nameServers: [{ name: "ns1.example.net" }] },
});
const pool = (namespace: string, name: string, labels: object = {}): object => ({
  apiVersion,
  kind: "Pool",
  metadata: { namespace, name, labels },
  spec: { members: { one: { address: "192.0.2.7" } } },
});
const record = (namespace: string, name: string): object => ({
  apiVersion,
  kind: "Record",
  metadata: { namespace, name },
  spec: { name, pool: "web" },
});

test("HTTP reads on loopback without a token, and writes with one that a role allows, expires and is revoked", async (t) => {
  const api = await ApiFixture.start(t, {});
  assert.equal((await api.http("GET", "/v1/documents/Pool")).status, 200);
  const open = await api.http("POST", "/v1/apply", { body: pool("default", "web") });
  assert.deepEqual([open.status, open.body.code], [401, "ACCESS_UNAUTHENTICATED"]);

  const body = { subject: "deployer", roles: ["admin"], expiresIn: "1h" };
  const made = await api.local("POST", "/v1/tokens", { body });
  const { token, name } = made.body;
  const used = await api.http("POST", "/v1/apply", { body: pool("default", "web"), token });
  assert.equal(used.status, 200, JSON.stringify(used.body));
  const listed = await api.local("GET", "/v1/tokens");
  assert.deepEqual(Object.keys(listed.rows[0] ?? {}), ["name", "subject", "roles", "expiresAt"]);
  const read = await api.local("GET", `/v1/documents/Token/${name}`);
  assert.equal(read.body.spec.hash, undefined);
  const secret = token.split("_").slice(2).join("_");
  const stored = readFileSync(join(api.folder, "store.sqlite-wal")).toString("latin1");
  assert.ok(stored.includes("deployer") && !stored.includes(secret));

  for (const foreign of ["mrd_0123456789_" + "A".repeat(43), "nonsense", `${token}x`]) {
    const refused = await api.http("GET", "/v1/whoami", { token: foreign });
    assert.deepEqual([refused.status, refused.body.code], [401, "ACCESS_UNAUTHENTICATED"]);
    assert.ok(!JSON.stringify(refused.body).includes(foreign));
  }
  const short = { subject: "brief", roles: ["admin"], expiresIn: "1ms" };
  const expired = (await api.local("POST", "/v1/tokens", { body: short })).body.token;
  const late = await api.http("GET", "/v1/status", { token: expired });
  assert.match(late.body.error, /it expired at/);
  assert.equal((await api.local("DELETE", `/v1/tokens/${name}`)).status, 200);
  assert.equal((await api.http("GET", "/v1/status", { token })).status, 401);
  for (const wrong of [{}, { subject: "x", roles: ["nobody"] }, { subject: "x", roles: [] }])
    assert.equal((await api.local("POST", "/v1/tokens", { body: wrong })).status, 400);
});

test("a role that allows one verb can do just that", async (t) => {
  const api = await ApiFixture.start(t, {});
  await api.local("POST", "/v1/apply", { body: pool("default", "web") });
  const asked = [
    ["get", "GET", "/v1/documents/Pool/default/web", undefined],
    ["list", "GET", "/v1/documents/Pool", undefined],
    ["history", "GET", "/v1/history", undefined],
    ["diff", "POST", "/v1/diff", pool("default", "web")],
    ["apply", "POST", "/v1/apply?dryRun=true", pool("default", "web")],
    ["delete", "DELETE", "/v1/documents/Pool/default/web?dryRun=true", undefined],
    ["rollback", "POST", "/v1/rollback?revision=0&dryRun=true", undefined],
    ["explain", "GET", "/v1/explain?name=www.example.org", undefined],
    [
      "drain",
      "POST",
      "/v1/shifts",
      { target: "pool/default/web", reason: "r", expiresIn: "1m", dryRun: true },
    ],
    ["undrain", "DELETE", "/v1/shifts?target=pool/default/web", undefined],
    ["failback", "POST", "/v1/failback?node=default/p/n", undefined],
    ["reload", "POST", "/v1/reload", undefined],
    ["audit", "GET", "/v1/audit", undefined],
    ["token", "GET", "/v1/tokens", undefined],
  ] as const;
  for (const [verb] of asked) {
    const token = await api.tokenOf(`only-${verb}`, [{ verbs: [verb] }]);
    for (const [other, method, path, body] of asked) {
      const answer = await api.http(method, path, body === undefined ? { token } : { token, body });
      const isAllowed = answer.status !== 403;
      assert.equal(
        isAllowed,
        verb === other,
        `${verb} asked for ${other}: ${JSON.stringify(answer.body)}`,
      );
    }
  }
});

test("tenants cannot see, change or claim each other's names; each attempt is audited", async (t) => {
  const api = await ApiFixture.start(t, {});
  const shop = await api.tokenOf("shop", [{ verbs: ["*"], namespaces: ["shop"] }]);
  const bank = await api.tokenOf("bank", [{ verbs: ["*"], namespaces: ["bank"] }]);
  const own = await api.http("POST", "/v1/apply", {
    token: shop,
    body: [
      zone("shop.example.org", "shop"),
      pool("shop", "web"),
      record("shop", "www.shop.example.org"),
    ],
  });
  assert.equal(own.status, 200, JSON.stringify(own.body));
  assert.equal(
    (await api.http("POST", "/v1/apply", { token: bank, body: pool("bank", "web") })).status,
    200,
  );

  const attempts = [
    [pool("shop", "web"), 403, "ACCESS_DENIED"],
    [zone("pay.shop.example.org", "bank"), 403, "ACCESS_DENIED"],
    [zone("www.shop.example.org", "bank"), 400, "DOCUMENTS_INVALID"],
    [zone("example.org", "bank"), 403, "ACCESS_DENIED"],
    [zone("shop.example.org", "bank"), 400, "DOCUMENTS_INVALID"],
    [record("bank", "pay.shop.example.org"), 400, "DOCUMENTS_INVALID"],
    [{ apiVersion, kind: "Site", metadata: { name: "eu" }, spec: {} }, 403, "ACCESS_DENIED"],
    [
      { apiVersion, kind: "Role", metadata: { name: "bank" }, spec: { rules: [{ verbs: ["*"] }] } },
      403,
      "ACCESS_DENIED",
    ],
  ] as const;
  for (const [body, status, code] of attempts) {
    const refused = await api.http("POST", "/v1/apply", { token: bank, body });
    assert.deepEqual(
      [refused.status, refused.body.code],
      [status, code],
      JSON.stringify(refused.body),
    );
  }
  assert.equal((await api.http("GET", "/v1/documents/Pool/shop/web", { token: bank })).status, 404);
  const seen = await api.http("GET", "/v1/documents", { token: bank });
  assert.deepEqual(
    seen.body.items.map(({ metadata }) => metadata.namespace),
    ["bank"],
  );
  const endpoints = await api.http("GET", "/v1/endpoints", { token: bank });
  assert.deepEqual(
    endpoints.body.items.map(({ endpoint }) => endpoint),
    ["endpoint/bank/web/one"],
  );
  assert.equal(
    (
      await api.http("POST", "/v1/shifts", {
        token: bank,
        body: { target: "pool/shop/web", reason: "r", expiresIn: "1m" },
      })
    ).status,
    403,
  );
  assert.deepEqual((await api.http("GET", "/v1/history", { token: bank })).body.items.length, 1);
  assert.equal((await api.http("POST", "/v1/rollback?revision=1", { token: bank })).status, 403);

  const page = await api.http("GET", "/v1/endpoints?limit=1", { token: shop });
  const token = page.body.continue ?? "";
  assert.ok(!Buffer.from(token, "base64url").includes("bank") && token.startsWith("sealed."));
  const rest = await api.http("GET", `/v1/endpoints?limit=1&continue=${token}`, { token: shop });
  assert.deepEqual(
    [...page.body.items, ...rest.body.items].map(({ endpoint }) => endpoint),
    ["endpoint/shop/web/one"],
  );

  const refusals = await api.local("GET", "/v1/audit/refusals");
  assert.equal(refusals.rows.length, attempts.length + 2);
  assert.deepEqual([...new Set(refusals.rows.map(({ subject }) => subject))], ["user of bank"]);
  const verified = await api.local("GET", "/v1/audit/verify");
  assert.deepEqual(verified.body, { ok: true, problems: [] });
});

test("a document of a file is not told of to who may not delete it", async (t) => {
  const api = await ApiFixture.start(t, { "pool.json": JSON.stringify(pool("shop", "web")) });
  const path = "/v1/documents/Pool/shop/web";
  for (const [namespace, status] of [
    ["shop", 409],
    ["bank", 404],
  ] as const) {
    const token = await api.tokenOf(namespace, [{ verbs: ["delete"], namespaces: [namespace] }]);
    const refused = await api.http("DELETE", path, { token });
    assert.equal(refused.status, status);
    assert.equal(refused.text.includes("pool.json"), namespace === "shop");
  }
});

test("rules by label and by zone hold for what was there and for what is to be", async (t) => {
  const api = await ApiFixture.start(t, {});
  const token = await api.tokenOf("web", [
    { verbs: ["apply", "get"], kinds: ["Pool"], labels: { team: "web" } },
    { verbs: ["apply"], kinds: ["Record", "Zone"], zones: ["web.example.org"] },
  ]);
  const apply = async (body: object): Promise<number> =>
    (await api.http("POST", "/v1/apply", { token, body })).status;
  await api.local("POST", "/v1/apply", {
    body: [pool("default", "other", { team: "db" }), zone("example.org", "default")],
  });
  assert.equal(await apply(pool("default", "web", { team: "web" })), 200);
  assert.equal(await apply(pool("default", "web", { team: "db" })), 403);
  assert.equal(await apply(pool("default", "other", { team: "web" })), 403);
  assert.equal(await apply(record("default", "a.web.example.org")), 200);
  assert.equal(await apply(record("default", "a.example.org")), 403);
  assert.equal(await apply(record("default", "xweb.example.org")), 403);
});

test("every write is in the audit log with who, what, why, before and after", async (t) => {
  const api = await ApiFixture.start(t, {});
  await api.local("POST", "/v1/apply?reason=new", {
    body: pool("default", "web"),
    headers: { "meridian-actor": "alice" },
  });
  await api.local("DELETE", "/v1/documents/Pool/default/web?reason=old");
  await api.local("POST", "/v1/reload");
  const [reload, gone, made] = (await api.local("GET", "/v1/audit?texts=true")).rows;
  assert.deepEqual(
    [made?.verb, made?.who, made?.reason],
    ["apply", { subject: "local", actor: "alice" }, "new"],
  );
  assert.deepEqual(
    [gone?.verb, gone?.reason, gone?.changes[0]?.change],
    ["delete", "old", "deleted"],
  );
  assert.deepEqual(gone?.changes[0]?.before, made?.changes[0]?.after);
  assert.equal(gone?.changes[0]?.after, undefined);
  assert.equal(reload?.verb, "reload");
});

test("a watch tells every change once and in order, and goes on where it was left", async (t) => {
  const api = await ApiFixture.start(t, {});
  const first = await watch(api, "/v1/documents/Pool?watch=true", {});
  for (const name of ["a", "b"])
    await api.local("POST", "/v1/apply", { body: pool("default", name) });
  await api.local("POST", "/v1/apply", {
    body: { apiVersion, kind: "Site", metadata: { name: "eu" }, spec: {} },
  });
  await api.local("DELETE", "/v1/documents/Pool/default/a");
  assert.deepEqual(await first.take(3), [
    ["1", ["applied a"]],
    ["2", ["applied b"]],
    ["4", ["deleted a"]],
  ]);
  const again = await watch(api, "/v1/documents/Pool?watch=true", { "last-event-id": "1" });
  assert.deepEqual(await again.take(2), [
    ["2", ["applied b"]],
    ["4", ["deleted a"]],
  ]);
  first.close();
  again.close();
  await api.store.compact(4);
  const gone = await api.http("GET", "/v1/documents/Pool?watch=true&revision=1");
  assert.deepEqual([gone.status, gone.body.code], [410, "STORE_COMPACTED"]);
});

test("a token of what was seen is met or refused, and a forged one is neither", async (t) => {
  const api = await ApiFixture.start(t, {});
  const made = await api.local("POST", "/v1/apply", { body: pool("default", "a") });
  const seen = made.headers.get("meridian-seen") ?? "";
  const path = "/v1/documents/Pool?consistency=session";
  const met = await api.local("GET", path, { headers: { "meridian-seen": seen } });
  assert.deepEqual([met.status, met.headers.get("meridian-revision")], [200, "1"]);
  const forged = await api.local("GET", path, { headers: { "meridian-seen": `${seen}x` } });
  assert.equal(forged.status, 400);
  for (const consistency of ["strong", "causal", "bounded", "eventual"]) {
    const answer = await api.local("GET", `/v1/documents/Pool?consistency=${consistency}`);
    assert.deepEqual([answer.status, answer.headers.get("meridian-staleness-ms")], [200, "0"]);
  }
  assert.equal((await api.local("GET", "/v1/documents/Pool?consistency=perfect")).status, 400);
});

/** Reads events as they come. */
async function watch(
  api: ApiFixture,
  path: string,
  headers: Readonly<Record<string, string>>,
): Promise<{ take: (count: number) => Promise<unknown[]>; close: () => void }> {
  const started = Promise.withResolvers<void>();
  let text = "";
  let more = Promise.withResolvers<void>();
  const asked = request(new URL(path, api.address), { headers, agent: false });
  asked.on("error", () => {});
  asked.on("response", (response) => {
    response.setEncoding("utf8");
    response.on("error", () => {});
    response.on("data", (chunk: string) => {
      text += chunk;
      started.resolve();
      more.resolve();
      more = Promise.withResolvers<void>();
    });
  });
  asked.end();
  await started.promise;
  const events = (): unknown[] =>
    [...text.matchAll(/id: (\d+)\nevent: change\ndata: (.*)\n\n/g)].map(([, id, data = ""]) => [
      id,
      [...data.matchAll(/"change":"(\w+)","kind":"\w+","namespace":"\w*","name":"(\w+)"/g)].map(
        ([, change, name]) => `${change} ${name}`,
      ),
    ]);
  return {
    take: async (count) => {
      while (events().length < count) await more.promise;
      return events();
    },
    close: () => asked.destroy(),
  };
}

test("what comes too fast is told to come later, by token, and a wrong token slower than others", async (t) => {
  const api = await ApiFixture.start(t, {});
  const statuses = await Promise.all(
    Array.from({ length: 40 }, () => api.http("GET", "/v1/whoami", { token: "mrd_wrong" })),
  );
  const limited = statuses.filter(({ status }) => status === 429);
  assert.ok(limited.length > 0 && limited.length <= 20, String(limited.length));
  assert.ok(
    limited.every(
      ({ body, headers }) => body.code === "ACCESS_LIMITED" && headers.has("retry-after"),
    ),
  );
  // Who has none is not kept out by who has a wrong one.
  assert.equal((await api.http("GET", "/v1/whoami")).status, 200);
});

test("what is too large, shown by a stranger or too late, or leaves too little is refused, audited, and nothing half done", async (t) => {
  const names = Array.from({ length: 12 }, (_, at) => ({
    ...{ name: `n${at}`, type: "A", values: ["192.0.2.1"] },
  }));
  const zone = {
    ...{ apiVersion: "meridian.dev/v1alpha1", kind: "Zone", metadata: { name: "example.org" } },
    spec: { origin: "example.org", nameServers: [{ name: "ns1.example.net" }], records: names },
  };
  const api = await ApiFixture.start(t, {});
  assert.equal((await api.local("POST", "/v1/apply", { body: zone })).status, 200);
  const request = { subject: "late", roles: ["admin"], expiresIn: "1ms" };
  const expired = (await api.local("POST", "/v1/tokens", { body: request })).body.token;
  const { revision } = await api.store.head();
  const served = api.embedded.revision;
  const foreign = `mrd_0123456789_${"A".repeat(43)}`;
  const write = { method: "POST", path: "/v1/apply", body: pool("default", "web") } as const;
  const asked = [
    [await api.http(write.method, write.path, { token: expired, body: write.body }), 401],
    [await api.http(write.method, write.path, { token: foreign, body: write.body }), 401],
    [await api.local("POST", "/v1/apply", { body: Buffer.alloc(50_000_000, 32).toString() }), 413],
    [
      await api.local("POST", "/v1/apply", {
        body: [write.body, { ...zone, spec: { ...zone.spec, records: names.slice(0, 2) } }],
      }),
      409,
    ],
    [await api.local("DELETE", "/v1/documents/Zone/default/example.org"), 409],
  ] as const;
  for (const [answer, status] of asked) assert.equal(answer.status, status, answer.text);
  const { rows } = await api.local("GET", "/v1/audit/refusals");
  assert.deepEqual(
    rows.map((row) => ["subject", "request", "code"].map((name) => String(Reflect.get(row, name)))),
    [
      ["anonymous", "POST /v1/apply", "ACCESS_UNAUTHENTICATED"],
      ["anonymous", "POST /v1/apply", "ACCESS_UNAUTHENTICATED"],
      ["local", "POST /v1/apply", "REQUEST_TOO_LARGE"],
      ["local", "POST /v1/apply", "DOCUMENTS_SHRINK"],
      ["local", "DELETE /v1/documents/Zone/default/example.org", "DOCUMENTS_SHRINK"],
    ],
  );
  assert.equal((await api.store.head()).revision, revision);
  assert.equal(api.embedded.revision, served);
  assert.equal((await api.local("GET", "/v1/documents/Pool/default/web")).status, 404);
});
