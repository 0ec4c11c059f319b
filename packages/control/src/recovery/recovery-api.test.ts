// SPDX-License-Identifier: Apache-2.0

// Recovery plans over the API: what a run does to answers, what is refused, what people do to it, and what is told of it.

import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { Secrets } from "../secrets/secrets.ts";
import { ApiFixture } from "../testing/api-fixture.ts";
import { silent } from "../testing/control-fixture.ts";
import { documentOf as document, prometheusOf, twoPlaces } from "../testing/two-places.ts";
import { PlanCapacity } from "./plan-capacity.ts";
import { PlanEvaluations } from "./plan-evaluation.ts";
import { RecoveryTriggers } from "./recovery-triggers.ts";
import { ServedTraffic } from "./served-traffic.ts";

const WAIT_MS_MAX = 60_000;
const plan = (
  name: string,
  sequence: readonly string[],
  steps: object,
  more: object = {},
): object => document("RecoveryPlan", name, { sequence, steps, ...more });
const controls = [
  document("ControlPanel", "shop", {}),
  document("RoutingControl", "eu", { panel: "shop", targets: ["pool/default/eu"] }),
  document("RoutingControl", "us", { panel: "shop", targets: ["pool/default/us"] }),
  document("SafetyRule", "somewhere", {
    panel: "shop",
    assertion: { controls: ["eu", "us"] },
    require: { atLeast: 1 },
    waitPeriod: "0s",
  }),
];

