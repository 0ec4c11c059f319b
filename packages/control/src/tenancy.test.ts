// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import { ApiFixture, type Answered } from "./testing/api-fixture.ts";

const document = (kind: string, namespace: string, name: string, spec: object): object => ({
  apiVersion: "meridian.dev/v1alpha1",
  kind,
  metadata: namespace === "" ? { name } : { name, namespace },
  spec,
});
const zone = (origin: string, namespace: string, records: readonly object[] = []): object =>
  document("Zone", namespace, origin, {
    origin,
    nameServers: [{ name: "ns1.example.edu" }],
    records,
  });
const pool = (namespace: string, name: string, members = 1): object =>
  document("Pool", namespace, name, {
    members: Object.fromEntries(
      Array.from({ length: members }, (_, at) => [`m${at}`, { address: `192.0.2.${at + 1}` }]),
    ),
  });
const record = (namespace: string, name: string, target: object): object =>
  document("Record", namespace, name, { name, ...target });
const tenant = (name: string, spec: object): object => document("Tenant", "", name, spec);

/** Two tenants, each with a token that may do everything in its namespace. */
async function twoTenants(context: TestContext): Promise<{
  readonly api: ApiFixture;
  readonly shop: (method: string, path: string, body?: object) => Promise<Answered>;
  readonly rival: (method: string, path: string, body?: object) => Promise<Answered>;
}> {
  const api = await ApiFixture.start(context, {});
  const made = await api.local("POST", "/v1/apply", {
    body: [
      tenant("shop", { namespaces: ["shop"], domains: ["shop.example.org"] }),
      tenant("rival", { namespaces: ["rival"], domains: ["rival.example.org", "Example.Net."] }),
    ],
  });
  assert.equal(made.status, 200, made.text);
  const asker = async (name: string) => {
    const token = await api.tokenOf(name, [{ verbs: ["*"], namespaces: [name] }]);
    return (method: string, path: string, body?: object) =>
      api.http(method, path, { token, ...(body === undefined ? {} : { body }) });
  };
  return { api, shop: await asker("shop"), rival: await asker("rival") };
}

test("a tenant claims names of its own domains alone, and what is refused is audited", async (context) => {
  const { api, shop, rival } = await twoTenants(context);
  const apply = "/v1/apply";
  assert.equal((await shop("POST", apply, zone("shop.example.org", "shop"))).status, 200);
  assert.equal((await rival("POST", apply, zone("example.net", "rival"))).status, 200);
  const refused = [
    zone("shop.example.org", "rival"),
    zone("api.shop.example.org", "rival"),
    zone("example.org", "rival"),
    zone("rival.example.org", "rival", [
      { name: "www.shop.example.org.", type: "A", values: ["192.0.2.1"] },
    ]),
    record("rival", "www.SHOP.example.org", { pool: "web" }),
  ];
  for (const each of refused) {
    const answer = await rival("POST", apply, each);
    assert.deepEqual([answer.status, answer.body.code], [403, "NAME_NOT_OWNED"], answer.text);
  }
  // Nor may somebody else of no tenant, not even an administrator by mistake.
  const admin = await api.local("POST", apply, { body: zone("a.shop.example.org", "default") });
  assert.equal(admin.body.code, "NAME_NOT_OWNED");
  assert.equal(
    (await api.local("POST", apply, { body: zone("example.com", "default") })).status,
    200,
  );

  const log = await api.local("GET", "/v1/audit/refusals");
  const codes = log.rows
    .filter(({ subject }) => subject === "user of rival")
    .map(({ code }) => code);
  assert.deepEqual(
    codes,
    refused.map(() => "NAME_NOT_OWNED"),
  );
  assert.equal((await api.local("GET", "/v1/audit/verify")).body.ok, true);
});

test("a tenant sees nothing of another's, and every attempt is refused and audited", async (context) => {
  const { api, shop, rival } = await twoTenants(context);
  const mine = [zone("shop.example.org", "shop"), pool("shop", "web")];
  const names = [record("shop", "www.shop.example.org", { pool: "web" })];
  assert.equal((await shop("POST", "/v1/apply", [...mine, ...names])).status, 200);
  for (const path of [
    "/v1/documents",
    "/v1/documents/Zone",
    "/v1/documents/Record/shop",
    "/v1/records",
    "/v1/pools",
    "/v1/endpoints",
    "/v1/history",
  ]) {
    const answer = await rival("GET", path);
    assert.equal(answer.status, 200, path);
    assert.doesNotMatch(answer.text, /shop/, path);
    assert.match((await shop("GET", path)).text, /shop/, path);
  }
  assert.equal((await rival("GET", "/v1/documents/Pool/shop/web")).status, 404);
  const attempts = [
    await rival("POST", "/v1/apply", pool("shop", "web", 2)),
    await rival("DELETE", "/v1/documents/Pool/shop/web"),
    await rival("POST", "/v1/shifts", { target: "pool/shop/web", reason: "r", expiresIn: "1m" }),
    // What is looked at is what is done, whatever else is said.
    await rival("POST", "/v1/failback?node=shop/p/n", { node: "rival/p/n" }),
    await rival("POST", "/v1/push?endpoint=endpoint/shop/web/m0&status=healthy", {
      endpoint: "endpoint/rival/web/m0",
    }),
    await rival("GET", "/v1/explain?name=www.shop.example.org"),
    await rival("POST", "/v1/apply", tenant("rival", { namespaces: ["rival", "shop"] })),
    await rival("DELETE", "/v1/documents/Tenant/rival"),
  ];
  assert.deepEqual(
    attempts.map(({ status }) => status),
    attempts.map(() => 403),
  );
  const log = await api.local("GET", "/v1/audit/refusals");
  const refusals = log.rows.filter(({ subject }) => subject === "user of rival");
  assert.equal(refusals.length, attempts.length);
});

