// SPDX-License-Identifier: Apache-2.0

// Four eyes, windows of time and broken glass, over the API.

import assert from "node:assert/strict";
import { test } from "node:test";
import { ApiFixture, type Answered } from "../testing/api-fixture.ts";

const apiVersion = "meridian.dev/v1alpha1";
const document = (kind: string, name: string, spec: object, labels: object = {}): object => ({
  ...{ apiVersion, kind, metadata: { name, labels }, spec },
});
const files = {
  "zone.yaml": `apiVersion: ${apiVersion}
kind: Zone
metadata: {name: example.org}
spec: {origin: example.org, nameServers: [{name: ns1.example.net}]}
`,
};
const production = { tier: "production" };
const pool = (address: string): object =>
  document("Pool", "shop", { members: { one: { address } } }, production);
const policy = document("ChangePolicy", "four-eyes", {
  acts: [
    { verbs: ["apply", "delete", "drain", "undrain"], labels: production },
    { verbs: ["*"], kinds: ["ChangePolicy"] },
  ],
  approvals: { count: 1, within: "1h" },
});
const everything = [
  { verbs: ["apply", "delete", "drain", "undrain", "approve", "list", "get"], kinds: ["*"] },
];

function idIn(refused: Answered): string {
  assert.equal(refused.status, 409, refused.text);
  return /request ([0-9a-f]{12}) /.exec(refused.body.error)?.[1] ?? "";
}

test("what needs approval is done when somebody else has approved it, once, as it was asked for", async (t) => {
  const api = await ApiFixture.start(t, files);
  assert.equal(
    (await api.local("POST", "/v1/apply", { body: [pool("192.0.2.1"), policy] })).status,
    200,
  );
  const [ann, ben] = [await api.tokenOf("ann", everything), await api.tokenOf("ben", everything)];
  const viewer = await api.tokenOf("viewer", [{ verbs: ["approve"], kinds: ["Zone"] }]);
  const apply = (token: string, body: object) =>
    api.http("POST", "/v1/apply?reason=faster", { token, body: [body] });
  const vote = (token: string, id: string, verdict = "approve", reason = "looks right") =>
    api.http("POST", `/v1/approvals/${id}`, { token, body: { verdict, reason } });

  const wrong = await apply(ann, document("Pool", "shop", { members: 1 }, production));
  assert.equal(wrong.status, 400, "what cannot be done is nobody's to approve");
  const wanted = await apply(ann, pool("192.0.2.2"));
  assert.match(wanted.body.error, /ChangePolicy "four-eyes" wants approval by 1 other; request/);
  const id = idIn(wanted);
  assert.equal(idIn(await apply(ann, pool("192.0.2.2"))), id, "asked again it is the same request");
  assert.match(
    api.approvals.alerts()[0]?.summary ?? "",
    /user of ann wants to apply Pool\/default\/shop: faster/,
  );
  assert.match((await vote(ann, id)).body.error, /it is your own/);
  assert.equal((await vote(viewer, id)).status, 403);
  assert.equal((await vote(ben, "000000000000")).status, 404);
  const listed = await api.http("GET", "/v1/approvals", { token: ben });
  assert.match(
    listed.text,
    /"path":"spec.members.one.address","before":"192.0.2.1","after":"192.0.2.2"/,
  );
  assert.match((await vote(ben, id)).text, /"state":"approved"/);
  assert.match((await vote(ben, id)).body.error, /you have voted already/);
  // Another change, and the same by somebody else, are not what was approved.
  assert.notEqual(idIn(await apply(ann, pool("192.0.2.3"))), id);
  assert.notEqual(idIn(await apply(ben, pool("192.0.2.2"))), id);
  // Nor is one that an author has found to have the same number.
  const found = idIn(await apply(ann, pool("192.0.2.4")));
  const { text = "{}", revision = 0 } = api.state.get("Approval", found) ?? {};
  const approved = { ...JSON.parse(text), act: "00", state: "approved" };
  approved.votes = [{ by: "ben", atMs: 0, approves: true, reason: "" }];
  const write = { kind: "Approval", name: found, text: JSON.stringify(approved) } as const;
  assert.ok(await api.state.write([{ ...write, ifRevision: revision }], "approve", {}));
  assert.match(
    (await apply(ann, pool("192.0.2.4"))).body.error,
    /another act with the same number/,
  );
  const done = await apply(ann, pool("192.0.2.2"));
  assert.equal(done.status, 200, done.text);
  await apply(ann, document("Pool", "other", { members: { one: { address: "192.0.2.9" } } }));
  const shifted = (token: string, more: object = {}) =>
    api.http("POST", "/v1/shifts", {
      ...{
        token,
        body: { target: "pool/default/shop", percent: 20, reason: "r", expiresIn: "1h", ...more },
      },
    });
  assert.match((await vote(ben, idIn(await shifted(ann)))).text, /"state":"approved"/);
  assert.equal((await shifted(ann)).status, 200);
  const again = idIn(await shifted(ann));
  assert.notEqual(idIn(await shifted(ann, { force: true })), again);
  assert.match((await vote(ben, again, "reject", "")).body.error, /reason is missing/);
  assert.match((await vote(ben, again, "reject", "not today")).text, /"state":"rejected"/);
  assert.match((await shifted(ann)).body.error, /was rejected by user of ben: not today/);
  assert.equal(
    (await shifted(ann, { target: "pool/default/other" })).status,
    200,
    "no label, no approval",
  );
  // The policy guards itself: by the one that is there.
  const gone = await api.local("DELETE", "/v1/documents/ChangePolicy/four-eyes");
  assert.match(gone.body.error, /APPROVAL|wants approval/);
});