test("a plan moves traffic, waits for people, is taken back, and tells how long it took", async (t) => {
  const api = await ApiFixture.start(t, twoPlaces);
  const apply = (body: readonly object[]) => api.local("POST", "/v1/apply", { body });
  const runs = (method: string, body: object) => api.local(method, "/v1/recoveryruns", { body });
  const explained = async (): Promise<string> =>
    (await api.local("GET", "/v1/explain?name=www.example.org")).text;
  const reported = async (run: string, more = ""): Promise<string> =>
    (await api.local("GET", `/v1/recoveryreport?run=${run}${more}`)).text;
  const until = async (run: string, wanted: RegExp): Promise<string> => {
    const deadlineMs = performance.now() + WAIT_MS_MAX;
    for (;;) {
      const text = await reported(run);
      if (wanted.test(text)) return text;
      assert.ok(performance.now() < deadlineMs, `still ${text}`);
      await sleep(20);
    }
  };
  const steps = {
    ready: { waitForHealth: { target: "pool/default/us" }, only: "graceful" },
    ask: { approval: { prompt: "move?" } },
    move: { parallel: { steps: ["off", "drain"] } },
    off: { controls: { states: { eu: "Off" } } },
    drain: { shift: { target: "endpoint/default/eu/one", for: "1h" } },
  };
  const away = plan("away", ["ready", "ask", "move"], steps, {
    names: ["www.example.org"],
    objective: { recoveryTime: "1m" },
  });
  const early = await apply([away]);
  assert.equal(early.status, 409);
  assert.match(early.text, /expected RoutingControl\/default\/eu/);
  const unsafe = plan("unsafe", ["off"], {
    off: { controls: { states: { eu: "Off", us: "Off" } } },
  });
  const loop = (name: string, inner: string) => plan(name, ["s"], { s: { plan: { name: inner } } });
  assert.equal((await apply([...controls, away, unsafe])).status, 200);
  const circle = await apply([loop("a", "b"), loop("b", "a")]);
  assert.match(circle.text, /its plans lead back: a → b → a/);
  const used = await api.local("DELETE", "/v1/documents/RoutingControl/default/eu");
  assert.equal(used.status, 409);

  const began = await runs("POST", { plan: "away", reason: "test" });
  assert.equal(began.status, 200, began.text);
  await until("away", /"name":"ask","kind":"approval","state":"running"/);
  // Two plans that move the same, and one twice.
  for (const other of ["away", "unsafe"]) {
    const second = await runs("POST", { plan: other, reason: "test" });
    assert.equal(second.status, 409);
    assert.match(second.text, /of RecoveryPlan\/default\/away is under way and moves .+, too/);
  }
  assert.match((await api.local("GET", "/v1/audit?limit=1")).text, /"verb":"run-refused"/);
  assert.match(await explained(), /answer: |192\.0\.2\.1/);
  const yes = { body: { run: "away", order: "approve", reason: "yes" } };
  const own = /it is your own, expected somebody else/;
  assert.match((await api.local("POST", "/v1/recoveryapprovals", yes)).text, own);
  assert.match((await runs("PUT", { run: "away", order: "skip", reason: "x" })).text, own);
  const other = async (role: string, verb: string): Promise<{ readonly token: string }> => ({
    token: await api.tokenOf(role, [{ verbs: [verb], kinds: ["RecoveryPlan"] }]),
  });
  const skipped = await api.http("PUT", "/v1/recoveryruns", {
    ...{ body: { run: "away", order: "skip", reason: "x" }, ...(await other("skipper", "run")) },
  });
  assert.equal(skipped.status, 403, skipped.text);
  const approved = await api.http("POST", "/v1/recoveryapprovals", {
    ...{ ...yes, ...(await other("approver", "approve")) },
  });
  assert.equal(approved.status, 200, approved.text);
  const through = await until("away", /"recoveryMs":/);
  assert.match(through, /"state":"completed"/);
  assert.match(through, /"isMet":true/);
  assert.match(through, /"detail":"set eu Off"/);
  assert.match(await explained(), /192\.0\.2\.2/);
  assert.equal((await api.local("GET", "/v1/shifts")).text.match(/"id":/g)?.length, 1);
  assert.match(await reported("away", "&page=true"), /<svg xmlns/);

  // Who did what to it, and each step as it went.
  const log = (await api.local("GET", "/v1/audit?limit=50")).rows
    .map((row) => JSON.stringify(row))
    .filter((row) => row.includes('"run":{"name":"default'));
  assert.match(log.at(-1) ?? "", /"verb":"run"/);
  const wants = [/"verb":"approve"/, /"steps":\[[^\]]*"off done"/, /"steps":\[[^\]]*"drain done"/];
  for (const wanted of wants)
    assert.ok(
      log.some((row) => wanted.test(row)),
      `${wanted.source} in ${log.join("\n")}`,
    );

  const back = await runs("PUT", { run: "away", order: "rollback", reason: "eu is well" });
  assert.equal(back.status, 200, back.text);
  await until("away", /"state":"rolled-back"/);
  assert.doesNotMatch(await explained(), /switched off|drained/);
  assert.doesNotMatch((await api.local("GET", "/v1/shifts")).text, /"id":/);

  // A rule objects: the run waits for people, who end it.
  assert.equal((await runs("POST", { plan: "unsafe", reason: "test" })).status, 200);
  const held = await until("unsafe", /"state":"paused"/);
  assert.match(held, /SafetyRule \\"somewhere\\" wants/);
  assert.match(
    (await runs("PUT", { run: "unsafe", order: "pause", reason: "x" })).text,
    /it is paused already/,
  );
  assert.equal((await runs("PUT", { run: "unsafe", order: "cancel", reason: "x" })).status, 200);
  assert.match((await api.local("GET", "/v1/recoveryruns")).text, /"state":"canceled"/);
  assert.match((await api.local("GET", "/v1/recoveryplans")).text, /"lastState":"rolled-back"/);

  // An alarm begins a run when it has held for long enough, once in a while, and at the leader alone.
  let isAlarmed = false;
  const source = { url: await prometheusOf(t, () => (isAlarmed ? 1 : 0)) };
  const prometheus = { source, query: "errors", above: 0 };
  const alarmed = plan(
    "alarmed",
    ["s", "t"],
    { s: { wait: { for: "1ms" } }, t: { waitForHealth: { target: "pool/default/none" } } },
    { triggers: { errors: { prometheus, for: "10s", minDelay: "1h" } } },
  );
  assert.equal((await apply([alarmed])).status, 200);
  let [nowMs, isLeading, leaptMs] = [Date.now(), true, 0];
  const common = {
    documents: () => api.documents.documents,
    ...{ traffic: new ServedTraffic(api.embedded), secrets: new Secrets(api.folder, {}) },
    weights: api.weights,
    logger: silent,
    nowMs: () => nowMs,
  };
  let isAway = false;
  const triggers = new RecoveryTriggers({
    ...common,
    runs: {
      runs: () => api.recovery.runs(),
      begin: (request, caller) =>
        isAway ? Promise.reject(new Error("away")) : api.recovery.begin(request, caller),
    },
    isLeading: () => isLeading,
    clock: { wallMs: () => nowMs + leaptMs, monotonicMs: () => nowMs },
  });
  const begun = async (): Promise<number> => {
    await triggers.look();
    return api.recovery.runs().filter((run) => run.plan === "alarmed").length;
  };
  assert.equal(await begun(), 0);
  isAlarmed = true;
  assert.equal(await begun(), 0);
  leaptMs = 300_000;
  assert.equal(await begun(), 0, "the time of day was set: no time has passed");
  leaptMs = 0;
  nowMs += 9000;
  isLeading = false;
  assert.equal(await begun(), 0, "another leads");
  isLeading = true;
  assert.equal(await begun(), 0, "it is counted anew");
  nowMs += 10_000;
  assert.equal(await begun(), 1);
  assert.equal((await runs("PUT", { run: "alarmed", order: "cancel", reason: "x" })).status, 200);
  nowMs += 60_000;
  assert.equal(await begun(), 1, "within the least delay");
  nowMs += 3_600_000;
  isAway = true;
  assert.equal(await begun(), 1, "the store is away");
  isAway = false;
  nowMs += 9000;
  assert.equal(await begun(), 1, "not yet again");
  nowMs += 1000;
  assert.equal(await begun(), 2);
  assert.equal((await runs("PUT", { run: "alarmed", order: "cancel", reason: "x" })).status, 200);

  const capacity = { lacks: () => Promise.resolve([]) };
  const evaluations = new PlanEvaluations({ ...common, capacity, served: () => "" });
  await evaluations.look();
  assert.deepEqual(evaluations.of("default/away"), []);
  const errors = (evaluations.of("default/alarmed") ?? []).filter(
    ({ severity }) => severity === "error",
  );
  assert.deepEqual(errors, [
    { severity: "error", step: "t", message: "pool/default/none has no endpoint" },
  ]);
});

