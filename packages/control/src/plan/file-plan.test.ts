// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { ApiFixture } from "../testing/api-fixture.ts";

const apiVersion = "meridian.dev/v1alpha1";

function document(kind: string, name: string, spec: string): string {
  return `apiVersion: ${apiVersion}\nkind: ${kind}\nmetadata: {name: ${name}}\nspec: ${spec}\n`;
}

const zone = document(
  "Zone",
  "example.org",
  "{origin: example.org, nameServers: [{name: ns1.example.net}]}",
);
const pool = (name: string, address: string): string =>
  document("Pool", name, `{members: {one: {address: ${address}}}}`);
const record = (name: string): string =>
  document("Record", name, `{name: ${name}.example.org, pool: ${name}}`);
const files = {
  "zone.yaml": zone,
  "a.yaml": `${pool("a", "192.0.2.1")}---\n${record("a")}`,
  "b.yaml": `${pool("b", "192.0.2.2")}---\n${record("b")}`,
};

interface Planning {
  readonly api: ApiFixture;
  /** Plans a folder with these files in the place of the fixture's. */
  readonly plan: (
    other: Readonly<Record<string, string>>,
    query?: string,
  ) => ReturnType<ApiFixture["local"]>;
}

async function setUp(t: TestContext): Promise<Planning> {
  const api = await ApiFixture.start(t, files, { allowEmpty: false });
  let count = 0;
  return {
    api,
    plan: (other, query = "") => {
      const folder = join(api.folder, `other-${++count}`);
      mkdirSync(folder);
      for (const [name, text] of Object.entries(other)) writeFileSync(join(folder, name), text);
      return api.local("POST", `/v1/plans?files=${encodeURIComponent(folder)}${query}`, {
        body: [],
      });
    },
  };
}

test("a plan of files says which documents change and go, and is refused where a reload would be; nothing changes", async (t) => {
  const { api, plan } = await setUp(t);
  assert.deepEqual((await plan(files)).body.changes, []);
  const other = {
    "zone.yaml": zone,
    "a.yaml": `${pool("a", "192.0.2.9")}---\n${record("a")}`,
    "c.yaml": `${pool("c", "192.0.2.3")}---\n${record("c")}`,
  };
  const planned = await plan(other, "&allowShrink=true");
  assert.equal(planned.status, 200, planned.text);
  assert.deepEqual(
    planned.body.changes.map(
      ({ kind, name, change }) => `${String(kind)}/${name} ${String(change)}`,
    ),
    [
      "Pool/a configured",
      "Pool/b deleted",
      "Pool/c created",
      "Record/b deleted",
      "Record/c created",
    ],
  );
  assert.deepEqual(planned.body.changes[0]?.differences, [
    { path: "spec.members.one.address", before: "192.0.2.1", after: "192.0.2.9" },
  ]);
  assert.match(planned.text, /"name":"b\.example\.org\.","change":"removed"/);
  assert.match(planned.text, /"name":"c\.example\.org\.","change":"created"/);
  assert.equal(api.embedded.world?.pools.poolCount, 2);

  const empty = await plan({});
  assert.equal(empty.status, 400, empty.text);
  assert.match(empty.text, /declare nothing|no documents/i);
  const wrong = await plan({ ...files, "d.yaml": record("d") });
  assert.equal(wrong.status, 400, wrong.text);
  assert.match(wrong.text, /d\.yaml:4/);
  const bad = await api.local("POST", "/v1/plans?files=relative", { body: [] });
  assert.match(bad.text, /\\"relative\\", expected at most 100 absolute paths/);
  const token = await api.tokenOf("planner", [{ verbs: ["diff"], kinds: ["*"] }]);
  const remote = await api.http("POST", "/v1/plans?files=%2Ftmp", { body: [], token });
  assert.equal(remote.status, 403, remote.text);
  assert.match(remote.text, /Cannot plan files over HTTP/);
});
