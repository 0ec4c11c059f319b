// SPDX-License-Identifier: Apache-2.0

// Rollouts over the API: what they do to answers, who may, what is refused and what is kept. Prometheus is a server that answers what it is told to.

import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import { test, type TestContext } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { ApiFixture } from "../testing/api-fixture.ts";

const WAIT_MS_MAX = 60_000;
const apiVersion = "meridian.dev/v1alpha1";
const document = (kind: string, name: string, spec: object): object => ({
  ...{ apiVersion, kind, metadata: { name }, spec },
});
const pool = (name: string, address: string): object =>
  document("Pool", name, { members: { one: { address } } });
const policy = (stable: number, canary: number, more: readonly object[] = []): object =>
  document("TrafficPolicy", "split", {
    root: "all",
    nodes: {
      all: {
        sticky: {
          branches: [{ pool: "v1", weight: stable }, { pool: "v2", weight: canary }, ...more],
        },
      },
    },
  });
const documents = [
  document("Zone", "example.org", {
    origin: "example.org",
    nameServers: [{ name: "ns1.example.net" }],
  }),
  ...[pool("v1", "192.0.2.1"), pool("v2", "192.0.2.2"), pool("v3", "192.0.2.3"), policy(100, 0)],
  document("Record", "www", { name: "www.example.org", policy: "split" }),
];
const waves = [{ stable: { pool: "v1" }, canary: { pool: "v2" } }];

