// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import { ApiFixture } from "./testing/api-fixture.ts";

const apiVersion = "meridian.dev/v1alpha1";
const files = {
  "pool.yaml": `apiVersion: ${apiVersion}
kind: Zone
metadata: {name: example.org}
spec: {origin: example.org, nameServers: [{name: ns1.example.net}]}
---
apiVersion: ${apiVersion}
kind: Pool
metadata: {name: web}
spec: {members: {one: {address: 192.0.2.1}, two: {address: 192.0.2.2}}}
---
apiVersion: ${apiVersion}
kind: Record
metadata: {name: www}
spec: {name: www.example.org, pool: web}
`,
};

test("shifts are asked for with start and return, extended and ended; what is wrong with them is said", async (t) => {
  const api = await ApiFixture.start(t, files);
  const target = "pool/default/web";
  const ask = (more: object) =>
    api.local("POST", "/v1/shifts", {
      body: { target, reason: "test", actor: "a", expiresIn: "1h", ...more },
    });
  const soon = new Date(Date.now() + 60_000).toISOString();
  for (const [more, wanted] of [
    [{ startsAt: "tomorrow" }, /Start is \\"tomorrow\\", expected a time in the next 168h/],
    [{ startsAt: "2001-01-01T00:00:00Z" }, /Start is/],
    [{ startsAt: new Date(Date.now() + 200 * 3_600_000).toISOString() }, /Start is/],
    [{ return: "10%" }, /Return is \\"10%\\", expected steps/],
    [{ return: "0%/1m" }, /Return is/],
    [{ return: "10%/1ms" }, /at least 1s/],
    [{ return: "1%/1h" }, /done in 72h/],
    [{ expiresIn: "73h" }, /Expiry is/],
    [{ expiresIn: "0h" }, /Expiry is/],
    [{ expiresIn: "1d" }, /Expiry is/],
    [{ precedence: "chief" }, /Precedence is \\"chief\\", expected one of manual, automatic/],
    [
      { target: "pool/default" },
      /Target is \\"pool\/default\\", expected site\/NAME, pool\/NS\/NAME/,
    ],
    [{ target: "endpoint/default/web" }, /Target is/],
    [{ target: "pool/default/web/one" }, /Target is/],
    [{ target: "site/" }, /Target is/],
  ] as const) {
    const refused = await ask(more);
    assert.equal(refused.status, 400, refused.text);
    assert.match(refused.text, wanted);
  }
  const made = await ask({ startsAt: soon, return: "10%/1m" });
  assert.equal(made.status, 200, made.text);
  assert.match(made.text, /"return":\{"percent":10,"everyMs":60000\}/);
  const extend = (body: object) => api.local("PUT", "/v1/shifts", { body });
  assert.equal((await extend({ target, expiresIn: "0s" })).status, 400);
  assert.equal((await extend({ target: "pool/default/none", expiresIn: "1h" })).status, 404);
  assert.match((await extend({ target, expiresIn: "2h" })).text, /"extended":\[\{/);
  const drill = await ask({
    expiresIn: "90m",
    precedence: "drill",
    target: "endpoint/default/web/one",
  });
  assert.equal(drill.status, 200, drill.text);
  const explained = (): Promise<string> =>
    api.local("GET", "/v1/explain?name=www.example.org").then(({ text }) => text);
  assert.match(
    await explained(),
    /drained by the drill shift [0-9a-f]+ of endpoint\/default\/web\/one \(test\)/,
  );
  await ask({ expiresIn: "72h", percent: 20, target: "endpoint/default/web/one" });
  assert.doesNotMatch(await explained(), /drained/, "what a person says counts");
  assert.match(
    (await api.local("GET", "/v1/shifts")).text,
    /"precedence":"drill",.*"moves":0,"overruledBy":"[0-9a-f]+"/,
  );
  await api.local("DELETE", "/v1/shifts?target=endpoint/default/web/one");
  // It has not begun: nothing has to come back.
  const ended = await api.local("DELETE", `/v1/shifts?target=${encodeURIComponent(target)}`);
  assert.match(ended.text, /"removed":\[\{/);
  assert.match((await api.local("GET", "/v1/shifts")).text, /"items":\[\]/);
});

test("a shift that leaves too little is refused with numbers, unless it is forced", async (t) => {
  const api = await ApiFixture.start(t, files);
  const profile = {
    ...{ apiVersion, kind: "TrafficProfile", metadata: { name: "peak" } },
    spec: { demand: { all: { name: "www.example.org", rate: 150 } } },
  };
  const member = (address: string): object => ({ address, capacity: 100 });
  const web = {
    ...{ apiVersion, kind: "Pool", metadata: { name: "shop" } },
    spec: { members: { one: member("192.0.2.1"), two: member("192.0.2.2") } },
  };
  const record = {
    ...{ apiVersion, kind: "Record", metadata: { name: "shop" } },
    spec: { name: "shop.example.org", pool: "shop" },
  };
  profile.spec.demand.all.name = "shop.example.org";
  const applied = await api.local("POST", "/v1/apply", { body: [web, record, profile] });
  assert.equal(applied.status, 200, applied.text);
  const target = "endpoint/default/shop/one";
  const drain = (more: object) =>
    api.local("POST", "/v1/shifts", { body: { target, reason: "r", expiresIn: "1h", ...more } });
  const refused = await drain({});
  assert.equal(refused.status, 409, refused.text);
  assert.match(
    refused.body.error,
    /^Cannot drain endpoint\/default\/shop\/one: endpoint\/default\/shop\/two would carry 150 of 100 requests\/s, now 7[0-9](\.[0-9])? \(TrafficProfile default\/peak\)/,
  );
  assert.match(
    (await drain({ dryRun: true })).text,
    /"lacks":\["endpoint\/default\/shop\/two would carry/,
  );
  assert.equal((await drain({ percent: 20 })).status, 200, "100 can carry 90");
  const whole = await drain({ target: "pool/default/shop" });
  assert.match(whole.body.error, /150 requests\/s more would get no endpoint/);
  assert.equal((await drain({ force: true })).status, 200);
  assert.equal((await api.local("DELETE", `/v1/shifts?target=${target}`)).status, 200);
});