test("a step whose target is gone stops the run with the reason, and answers stay as they are", async (t) => {
  const api = await ApiFixture.start(t, twoPlaces);
  const steps = {
    drain: { shift: { target: "endpoint/default/eu/gone" } },
    off: { controls: { states: { eu: "Off" } } },
  };
  const body = [...controls, plan("gone", ["drain", "off"], steps)];
  assert.equal((await api.local("POST", "/v1/apply", { body })).status, 200);
  const run = { plan: "gone", reason: "test" };
  assert.equal((await api.local("POST", "/v1/recoveryruns", { body: run })).status, 200);
  const deadlineMs = performance.now() + WAIT_MS_MAX;
  for (;;) {
    const { text } = await api.local("GET", "/v1/recoveryreport?run=gone");
    if (/"state":"running".+"steps"/.test(text)) {
      assert.ok(performance.now() < deadlineMs, `still ${text}`);
      await sleep(20);
      continue;
    }
    assert.match(text, /"state":"paused"/);
    assert.match(text, /"detail":"endpoint\/default\/eu\/gone has no endpoint"/);
    break;
  }
  assert.equal((await api.local("GET", "/v1/shifts")).text.includes('"id"'), false);
  assert.match((await api.local("GET", "/v1/explain?name=www.example.org")).text, /192\.0\.2\.1/);
});

