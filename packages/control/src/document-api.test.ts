// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { ApiFixture, type AnswerBody } from "./testing/api-fixture.ts";

const apiVersion = "meridian.dev/v1alpha1";
const files = {
  "zone.yaml": `apiVersion: ${apiVersion}
kind: Zone
metadata: {name: example.org}
spec: {origin: example.org, nameServers: [{name: ns1.example.net}]}
---
apiVersion: ${apiVersion}
kind: Pool
metadata: {name: from-file}
spec: {members: {one: {address: 192.0.2.1}}}
`,
};

const pool = (name: string, address = "192.0.2.7", more: object = {}): object => ({
  apiVersion,
  kind: "Pool",
  metadata: { name, ...more },
  spec: { members: { one: { address } } },
});
const record = (name: string, target: string, namespace = "default"): object => ({
  apiVersion,
  kind: "Record",
  metadata: { name, namespace },
  spec: { name, pool: target },
});

test("documents are applied over the socket, served beside files, read, changed and deleted", async (t) => {
  const api = await ApiFixture.start(t, files);

  const made = await api.local("POST", "/v1/apply?reason=first", {
    body: [pool("web"), record("www.example.org", "web")],
  });
  assert.equal(made.status, 200, JSON.stringify(made.body));
  assert.deepEqual(
    made.body.changes.map(({ kind, change }) => [kind, change]),
    [
      ["Pool", "created"],
      ["Record", "created"],
    ],
  );
  const explained = await api.local("GET", "/v1/explain?name=www.example.org");
  assert.match(explained.text, /192\.0\.2\.7/);

  const read = await api.local("GET", "/v1/documents/Pool/default/web");
  assert.equal(read.body.metadata.owner, "api");
  assert.equal(read.body.metadata.resourceVersion, "1");
  assert.equal(read.headers.get("meridian-revision"), "1");

  const same = await api.local("PUT", "/v1/documents/Pool/default/web", { body: pool("web") });
  assert.deepEqual([same.body.changes[0]?.change, same.body.revision], ["unchanged", 1]);
  const changed = await api.local("PUT", "/v1/documents/Pool/default/web", {
    body: pool("web", "192.0.2.8", { resourceVersion: "1" }),
  });
  assert.deepEqual([changed.body.changes[0]?.change, changed.body.revision], ["configured", 2]);
  const late = await api.local("PUT", "/v1/documents/Pool/default/web", {
    body: pool("web", "192.0.2.9", { resourceVersion: "1" }),
  });
  assert.deepEqual([late.status, late.body.code], [409, "DOCUMENT_CONFLICT"]);

  const named = await api.local("DELETE", "/v1/documents/Pool/default/web");
  assert.deepEqual([named.status, named.body.code], [409, "DOCUMENT_REFERENCED"]);
  assert.deepEqual(named.body.referrers, ["Record/default/www.example.org"]);
  const dry = await api.local("DELETE", "/v1/documents/Pool/default/web?cascade=true&dryRun=true");
  assert.equal(dry.body.changes.length, 2);
  const gone = await api.local("DELETE", "/v1/documents/Pool/default/web?cascade=true");
  assert.deepEqual([gone.status, gone.body.revision], [200, 3], JSON.stringify(gone.body));
  assert.equal((await api.local("GET", "/v1/documents/Pool/default/web")).status, 404);

  const back = await api.local("POST", "/v1/rollback?revision=2&reason=again");
  assert.deepEqual([back.status, back.body.revision], [200, 4], JSON.stringify(back.body));
  const between = await api.local("GET", "/v1/diff?from=1&to=4");
  assert.deepEqual(between.body.changes, [
    {
      kind: "Pool",
      namespace: "default",
      name: "web",
      change: "configured",
      differences: [{ path: "spec.members.one.address", before: "192.0.2.7", after: "192.0.2.8" }],
    },
  ]);
  const history = await api.local("GET", "/v1/history?document=Pool/default/web");
  assert.deepEqual(
    history.body.items.map(({ verb }) => verb),
    ["rollback", "delete", "apply", "apply"],
  );
  assert.equal(history.body.items[3]?.reason, "first");
});