test("quotas bound what a tenant holds, in all its namespaces; what was there may shrink", async (context) => {
  const api = await ApiFixture.start(context, {});
  const apply = (...body: object[]) => api.local("POST", "/v1/apply", { body });
  const quotas = { names: 3, endpoints: 4, documents: { Pool: 2, Notification: 1 } };
  await apply(tenant("shop", { namespaces: ["shop", "shop-test"], quotas }));
  const first = await apply(pool("shop", "a", 2), pool("shop-test", "b", 2));
  assert.equal(first.status, 200, first.text);
  const more = await apply(pool("shop", "c", 1));
  assert.deepEqual([more.status, more.body.code], [403, "QUOTA_EXCEEDED"]);
  assert.match(
    more.body.error,
    /it would have 5 endpoints, expected at most 4; it would have 3 documents of kind Pool, expected at most 2/,
  );
  assert.equal((await apply(pool("default", "c", 9))).status, 200, "others have no bound");
  const owner = (name: string) => ({ name, type: "A", values: ["192.0.2.1"] });
  const text = { name: "a.shop.example.org.", type: "TXT", values: ['"a"'] };
  const two = [owner("a"), text, owner("b")];
  assert.equal((await apply(zone("shop.example.org", "shop", two))).status, 200);
  const named = (name: string) => record("shop", `${name}.shop.example.org`, { pool: "a" });
  assert.equal((await apply(named("x"))).status, 200);
  assert.equal((await apply(named("y"))).body.code, "QUOTA_EXCEEDED");
  const hook = (name: string) =>
    document("Notification", "shop", name, { webhook: { url: "http://192.0.2.1/" } });
  assert.equal((await apply(hook("a"))).status, 200);
  assert.equal((await apply(hook("b"))).body.code, "QUOTA_EXCEEDED");

  await apply(tenant("shop", { namespaces: ["shop", "shop-test"], quotas: { endpoints: 1 } }));
  assert.equal((await apply(pool("shop", "a", 1))).status, 200, "less than before is no excess");
  assert.equal((await apply(pool("shop", "a", 2))).body.code, "QUOTA_EXCEEDED");
  const taken = await apply(tenant("other", { namespaces: ["shop-test"] }));
  assert.match(taken.body.error, /the namespace "shop-test" is that of Tenant\/shop/);
});

test("documents name those of another namespace with a Grant there, which stays while it is used", async (context) => {
  const { api, shop, rival } = await twoTenants(context);
  await rival("POST", "/v1/apply", pool("rival", "web"));
  const mine = [
    zone("shop.example.org", "shop"),
    record("shop", "www.shop.example.org", { pool: "rival/web" }),
  ];
  for (const target of ["rival/web", "rival/none"]) {
    const name = record("shop", "www.shop.example.org", { pool: target });
    const refused = await shop("POST", "/v1/apply", [mine[0] ?? {}, name]);
    // The same words whether it is there or not.
    assert.equal(refused.body.code, "REFERENCE_NOT_GRANTED");
    assert.match(refused.body.error, /expected a Grant in namespace "rival" that lets it/);
  }
  const grant = (name: string) =>
    document("Grant", "rival", "for-shop", {
      from: [{ kind: "Record", namespace: "shop" }],
      to: [{ kind: "Pool", name }],
    });
  assert.equal((await shop("POST", "/v1/apply", grant("web"))).status, 403);
  assert.equal((await rival("POST", "/v1/apply", grant("web"))).status, 200);
  const made = await shop("POST", "/v1/apply", mine);
  assert.equal(made.status, 200, made.text);
  const explained = await api.local("GET", "/v1/explain?name=www.shop.example.org");
  assert.match(explained.text, /192\.0\.2\.1/);
  const rows = await api.local("GET", "/v1/records");
  assert.match(rows.text, /"target":"pool\/rival\/web"/);

  const away = [
    await rival("POST", "/v1/apply", grant("other")),
    await rival("DELETE", "/v1/documents/Grant/rival/for-shop"),
  ];
  assert.deepEqual(
    away.map(({ body }) => body.code),
    ["DOCUMENT_REFERENCED", "DOCUMENT_REFERENCED"],
  );
  assert.equal(
    (await shop("DELETE", "/v1/documents/Record/shop/www.shop.example.org")).status,
    200,
  );
  assert.equal((await rival("DELETE", "/v1/documents/Grant/rival/for-shop")).status, 200);
});