/** Answers every query with one number, which may be changed. */
async function prometheus(t: TestContext): Promise<{ url: string; value: string }> {
  const answers = { url: "", value: "0" };
  const server = createServer((_request, response) => {
    const result = [{ metric: {}, value: [1, answers.value] }];
    response.end(JSON.stringify({ status: "success", data: { resultType: "vector", result } }));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => {
    server.close();
    server.closeAllConnections();
  });
  const address = server.address();
  assert.ok(typeof address === "object" && address !== null);
  answers.url = `http://127.0.0.1:${address.port}`;
  return answers;
}

/** Looks until something is so; what never comes is said by its name. */
async function eventually(what: string, isSo: () => boolean | Promise<boolean>): Promise<void> {
  const endMs = performance.now() + WAIT_MS_MAX;
  while (!(await isSo())) {
    assert.ok(performance.now() < endMs, `waited ${WAIT_MS_MAX / 1000} s for ${what}`);
    await sleep(10);
  }
}

test("a rollout moves a record's clients as measurements allow, and back when they do not", async (t) => {
  const api = await ApiFixture.start(t, {});
  const source = await prometheus(t);
  const apply = (body: readonly object[]) => api.local("POST", "/v1/apply", { body });
  const order = (verb: string, more: object = {}) =>
    api.local("POST", "/v1/rollouts", { body: { verb, name: "r", reason: "test", ...more } });
  const field = (text: string, name: string): unknown =>
    Reflect.get(Object(JSON.parse(text)), name);
  const status = async (): Promise<string> => {
    const { rows, text } = await api.local("GET", "/v1/rollouts");
    const [row] = rows.length > 0 ? rows : (field(text, "items") as object[]);
    const of = (name: string): string => String(Reflect.get(row ?? {}, name));
    return `${of("phase")} ${of("weight")} %: ${of("reason")}`;
  };
  const until = async (wanted: RegExp): Promise<string> => {
    let now = "";
    await eventually(`the status ${wanted.source}`, async () => {
      now = await status();
      return wanted.test(now);
    });
    return now;
  };
  const explained = async (): Promise<string> =>
    (await api.local("GET", "/v1/explain?name=www.example.org")).text;
  const analyses = { errors: { query: "errors", success: { below: 0.1 }, interval: "10ms" } };
  const rollout = (spec: object): object =>
    document("Rollout", "r", { record: "www.example.org", waves, ...spec });
  const spec = {
    steps: [{ setWeight: 10 }, { analysis: ["errors"] }, { pause: {} }],
    ...{ prometheus: { url: source.url }, analyses, watch: ["errors"] },
  };

  // What is not there, and what contradicts.
  assert.equal((await apply([rollout(spec)])).status, 200);
  assert.equal((await order("start")).status, 409);
  assert.equal(
    (await apply([...documents.slice(0, -2), policy(100, 5), ...documents.slice(-1)])).status,
    200,
  );
  assert.match((await order("start")).text, /gives the canary 5 and stable 100, expected 0 and/);
  assert.equal((await apply([policy(100, 0, [{ pool: "v3", weight: 1 }])])).status, 200);
  assert.match((await order("start")).text, /has 3 branches, expected stable and canary alone/);
  assert.equal((await apply([policy(100, 0)])).status, 200);
  assert.match((await order("promote")).text, /was not started/);

  // Good, and let on by hand.
  assert.equal((await order("start")).status, 200);
  assert.match((await order("start")).text, /it is under way/);
  await until(/^waiting 10 %: waits to be promoted/);
  assert.match(await explained(), /instead of 0: rollout default\/r, step 3 of 3/);
  assert.match(
    (await apply([rollout({ ...spec, steps: [{ setWeight: 1 }] })])).text,
    /it is under way/,
  );
  const other = document("Rollout", "other", { policy: "split", waves, steps: [{ setWeight: 1 }] });
  assert.equal((await apply([other])).status, 200);
  assert.match((await order("start", { name: "other" })).text, /another rollout or plan gives/);
  assert.equal((await api.local("DELETE", "/v1/documents/Rollout/default/other")).status, 200);
  assert.equal((await order("promote")).status, 200);
  assert.match(await status(), /^succeeded 100 %/);
  assert.match((await order("start")).text, /it has succeeded, and its policy does not say so/);

  // A plan's run that is done holds the node until it is rolled back.
  const runs = (method: string, body: object) => api.local(method, "/v1/recoveryruns", { body });
  const ended = (run: string, wanted: RegExp): Promise<void> =>
    eventually(`the report ${wanted.source}`, async () =>
      wanted.test((await api.local("GET", `/v1/recoveryreport?run=${run}`)).text),
    );
  assert.match((await order("abort")).text, /"phase":"aborted"/);
  const weights = { policy: "split", node: "all", branches: [{ pool: "v2", weight: 5 }] };
  const away = document("RecoveryPlan", "away", {
    sequence: ["some"],
    steps: { some: { weights } },
  });
  assert.equal((await apply([away])).status, 200);
  assert.equal((await runs("POST", { plan: "away", reason: "test" })).status, 200);
  await ended("away", /"state":"completed"/);
  assert.match((await order("start")).text, /gives.* weights: recovery plan default\/away: test/);
  assert.match(await status(), /^aborted/);
  assert.deepEqual(
    api.weights.all().map(({ owner }) => owner),
    ["recovery/default"],
  );
  assert.equal((await runs("PUT", { run: "away", order: "rollback", reason: "x" })).status, 200);
  await ended("away", /"state":"rolled-back"/);
  assert.equal((await order("start")).status, 200);
  await until(/^waiting 10 %/);

  // A step begins when edges answer with the weights before; which they are is for who may know it.
  assert.match((await order("abort")).text, /"phase":"aborted"/);
  api.behind = { waiting: [{ name: "us", revision: 1 }], silent: [{ name: "ap", revision: 0 }] };
  assert.equal((await order("start")).status, 200);
  await until(/^progressing 10 %/);
  const reader = await api.tokenOf("reader", [{ verbs: ["list", "get"], kinds: ["Rollout"] }]);
  const shown = (await api.local("GET", "/v1/rollouts")).text;
  assert.match(shown, /"edges":\{"waiting":\[\{"name":"us",.*"silent":\[\{"name":"ap",/);
  const withheld = await api.http("GET", "/v1/rollouts", { token: reader });
  assert.match(withheld.text, /"phase":"progressing"/);
  assert.doesNotMatch(withheld.text, /"us"|"ap"/);
  assert.match(await status(), /^progressing 10 %/);
  api.behind = {};
  await until(/^waiting 10 %/);
  assert.doesNotMatch((await api.local("GET", "/v1/rollouts")).text, /"edges"/);

  // Taken back by hand; then by what is measured.
  assert.match((await order("abort")).text, /"phase":"aborted"/);
  assert.doesNotMatch(await explained(), /instead of/);
  assert.equal((await order("start")).status, 200);
  await until(/^waiting 10 %/);
  source.value = "0.5";
  assert.match(await until(/^aborted/), /analysis errors failed: 0.5 is not below 0.1/);
  assert.doesNotMatch(await explained(), /instead of/);
  assert.deepEqual(api.weights.all(), []);
  const { text: history } = await api.local("GET", "/v1/audit");
  assert.match(history, /"verb":"rollout"/);
  assert.match(history, /failed: 0.5 is not below/);

  // The branch goes while it is under way: it ends, and what is left keeps its weight.
  source.value = "0";
  assert.equal((await order("start")).status, 200);
  await until(/^waiting/);
  assert.equal((await apply([policy(100, 0, [{ pool: "v3", weight: 0 }])])).status, 200);
  assert.match(await until(/^aborted/), /has 3 branches/);
  assert.deepEqual(api.weights.all(), []);

  // The rollout goes while it is under way.
  assert.equal((await apply([policy(100, 0)])).status, 200);
  assert.equal((await order("start")).status, 200);
  await until(/^waiting/);
  assert.equal((await api.local("DELETE", "/v1/documents/Rollout/default/r")).status, 200);
  await eventually("no weights", () => api.weights.all().length === 0);
  assert.deepEqual([...api.state.all("RolloutRun")], []);

  // Who may look may not start.
  const timed = { steps: [{ setWeight: 1 }, { pause: { for: "1h" } }, { pause: { for: "1h" } }] };
  assert.equal((await apply([rollout(timed)])).status, 200);
  const start = { verb: "start", name: "r" };
  assert.equal((await api.http("GET", "/v1/rollouts", { token: reader })).status, 200);
  assert.equal(
    (await api.http("POST", "/v1/rollouts", { token: reader, body: start })).status,
    403,
  );
  const token = await api.tokenOf("starter", [{ verbs: ["rollout"], kinds: ["Rollout"] }]);
  const eyes = { acts: [{ verbs: ["rollout"], kinds: ["Rollout"] }], approvals: { count: 1 } };
  assert.equal((await apply([document("ChangePolicy", "eyes", eyes)])).status, 200);
  assert.match(
    (await api.http("POST", "/v1/rollouts", { token, body: start })).text,
    /wants approval/,
  );
  assert.equal((await order("start", { breakGlass: true })).status, 200);
  // What others approve of one step is not good for the next one.
  const asked = async (): Promise<string | undefined> => {
    const body = { verb: "promote", name: "r" };
    const { text } = await api.http("POST", "/v1/rollouts", { token, body });
    return /request ([0-9a-f]{12}) /.exec(text)?.[1];
  };
  await until(/^progressing/);
  const one = await asked();
  assert.ok(one !== undefined && one === (await asked()));
  assert.equal((await order("promote", { breakGlass: true })).status, 200);
  assert.notEqual(await asked(), one);
  assert.equal((await order("pause")).status, 200);
  assert.equal((await order("start", { name: "nobody" })).status, 404);
});