test("a document of a file is refused with its file and line, and a file's of the API too", async (t) => {
  const api = await ApiFixture.start(t, files);
  const place = join(api.folder, "files", "zone.yaml");

  const taken = await api.local("POST", "/v1/apply", { body: pool("from-file") });
  assert.deepEqual([taken.status, taken.body.code], [409, "DOCUMENT_OWNED"]);
  assert.ok(taken.body.error.includes(`file:${place}, line 6`), taken.body.error);
  const deleted = await api.local("DELETE", "/v1/documents/Pool/default/from-file");
  assert.deepEqual([deleted.status, deleted.body.code], [409, "DOCUMENT_OWNED"]);
  const read = await api.local("GET", "/v1/documents/Pool/default/from-file");
  assert.equal(read.body.metadata.owner, `file:${place}`);

  assert.equal((await api.local("POST", "/v1/apply", { body: pool("both") })).status, 200);
  writeFileSync(join(api.folder, "files", "both.json"), JSON.stringify(pool("both")));
  const reloaded = await api.local("POST", "/v1/reload");
  assert.equal(reloaded.body.changed, false);
  assert.match(JSON.stringify(reloaded.body.problems), /document-duplicate/);
  const operators = await api.local("POST", "/v1/apply?owner=operator:eu", { body: pool("both") });
  assert.deepEqual([operators.status, operators.body.code], [409, "DOCUMENT_OWNED"]);
  // What keeps the files from being read can be taken away.
  assert.equal((await api.local("DELETE", "/v1/documents/Pool/default/both")).status, 200);
});

test("a change that is wrong is refused whole, with every problem and its path", async (t) => {
  const api = await ApiFixture.start(t, files);
  const refused = await api.local("POST", "/v1/apply", {
    body: [
      pool("good"),
      pool("bad", "nonsense"),
      record("www.example.org", "missing"),
      record("www.example.net", "good"),
    ],
  });
  assert.deepEqual([refused.status, refused.body.code], [400, "DOCUMENTS_INVALID"]);
  assert.deepEqual(
    refused.body.problems.map(({ document, path }) => [document, path]),
    [
      ["Pool/default/bad", "spec.members.one.address"],
      ["Record/default/www.example.net", "spec.name"],
      ["Record/default/www.example.org", "spec.pool"],
    ],
  );
  assert.equal((await api.store.head()).revision, 0);
  assert.equal((await api.local("GET", "/v1/documents/Pool/default/good")).status, 404);

  for (const [body, wanted] of [
    [{ ...pool("x"), kind: "Shift" }, /kind is "Shift"/],
    [{ kind: "Pool" }, /without kind or metadata.name/],
    ["[1]", /expected a mapping with a kind/],
    ["{", /body.json:1:2/],
    [[pool("x"), pool("x")], /in the request again/],
    [
      { apiVersion, kind: "Zone", metadata: { name: "z" }, spec: { file: "/etc/passwd" } },
      /spec.file is a path of this machine/,
    ],
  ] as const) {
    const one = await api.local("POST", "/v1/apply", { body });
    assert.equal(one.status, 400, JSON.stringify(one.body));
    assert.match(JSON.stringify(one.body).replaceAll('\\"', '"'), wanted);
  }
  const dry = await api.local("POST", "/v1/apply?dryRun=All", { body: pool("good") });
  assert.deepEqual([dry.status, dry.body.dryRun, dry.body.revision], [200, true, 0]);
  assert.equal((await api.store.head()).revision, 0);
});

