// SPDX-License-Identifier: Apache-2.0

// Fenced hand-overs over the API, where no edge but the own one is waited for: what is shown on the way, and what is refused.

import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { ApiFixture } from "../testing/api-fixture.ts";
import { documentOf as document, twoPlaces } from "../testing/two-places.ts";

const WAIT_MS_MAX = 60_000;
const LOOK_MS = 5;
const panel = document("ControlPanel", "shop", { handover: "fenced" });
const control = (name: string, targets: readonly string[]): object =>
  document("RoutingControl", name, { panel: "shop", targets });
const rule = document("SafetyRule", "somewhere", {
  panel: "shop",
  assertion: { controls: ["eu", "us"] },
  require: { any: {} },
  waitPeriod: "0s",
});

/** Looks until it is so, and returns what it saw; fails with that when it never is. */
async function until(
  read: () => Promise<string>,
  isIt: (text: string) => boolean,
  meanwhile = (): void => undefined,
): Promise<string> {
  const deadlineMs = performance.now() + WAIT_MS_MAX;
  for (;;) {
    const text = await read();
    if (isIt(text)) return text;
    assert.ok(performance.now() < deadlineMs, `still ${text}`);
    meanwhile();
    await sleep(LOOK_MS);
  }
}

const isSettled = (text: string): boolean => !/"handover"/.test(text);

test("a fenced panel turns off at once, on when the hand-over is done, and back at any time", async (t) => {
  const api = await ApiFixture.start(t, twoPlaces);
  const apply = (body: readonly object[]) => api.local("POST", "/v1/apply", { body });
  const set = (states: object) =>
    api.local("POST", "/v1/routing-controls", { body: { states, reason: "test" } });
  const shown = async (): Promise<string> => (await api.local("GET", "/v1/routing-controls")).text;
  const explained = async (): Promise<string> =>
    (await api.local("GET", "/v1/explain?name=www.example.org")).text;
  const ended = async (): Promise<void> => {
    api.endsHandOvers = true;
    api.handOvers.look();
    await until(shown, isSettled, () => api.handOvers.look());
  };
  const own = [control("eu", ["pool/default/eu"]), control("us", ["pool/default/us"])];
  assert.equal((await apply([panel, ...own, rule])).status, 200);

  // eu goes off at once; us, off before, waits for that.
  assert.equal((await set({ us: "Off" })).status, 200);
  await ended();
  api.endsHandOvers = false;
  const turned = await set({ eu: "Off", us: "On" });
  assert.equal(turned.status, 200, turned.text);
  assert.match(turned.text, /"state":"Off"[^}]*"name":"default\/us"[^}]*"handover":{"wanted":"On"/);
  assert.match(await explained(), /"answer":\[\]/);
  assert.match(
    await explained(),
    /switched off by routing control default\/us, until its hand-over is done/,
  );
  const plan = await api.local("POST", "/v1/plans?off=eu", { body: [] });
  assert.match(plan.text, /"handovers":\[{"panel":"default\/shop","upToMs":11000}\]/);

  // While it is under way nothing that it is about is changed, and rules look at what is wanted.
  const bound = await apply([control("eu", [])]);
  assert.equal(bound.status, 409);
  assert.match(bound.text, /the hand-over of ControlPanel\/default\/shop is under way/);
  assert.equal((await apply([document("ControlPanel", "shop", {})])).status, 409);
  assert.match((await set({ us: "Off" })).text, /SafetyRule \\"somewhere\\" wants at least 1 of/);

  // Back again needs no hand-over: nobody has answered us.
  assert.equal((await set({ eu: "On", us: "Off" })).status, 200);
  assert.doesNotMatch(await shown(), /"handover"/);
  assert.match(await explained(), / A 192\.0\.2\.1 /);

  assert.equal((await set({ eu: "Off", us: "On" })).status, 200);
  await ended();
  // The store says so first, and what is served follows.
  await until(explained, (text) => / A 192\.0\.2\.2 /.test(text));
  const audit = await api.local("GET", "/v1/audit?limit=5");
  assert.match(audit.text, /"verb":"hand-over"/);
  const metrics = await api.local("GET", "/metrics");
  assert.match(metrics.text, /meridian_handovers_running 0\n/);
});

test("a step of a recovery plan that turns a fenced panel is done when the hand-over is", async (t) => {
  const api = await ApiFixture.start(t, twoPlaces);
  const apply = (body: readonly object[]) => api.local("POST", "/v1/apply", { body });
  const reported = async (): Promise<string> =>
    (await api.local("GET", "/v1/recoveryreport?run=away")).text;
  const reports = (wanted: RegExp, meanwhile?: () => void): Promise<string> =>
    until(reported, (text) => wanted.test(text), meanwhile);
  const answers = (address: string): Promise<string> =>
    until(
      async () => (await api.local("GET", "/v1/explain?name=www.example.org")).text,
      (text) => text.includes(` A ${address} `),
    );
  const plan = document("RecoveryPlan", "away", {
    sequence: ["turn"],
    steps: { turn: { controls: { states: { eu: "Off", us: "On" } } } },
  });
  const own = [control("eu", ["pool/default/eu"]), control("us", ["pool/default/us"])];
  const applied = await apply([panel, ...own, plan]);
  assert.equal(applied.status, 200, applied.text);
  const off = { states: { us: "Off" }, reason: "test" };
  assert.equal((await api.local("POST", "/v1/routing-controls", { body: off })).status, 200);
  api.handOvers.look();
  const shown = async (): Promise<string> => (await api.local("GET", "/v1/routing-controls")).text;
  await until(shown, isSettled, () => api.handOvers.look());
  api.endsHandOvers = false;
  const began = await api.local("POST", "/v1/recoveryruns", {
    body: { plan: "away", reason: "test" },
  });
  assert.equal(began.status, 200, began.text);
  await reports(
    /"state":"running"[^}]*set eu Off, us On; the hand-over of ControlPanel default\/shop"/,
  );
  api.endsHandOvers = true;
  await reports(/"state":"completed"/, () => api.handOvers.look());
  await answers("192.0.2.2");
  // Back again, in as many steps.
  const back = { plan: "away", run: "away", order: "rollback", reason: "test" };
  const ordered = await api.local("PUT", "/v1/recoveryruns", { body: back });
  assert.equal(ordered.status, 200, ordered.text);
  await reports(/"state":"rolled-back"/, () => api.handOvers.look());
  await answers("192.0.2.1");
});
