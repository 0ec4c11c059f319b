// SPDX-License-Identifier: Apache-2.0

// Routing controls over the API: what they do to answers, what safety rules and roles refuse, and what is kept.

import assert from "node:assert/strict";
import { test } from "node:test";
import { ApiFixture } from "../testing/api-fixture.ts";
import { documentOf as document, twoPlaces } from "../testing/two-places.ts";

const control = (name: string, targets: readonly string[], panel = "shop"): object =>
  document("RoutingControl", name, { panel, targets });
const panel = document("ControlPanel", "shop", {});
const rule = document("SafetyRule", "somewhere", {
  panel: "shop",
  assertion: { controls: ["eu", "us"] },
  require: { atLeast: 1 },
  waitPeriod: "0s",
});

test("routing controls turn what they are bound to off and on, as safety rules allow", async (t) => {
  const api = await ApiFixture.start(t, twoPlaces);
  const apply = (body: readonly object[]) => api.local("POST", "/v1/apply", { body });
  const set = (states: object, more: object = {}) =>
    api.local("POST", "/v1/routing-controls", { body: { states, reason: "test", ...more } });
  const explained = async (): Promise<string> =>
    (await api.local("GET", "/v1/explain?name=www.example.org")).text;
  const own = [control("eu", ["pool/default/eu"]), control("us", ["pool/default/us"])];

  const early = await apply([rule]);
  assert.equal(early.status, 409);
  assert.match(early.text, /spec\.panel of SafetyRule\/default\/somewhere/);
  assert.equal((await apply([panel, ...own, rule])).status, 200);
  assert.match(await explained(), /192\.0\.2\.1/);

  const off = await set({ eu: "Off" });
  assert.equal(off.status, 200, off.text);
  assert.match(off.text, /"changed":\["default\/eu"\]/);
  const after = await explained();
  assert.match(after, /192\.0\.2\.2/);
  assert.match(after, /switched off by routing control default\/eu/);
  assert.match((await set({ eu: "Off" })).text, /"changed":\[\]/);

  const profile = document("TrafficProfile", "peak", {
    demand: { all: { name: "www.example.org", rate: 100 } },
  });
  assert.equal((await apply([profile])).status, 200);
  const startsAt = new Date(Date.now() + 3_600_000).toISOString();
  const planned = async (query: string): Promise<string> =>
    (await api.local("POST", `/v1/plans?${query}`, { body: [] })).text;
  const lowered = await planned(`drain=pool/default/us&startsAt=${startsAt}`);
  const [, fromMs = "", startsAtMs = ""] =
    /"lowerings":\[{"target":"pool\/default\/us","fromMs":(\d+),"startsAtMs":(\d+),"ttl":\d+,"least":{"from":\d+,"to":\d+}}\]/.exec(
      lowered,
    ) ?? [];
  assert.equal(Number(startsAtMs), Date.parse(startsAt), lowered);
  assert.ok(Number(fromMs) > Date.now() && Number(fromMs) < Number(startsAtMs));
  assert.match(await planned("drain=pool/default/us"), /"lowerings":\[\]/);
  assert.match(
    await planned("drain=pool/default/us&startsAt=soon"),
    /Start is \\"soon\\", expected/,
  );
  assert.match(await planned(`off=us&startsAt=${startsAt}`), /startsAt is for drains alone/);
  const plan = await api.local("POST", "/v1/plans?off=us", { body: [] });
  assert.equal(plan.status, 200, plan.text);
  assert.match(
    plan.text,
    /"objections":\[{"rule":"somewhere","why":"wants at least 1 of eu, us On/,
  );
  assert.match(
    plan.text,
    /"audience":"everywhere","moved":1,"before":\[{"target":"pool\/default\/us"/,
  );
  assert.match(plan.text, /"withheld":{"before":0,"after":100}/);
  const pool = document("Pool", "eu", { members: { two: { address: "192.0.2.9" } } });
  const owned = await api.local("POST", "/v1/plans", { body: [pool] });
  assert.match(owned.text, /DOCUMENT_OWNED/);

  const refused = await set({ us: "Off" });
  assert.equal(refused.status, 409);
  assert.match(refused.text, /SAFETY_RULE_OBJECTS/);
  assert.match(refused.text, /SafetyRule \\"somewhere\\" wants at least 1 of eu, us On/);
  const forced = await set({ us: "Off" }, { override: ["somewhere"] });
  assert.equal(forced.status, 200, forced.text);
  // Switched off is no verdict: it holds where nothing else is left, too.
  assert.doesNotMatch(await explained(), /answer: 192/);
  assert.equal((await set({ eu: "On", us: "On" })).status, 200);
  assert.match(await explained(), /192\.0\.2\.1/);

  const never = document("SafetyRule", "nowhere", {
    ...{ panel: "shop", assertion: { controls: ["eu", "us"] } },
    ...{ require: { any: {} }, inverted: true },
  });
  const contrary = await apply([never]);
  assert.equal(contrary.status, 409);
  assert.match(
    contrary.text,
    /meet all of \\"nowhere\\", \\"somewhere\\", expected rules that can/,
  );

  const listed = await api.local("GET", "/v1/routing-controls");
  assert.match(listed.text, /"name":"default\/eu","panel":"shop"/);
  const audit = await api.local("GET", "/v1/audit?limit=1");
  assert.match(audit.text, /"verb":"set"/);

  const used = await api.local("DELETE", "/v1/documents/RoutingControl/default/eu");
  assert.equal(used.status, 409);
  assert.match(used.text, /RoutingControl\/default\/eu of panel shop/);
});

test("a routing control that is wrong, unknown or another's is refused, and one made anew begins On", async (t) => {
  const api = await ApiFixture.start(t, twoPlaces);
  const apply = (body: readonly object[]) => api.local("POST", "/v1/apply", { body });
  const set = (body: object) => api.local("POST", "/v1/routing-controls", { body });
  const other = document("ControlPanel", "bank", {});
  assert.equal(
    (await apply([panel, other, control("eu", ["pool/default/eu"]), control("b", [], "bank")]))
      .status,
    200,
  );
  const tooMany = Object.fromEntries(Array.from({ length: 101 }, (_, at) => [`c${at}`, "Off"]));
  for (const [body, wanted] of [
    [{ states: { eu: "Off" } }, /reason is missing/],
    [{ states: { eu: "off" }, reason: "x" }, /state of eu is \\"off\\", expected \\"On\\" or/],
    [{ states: { eu: "Off", b: "Off" }, reason: "x" }, /of panels shop and bank/],
    [{ states: { nobody: "Off" }, reason: "x" }, /There is no RoutingControl\/default\/nobody/],
    [{ states: { eu: "Off" }, override: ["r"], reason: "x" }, /override names \\"r\\"/],
    [{ states: {}, reason: "x" }, /0 are named, expected 1 to 100/],
    // Reference vector 29, with a larger limit.
    [{ states: tooMany, reason: "x" }, /101 are named, expected 1 to 100/],
  ] as const) {
    const answer = await set(body);
    assert.ok(answer.status === 400 || answer.status === 404, answer.text);
    assert.match(answer.text, wanted);
  }
  assert.match((await apply([control("eu", [], "bank")])).text, /expected \\"shop\\" as before/);

  assert.equal((await set({ states: { eu: "Off" }, reason: "x" })).status, 200);
  assert.equal((await api.local("DELETE", "/v1/documents/RoutingControl/default/eu")).status, 200);
  const freed = await api.local("GET", "/v1/explain?name=www.example.org");
  assert.match(freed.text, /192\.0\.2\.1/);
  assert.equal((await apply([control("eu", ["pool/default/eu"])])).status, 200);
  assert.match((await api.local("GET", "/v1/routing-controls")).text, /"state":"On"/);
});