test("outside of its windows a change waits, unless somebody who may breaks the glass; others look at that", async (t) => {
  const api = await ApiFixture.start(t, files);
  const never = document("ChangePolicy", "never", {
    acts: [{ verbs: ["apply"], kinds: ["Pool"] }],
    windows: { blocked: [{}] },
  });
  assert.equal((await api.local("POST", "/v1/apply", { body: [never] })).status, 200);
  const glass = [{ verbs: ["apply", "break-glass", "approve", "list"], kinds: ["*"] }];
  const [ann, ben] = [await api.tokenOf("ann", glass), await api.tokenOf("ben", everything)];
  const apply = (token: string, query = "") =>
    api.http("POST", `/v1/apply${query}`, { token, body: [pool("192.0.2.1")] });
  const closed = await apply(ann);
  assert.equal(closed.status, 409);
  assert.match(
    closed.body.error,
    /ChangePolicy "never" says when, and every day 00:00 to 24:00 is blocked/,
  );
  assert.equal((await apply(ann, "?dryRun=true")).status, 200);
  assert.match((await apply(ann, "?breakGlass=true")).body.error, /no reason is given/);
  assert.equal((await apply(ben, "?breakGlass=true&reason=fire")).status, 403);
  const done = await apply(ann, "?breakGlass=true&reason=fire");
  assert.equal(done.status, 200, done.text);
  assert.match((await api.local("GET", "/v1/audit?limit=1")).text, /breakGlass/);
  const [alert] = api.approvals.alerts();
  assert.equal(alert?.event, "break-glass");
  assert.match(
    alert?.summary ?? "",
    /user of ann broke the glass to apply Pool\/default\/shop: fire/,
  );
  const id = alert?.subject.slice("approval/".length) ?? "";
  const body = { verdict: "approve" };
  assert.match(
    (await api.http("POST", `/v1/approvals/${id}`, { token: ann, body })).body.error,
    /your own/,
  );
  assert.match(
    (await api.http("POST", `/v1/approvals/${id}`, { token: ben, body })).text,
    /"state":"reviewed"/,
  );
  assert.deepEqual(api.approvals.alerts(), []);
});

test("tokens and failbacks are approved, too; a broken glass stays to be looked at, however often", async (t) => {
  const api = await ApiFixture.start(t, {
    "zone.yaml": `${files["zone.yaml"]}---
apiVersion: ${apiVersion}
kind: Pool
metadata: {name: web}
spec: {members: {a: {address: 192.0.2.1}}}
---
apiVersion: ${apiVersion}
kind: TrafficPolicy
metadata: {name: web, labels: {tier: production}}
spec: {root: order, nodes: {order: {failover: {failback: manual, tiers: [{branches: [{pool: web}]}]}}}}
---
apiVersion: ${apiVersion}
kind: Record
metadata: {name: www.example.org}
spec: {name: www.example.org, policy: web}
`,
  });
  const all = [{ verbs: ["*"], kinds: ["*"] }];
  const [ann, ben] = [await api.tokenOf("ann", all), await api.tokenOf("ben", all)];
  const eyes = document("ChangePolicy", "eyes", {
    acts: [
      { verbs: ["token"], kinds: ["Token"] },
      { verbs: ["failback"], labels: production },
    ],
    approvals: { count: 1 },
  });
  assert.equal((await api.local("POST", "/v1/apply", { body: [eyes] })).status, 200);
  const approve = async (id: string) => {
    const body = { verdict: "approve" };
    const voted = await api.http("POST", `/v1/approvals/${id}`, { token: ben, body });
    assert.equal(voted.status, 200, voted.text);
  };
  const make = (expiresIn: string) =>
    api.http("POST", "/v1/tokens", {
      ...{ token: ann, body: { subject: "eve", roles: ["viewer"], expiresIn } },
    });
  await approve(idIn(await make("1h")));
  assert.equal((await make("2h")).status, 409, "a longer one is another one");
  const made = await make("1h");
  assert.equal(made.status, 200, made.text);
  const revoke = () => api.http("DELETE", `/v1/tokens/${made.body.name}`, { token: ann });
  idIn(await revoke());
  const listed = await api.http("GET", "/v1/approvals", { token: ben });
  assert.match(listed.text, /"spec":\{[^}]*"subject":"eve"/);
  assert.doesNotMatch(listed.text, /hash|"act"|[0-9a-f]{64}/);

  const failback = (query = "") =>
    api.http("POST", `/v1/failback?node=default/web/order${query}`, { token: ann });
  const nowhere = await api.http("POST", "/v1/failback?node=default/web/no", { token: ann });
  assert.equal(nowhere.status, 404);
  const id = idIn(await failback());
  const glass = () =>
    api.approvals
      .views()
      .filter(({ state }) => state === "unreviewed")
      .map((view) => view.id);
  for (const times of [1, 2]) {
    assert.equal((await failback("&breakGlass=true&reason=fire")).status, 200);
    assert.equal(glass().length, times);
    assert.equal(idIn(await failback()), id, "asked for as before");
    assert.equal(glass().length, times, "and what was broken is still to be looked at");
  }
  for (const each of glass()) await approve(each);
  assert.deepEqual(glass(), []);
});