test("an apply of 50 MB is refused clearly, and a large one within the limits is taken", async (t) => {
  const api = await ApiFixture.start(t, files);
  const large = await api.local("POST", "/v1/apply", {
    body: Buffer.alloc(50_000_000, 32).toString(),
  });
  assert.deepEqual([large.status, large.body.code], [413, "REQUEST_TOO_LARGE"]);
  const many = Array.from({ length: 10_001 }, (_, index) => pool(`p${index}`));
  const counted = await api.local("POST", "/v1/apply", { body: many });
  assert.deepEqual([counted.status, counted.body.code], [413, "REQUEST_TOO_LARGE"]);
  const taken = await api.local("POST", "/v1/apply", { body: many.slice(0, 2000) });
  assert.deepEqual([taken.status, taken.body.changes?.length], [200, 2000]);
});

test("a repeated request is told what it did, and undoes nothing that came after it", async (t) => {
  const api = await ApiFixture.start(t, files);
  const apply = (address: string, key: string): ReturnType<ApiFixture["local"]> =>
    api.local("POST", "/v1/apply", {
      body: [pool("web", address), record("www.example.org", "web")],
      headers: { "idempotency-key": key },
    });
  const first = await apply("192.0.2.7", "one");
  const second = await apply("192.0.2.8", "two");
  const again = await apply("192.0.2.7", "one");
  assert.deepEqual([again.status, again.body.revision], [200, first.body.revision]);
  assert.deepEqual(again.body.changes, first.body.changes);
  const { revision } = await api.store.head();
  assert.equal(revision, second.body.revision);
  const explained = await api.local("GET", "/v1/explain?name=www.example.org");
  assert.match(explained.text, /192\.0\.2\.8/);
});

test("lists come by pages of one revision, selected by labels and fields", async (t) => {
  const api = await ApiFixture.start(t, files);
  const body = Array.from({ length: 25 }, (_, index) =>
    pool(`p${index}`, `192.0.2.${index + 1}`, { labels: { team: index % 2 ? "shop" : "web" } }),
  );
  await api.local("POST", "/v1/apply", { body, type: "application/json" });
  const first = await api.local("GET", "/v1/documents/Pool?limit=10");
  assert.equal(first.body.items.length, 10);
  await api.local("DELETE", "/v1/documents/Pool/default/p24");
  const names = first.body.items.map(nameOf);
  let from: string | undefined = first.body.continue;
  while (from !== undefined) {
    const page = await api.local(
      "GET",
      `/v1/documents/Pool?limit=10&continue=${encodeURIComponent(from)}`,
    );
    assert.equal(page.body.revision, first.body.revision);
    names.push(...page.body.items.map(nameOf));
    from = page.body.continue;
  }
  assert.equal(names.length, 25);
  const shop = await api.local("GET", "/v1/documents/Pool/default?labelSelector=team%3Dshop");
  assert.equal(shop.body.items.length, 12);
  const one = await api.local(
    "GET",
    "/v1/documents?fieldSelector=spec.members.one.address%3D192.0.2.3",
  );
  assert.deepEqual(one.body.items.map(nameOf), ["p2"]);
  const wrong = await api.local("GET", "/v1/documents/Pool?labelSelector=a%20b");
  assert.equal(wrong.status, 400);
});

test("YAML of several documents is applied; a mistake in it has its line", async (t) => {
  const api = await ApiFixture.start(t, files);
  const text = `apiVersion: ${apiVersion}\nkind: Pool\nmetadata: {name: a}\nspec: {members: {one: {address: 192.0.2.1}}}\n---\napiVersion: ${apiVersion}\nkind: Site\nmetadata: {name: eu}\nspec: {}\n`;
  const made = await api.local("POST", "/v1/apply", { body: text, type: "application/yaml" });
  assert.deepEqual([made.status, made.body.changes?.length], [200, 2], JSON.stringify(made.body));
  assert.equal((await api.local("GET", "/v1/documents/Site/eu")).body.kind, "Site");
  const broken = await api.local("POST", "/v1/apply", { body: "a: [", type: "application/yaml" });
  assert.match(broken.body.error, /body\.yaml:1:/);
});

function nameOf({ metadata }: AnswerBody): string {
  return metadata.name;
}