test("a plan is evaluated anew when it, what is served or the time is another, and for capacity", async (t) => {
  const api = await ApiFixture.start(t, twoPlaces);
  const member = (address: string): object => ({ address, capacity: 100 });
  const sized = (name: string, address: string): object =>
    document("Pool", name, { members: { one: member(address) } });
  const branches = [
    { pool: "big-eu", weight: 50 },
    { pool: "big-us", weight: 50 },
  ];
  const ramp = { policy: "split", node: "all", branches: [{ pool: "big-eu", weight: 0 }] };
  const policy = document("TrafficPolicy", "split", {
    root: "all",
    nodes: { all: { weighted: { branches } } },
  });
  const demand = { all: { name: "big.example.org", rate: 150 } };
  const body = [
    ...[sized("big-eu", "192.0.2.11"), sized("big-us", "192.0.2.12"), policy],
    document("Record", "big", { name: "big.example.org", policy: "split" }),
    document("TrafficProfile", "peak", { demand }),
    document("ControlPanel", "big", {}),
    document("RoutingControl", "big", { panel: "big", targets: ["pool/default/big-us"] }),
    plan("ramp", ["ramp"], { ramp: { weights: ramp } }),
    plan("off", ["off"], { off: { controls: { states: { big: "Off" } }, only: "ungraceful" } }),
    plan("half", ["half"], { half: { shift: { target: "pool/default/big-eu", percent: 20 } } }),
    plan("grows", ["grow", "ramp"], {
      grow: { webhook: { url: "http://127.0.0.1:9/" } },
      ramp: { weights: ramp },
    }),
    plan("gone", ["ramp"], { ramp: { weights: { ...ramp, node: "none" } } }),
  ];
  const applied = await api.local("POST", "/v1/apply", { body });
  assert.equal(applied.status, 200, applied.text);
  let nowMs = Date.now();
  const { embedded, weights } = api;
  const common = { documents: () => api.documents.documents, weights, nowMs: () => nowMs };
  let looks = 0;
  const capacity = new PlanCapacity({ ...common, embedded, off: () => api.routing.off() });
  let served = "1";
  const evaluations = new PlanEvaluations({
    ...{ ...common, traffic: new ServedTraffic(embedded), secrets: new Secrets(api.folder, {}) },
    ...{ served: () => served, logger: silent },
    capacity: {
      lacks: (namespace, steps) => {
        looks += 1;
        return capacity.lacks(namespace, steps);
      },
    },
  });
  t.after(() => evaluations.close());
  await evaluations.look();
  const found = (name: string): string[] =>
    (evaluations.of(`default/${name}`) ?? [])
      .filter(({ message }) => !/objective|names is empty|not signed/.test(message))
      .map(({ severity, message }) => `${severity}: ${message}`);
  const lack =
    /^(error|warning): (ungraceful: )?endpoint\/default\/big-(eu|us)\/one would carry 150 of 100/;
  for (const name of ["ramp", "off", "grows"]) assert.match(found(name).join(), lack, name);
  assert.match(found("off").join(), /^error: ungraceful: .*big-eu/);
  assert.match(found("grows").join(), /^warning: .*big-us.* unless its steps make room/);
  assert.deepEqual(found("half"), []);
  assert.deepEqual(found("gone"), ["error: TrafficPolicy default/split has no node none"]);

  const all = looks;
  served = "2";
  nowMs += 9000;
  await evaluations.look();
  assert.equal(looks, all, "what is served may change each second");
  nowMs += 1000;
  await evaluations.look();
  assert.equal(looks, 2 * all);
  nowMs += 29 * 60_000;
  await evaluations.look();
  assert.equal(looks, 2 * all);
  nowMs += 60_000;
  await evaluations.look();
  assert.equal(looks, 3 * all, "each half hour");
  const more = plan("more", ["half"], { half: { shift: { target: "pool/default/big-eu" } } });
  assert.equal((await api.local("POST", "/v1/apply", { body: [more] })).status, 200);
  await evaluations.look();
  assert.match(found("more").join(), lack);
});

test("plans are run, changed and written by those alone who may", async (t) => {
  const api = await ApiFixture.start(t, twoPlaces);
  const apply = (body: readonly object[], token?: string) =>
    api.http("POST", "/v1/apply", { body, ...(token === undefined ? {} : { token }) });
  const mine = plan("mine", ["s"], { s: { shift: { target: "pool/default/eu" } } });
  const writer = await api.tokenOf("writer", [{ verbs: ["apply"], kinds: ["RecoveryPlan"] }]);
  const denied = await apply([mine], writer);
  assert.equal(denied.status, 403, denied.text);
  assert.match(denied.text, /drain pool\/default\/eu by/);
  assert.equal((await api.local("POST", "/v1/apply", { body: [mine] })).status, 200);
  const around = plan("around", ["s"], { s: { plan: { name: "mine" } } });
  assert.match((await apply([around], writer)).text, /run RecoveryPlan\/default\/mine by/);
  const unhealthy = { target: "pool/default/eu", percent: 50 };
  const steps = { s: { wait: { for: "1s" } } };
  const begins = plan("begins", ["s"], steps, { triggers: { down: { unhealthy } } });
  assert.match((await apply([begins], writer)).text, /have triggers run/);
  assert.equal((await apply([plan("begins", ["s"], steps)], writer)).status, 200);
  const runner = await api.tokenOf("runner", [{ verbs: ["run"], kinds: ["RecoveryPlan"] }]);
  const run = (body: object, token: string) =>
    api.http("POST", "/v1/recoveryruns", { body, token });
  assert.equal((await run({ plan: "mine", reason: "x" }, writer)).status, 403);
  const approval = { run: "mine", order: "approve", reason: "x" };
  const asRunner = await api.http("POST", "/v1/recoveryapprovals", {
    body: approval,
    token: runner,
  });
  assert.equal(asRunner.status, 403);
  for (const [body, wanted] of [
    [{ plan: "mine" }, /reason is missing/],
    [{ plan: "mine", reason: "x", mode: "fast" }, /expected \\"graceful\\" or/],
    [{ plan: "mine", reason: "x", since: "soon" }, /expected a time such as/],
    [{ plan: "none", reason: "x" }, /There is no RecoveryPlan\/default\/none/],
  ] as const) {
    const answer = await run(body, runner);
    assert.ok(answer.status === 400 || answer.status === 404, answer.text);
    assert.match(answer.text, wanted);
  }
  assert.equal((await run({ plan: "mine", reason: "x" }, runner)).status, 200);
});
